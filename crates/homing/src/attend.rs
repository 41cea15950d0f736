//! A session that waits for its jobs itself is about to read how they ended: while it does, it is not woken for them.

use std::os::fd::OwnedFd;

use homing_core::{JobId, SessionId};
use homing_supervisor::SpecFile;
use homing_supervisor::layout::RECORD;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::homing::Homing;

/// Says that a session reads the results of jobs itself, for as long as it is held. It is let go of when the process
/// dies, and then the session is woken after all.
#[derive(Debug)]
#[must_use = "the session is woken as soon as this is dropped"]
pub struct Attention {
    records: Vec<OwnedFd>,
}

impl Homing {
    /// Holds back the wakes that would tell `reader` of these jobs, as far as they are its own. Acknowledge them before
    /// dropping what is returned.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # let job = homing.launch(homing::JobSpec::script("true")?)?;
    /// let attention = homing.attend(&[job.id], &job.session);
    /// homing.wait(&[job.id], homing::WaitFor::All, None)?;
    /// println!("{}", homing.result_text(job.id)?);
    /// homing.acknowledge(&[job.id])?;
    /// drop(attention);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attend(&self, jobs: &[JobId], reader: &SessionId) -> Attention {
        // Where this does not work, the worst that follows is that the session is told once more.
        Attention { records: jobs.iter().filter_map(|job| self.hold_record(*job, reader)).collect() }
    }

    fn hold_record(&self, job: JobId, reader: &SessionId) -> Option<OwnedFd> {
        let directory = self.home.jobs.open_job(job).ok()?;
        let spec = SpecFile::read(&directory).ok()??;
        let record = directory.open_to_read(RECORD).ok()??;
        if spec.session != *reader {
            return None;
        }
        flock(&record, FlockOperation::LockShared).ok()?;
        Some(record)
    }

    /// Whether the session of a job is reading its result itself just now.
    pub(crate) fn is_attended(&self, job: JobId) -> bool {
        let Ok(Some(record)) =
            self.home.jobs.open_job(job).and_then(|directory| directory.open_to_read(RECORD))
        else {
            return false;
        };
        let attended = flock(&record, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK);
        unlock(&record);
        attended
    }
}

impl Drop for Attention {
    fn drop(&mut self) {
        self.records.iter().for_each(unlock);
    }
}

/// Closing the file would not do: a process that another thread is just starting has a copy until it executes.
fn unlock(record: &OwnedFd) {
    let _ = flock(record, FlockOperation::Unlock);
}
