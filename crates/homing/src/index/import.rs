//! Imports finished jobs of another program, with their output and follow-ups.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use homing_core::{
    FollowUpPolicy, JobCommand, JobId, LeftoverPolicy, Outcome, SessionId, Shell, Timestamp, as_millis,
};
use homing_supervisor::layout::{Directory, notify_change};
use homing_supervisor::output::{Drained, OutputWriter};
use homing_supervisor::platform::file::{open_null, open_regular};
use homing_supervisor::platform::pipe::nonblocking_pipe;
use homing_supervisor::platform::{ProcessIdentity, errors, sync_file_system, user};
use homing_supervisor::{DiskError, FinishedRecord, Record, RunBy, SpecFile, StartedRecord};

use crate::Result;
use crate::context::Context;

/// The directory in the home where imported jobs are prepared.
const STAGE: &str = "import";

/// How long an import waits for another one, which may have gigabytes to copy.
const IMPORT_TIMEOUT: Duration = Duration::from_secs(600);

/// The boot id in the spec of an imported job, whose boot is not known.
const NO_BOOT: &str = "imported";

/// A finished job that another program ran.
#[derive(Clone, Debug)]
pub struct FinishedJob {
    /// Its id.
    pub id: JobId,
    /// The session that launched it.
    pub session: SessionId,
    /// The command that it ran.
    pub command: JobCommand,
    /// The directory it ran in; an absolute path.
    pub cwd: PathBuf,
    /// Its main process, if known. For display only: homing never searches for this process.
    pub pid: Option<u32>,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Its outcome.
    pub outcome: Outcome,
    /// Its timeout.
    pub timeout: Option<Duration>,
    /// The file with its output. It is copied, within the configured limits of output.
    pub output: Option<PathBuf>,
    /// Whether the result needs no delivery, for example because it was delivered already.
    pub is_delivered: bool,
}

impl Context {
    /// Imports finished jobs of another program. They are durable when this returns, and then behave as other jobs: they
    /// are listed, followed up and pruned. Returns the ids that are new. A job whose id exists is not changed, so an
    /// interrupted import can be repeated.
    pub(crate) fn import(&self, jobs: &[FinishedJob]) -> Result<Vec<JobId>> {
        let stage = self.stage()?;
        let mut new = Vec::new();
        for job in jobs {
            if self.exists(job.id)? {
                // A crash may have prevented its inbox entry.
                notify_change(&self.store.home.inbox, job.id)?;
            } else if !new.contains(&job.id) {
                self.assemble(&stage, job)?;
                new.push(job.id);
            }
        }
        if new.is_empty() {
            return Ok(new);
        }
        sync_file_system(stage.handle()).map_err(|e| DiskError::new("sync", stage.path(), e))?;
        let jobs = &self.store.home.jobs;
        for id in &new {
            // If a job with the same id was launched meanwhile, this keeps that one.
            let renamed = stage.handle().rename_directory(id.as_str(), jobs.handle(), id.as_str());
            renamed.map_err(|e| jobs.error("make", id.as_str(), e))?;
            notify_change(&self.store.home.inbox, *id)?;
        }
        jobs.sync()?;
        Ok(new)
    }

    /// Opens the stage, locks it while it is open, and empties it.
    fn stage(&self) -> Result<Directory, DiskError> {
        self.store.home.root.make_directory(STAGE)?;
        let stage = self.store.home.root.open_directory(STAGE)?;
        stage.lock_self_within(IMPORT_TIMEOUT)?;
        // The lock is held, so the import that left these files has died.
        for name in stage.names()? {
            let remains = stage.open_directory(&name)?;
            for file in remains.names()? {
                remains.remove_file(file)?;
            }
            stage.remove_directory(&name)?;
        }
        Ok(stage)
    }

    fn assemble(&self, stage: &Directory, job: &FinishedJob) -> Result<(), DiskError> {
        stage.make_directory(job.id.as_str())?;
        let directory = stage.open_directory(job.id.as_str())?;
        let spec = self.spec_of(job);
        let mut finished = FinishedRecord::bare(job.outcome.clone(), job.ended_at.as_unix_millis());
        if let Some(path) = &job.output {
            finished.output_total_bytes = copy_output(path, &spec, &directory)?;
        }
        let record = Record::create(&directory)?;
        let failed = |error| directory.error("write", homing_supervisor::layout::RECORD, error);
        if let Some(pid) = job.pid {
            record.write_started(&started(job, pid)).map_err(failed)?;
        }
        record.write_finished_unsynced(&finished).map_err(failed)?;
        // The whole stage is synced at once.
        spec.write(&directory).map(drop)
    }

    fn spec_of(&self, job: &FinishedJob) -> SpecFile {
        let defaults = self.config().defaults.limits();
        let started_at_ms = job.started_at.as_unix_millis();
        SpecFile {
            schema: SpecFile::schema(),
            id: job.id,
            session: job.session.clone(),
            name: None,
            command: job.command.clone(),
            shell: Shell::default(),
            cwd: job.cwd.clone(),
            env_names: Vec::new(),
            created_at_ms: started_at_ms,
            // Defines the order of imported jobs.
            created_uptime_us: u64::try_from(started_at_ms).unwrap_or(0).saturating_mul(1000),
            boot_id: NO_BOOT.to_owned(),
            launched_from: None,
            timeout_ms: job.timeout.map(as_millis),
            grace_ms: as_millis(defaults.grace),
            head_bytes: defaults.head_bytes,
            tail_bytes: defaults.tail_bytes,
            leftovers: LeftoverPolicy::default(),
            follow_up: if job.is_delivered { FollowUpPolicy::Never } else { FollowUpPolicy::Always },
            key: None,
            harness: None,
            sink: None,
            executor: None,
        }
    }
}

fn started(job: &FinishedJob, pid: u32) -> StartedRecord {
    // No process has these start ticks, so no search can match one.
    let main = ProcessIdentity { pid, start_ticks: u64::MAX };
    StartedRecord {
        supervisor: main,
        main,
        run_by: RunBy {
            machine_id: None,
            host_name: String::new(),
            boot_id: NO_BOOT.to_owned(),
            pid_namespace: None,
            uid: user::effective_id(),
        },
        started_at_ms: job.started_at.as_unix_millis(),
        output_pipe: 0,
        error_pipe: None,
        group: None,
        decided: None,
        service: None,
        ended: None,
    }
}

/// Copies the beginning and the end of a file into a job's output. Returns the length of the file.
fn copy_output(path: &Path, spec: &SpecFile, directory: &Directory) -> Result<u64, DiskError> {
    let failed = |error: io::Error| DiskError::new("read", path, error);
    let Some(mut file) = open_output(path).map_err(failed)? else { return Ok(0) };
    let length = file.metadata().map_err(failed)?.len();
    let null = open_null().map_err(|e| DiskError::new("open", "/dev/null", e))?;
    let mut writer = OutputWriter::new(null, spec.head_bytes, spec.tail_bytes);
    let head = spec.head_bytes.min(length);
    copy_bytes(&mut writer, &mut file, head, path, directory)?;
    let tail_start = length.saturating_sub(spec.tail_bytes).max(head);
    if tail_start > head {
        writer.skip(tail_start - head);
        io::Seek::seek(&mut file, io::SeekFrom::Start(tail_start)).map_err(failed)?;
    }
    copy_bytes(&mut writer, &mut file, length - tail_start, path, directory)?;
    writer.finish();
    if writer.dropped_bytes() > 0 {
        return Err(DiskError::new("write", directory.path(), errors::disk_full()));
    }
    Ok(writer.total_bytes())
}

/// Writes `length` bytes of a file to a writer, through a pipe.
fn copy_bytes(
    writer: &mut OutputWriter,
    file: &mut File,
    length: u64,
    path: &Path,
    directory: &Directory,
) -> Result<(), DiskError> {
    let (pipe, input) = nonblocking_pipe().map_err(|e| DiskError::new("make a pipe for", path, e))?;
    let mut file = file.take(length);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = file.read(&mut buffer).map_err(|e| DiskError::new("read", path, e))?;
        if count == 0 {
            return Ok(());
        }
        let mut left = &buffer[..count];
        while !left.is_empty() {
            match input.write(left) {
                Ok(written) => left = &left[written..],
                Err(error) if errors::would_block(&error) => {}
                Err(error) => return Err(DiskError::new("copy", path, error)),
            }
            while writer.drain(&pipe, directory) == Drained::Data {}
        }
    }
}

/// Opens a regular file; `None` if it does not exist or is not regular.
fn open_output(path: &Path) -> io::Result<Option<File>> {
    match open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LoadedConfig;
    use crate::ledger::LedgerFile;
    use crate::store::home::Home;
    use crate::store::job_store::JobStore;
    use crate::{FollowUpOptions, FollowUpState};

    fn home(folder: &tempfile::TempDir) -> Context {
        let home = Home::open(&folder.path().join("home")).unwrap();
        let ledger = LedgerFile::new(home.ledger_path(), Duration::from_secs(10));
        Context::new(JobStore::new(home, LoadedConfig::default(), None, false), ledger, false)
    }

    fn job(id: &str) -> FinishedJob {
        FinishedJob {
            id: id.parse().unwrap(),
            session: "chat-1".parse().unwrap(),
            command: JobCommand::Script("make".to_owned()),
            cwd: "/".into(),
            pid: Some(4242),
            started_at: Timestamp::from_unix_millis(1_795_345_200_123),
            ended_at: Timestamp::from_unix_millis(1_795_345_201_456),
            outcome: Outcome::Exited { exit_code: 3 },
            timeout: Some(Duration::from_secs(60)),
            output: None,
            is_delivered: false,
        }
    }

    #[test]
    fn an_imported_job_is_a_job_like_any_other() {
        let folder = tempfile::tempdir().unwrap();
        let context = home(&folder);
        let asked = job("0123456789ab");
        assert_eq!(context.import(std::slice::from_ref(&asked)).unwrap(), [asked.id]);
        let seen = context.get(asked.id).unwrap();
        assert_eq!(seen.outcome(), Some(&asked.outcome));
        assert_eq!(seen.session, asked.session);
        assert_eq!(seen.limits.timeout, asked.timeout);
        assert_eq!(
            seen.state.started().map(|started| (started.pid, started.started_at)),
            Some((4242, asked.started_at))
        );
        assert_eq!(seen.state.finished().map(|finished| finished.ended_at), Some(asked.ended_at));
        assert_eq!(seen.follow_up.state, FollowUpState::Pending);
        context.acknowledge(&[asked.id]).unwrap();
        assert_eq!(context.prune(Duration::ZERO).unwrap().removed, [asked.id]);
    }

    #[test]
    fn a_delivered_job_is_not_delivered_again() {
        let folder = tempfile::tempdir().unwrap();
        let context = home(&folder);
        context.import(&[FinishedJob { is_delivered: true, ..job("0123456789ab") }]).unwrap();
        assert_eq!(context.follow_up_listing(&FollowUpOptions::default()).unwrap().jobs, []);
        assert_eq!(
            context.listing(&Default::default()).unwrap().jobs[0].follow_up.state,
            FollowUpState::Suppressed
        );
    }

    #[test]
    fn existing_jobs_are_kept_and_new_jobs_are_imported_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let context = home(&folder);
        let first = job("00000000000b");
        context.import(std::slice::from_ref(&first)).unwrap();
        context.acknowledge(&[first.id]).unwrap();
        let later = FinishedJob {
            started_at: first.started_at.saturating_add(Duration::from_secs(1)),
            ..job("00000000000a")
        };
        let again = FinishedJob { outcome: Outcome::TimedOut, ..first.clone() };
        assert_eq!(context.import(&[later.clone(), again]).unwrap(), [later.id]);
        let seen = context.listing(&Default::default()).unwrap().jobs;
        assert_eq!(seen.iter().map(|job| job.id).collect::<Vec<_>>(), [later.id, first.id]);
        assert_eq!(seen[1].outcome(), Some(&first.outcome));
        assert_eq!(seen[1].follow_up.state, FollowUpState::Acknowledged);
    }

    #[test]
    fn what_an_import_that_died_left_behind_is_no_job() {
        let folder = tempfile::tempdir().unwrap();
        let context = home(&folder);
        let (cut_off, other) = (job("00000000000a"), job("00000000000b"));
        let stage = context.stage().unwrap();
        context.assemble(&stage, &cut_off).unwrap();
        drop(stage);
        context.full_scan().unwrap();
        assert_eq!(context.listing(&Default::default()).unwrap().jobs, []);
        assert_eq!(context.import(std::slice::from_ref(&other)).unwrap(), [other.id]);
        assert_eq!(context.import(std::slice::from_ref(&cut_off)).unwrap(), [cut_off.id]);
    }

    #[test]
    fn of_a_long_output_the_beginning_and_the_end_are_taken_in() {
        let folder = tempfile::tempdir().unwrap();
        let context = home(&folder);
        let limits = context.config().defaults.limits();
        let (head, tail) = (limits.head_bytes, limits.tail_bytes);
        let lengths = [0, 5, head, head + 1, head + tail, head + tail + 12_345];
        for (number, length) in lengths.into_iter().enumerate() {
            let bytes: Vec<u8> = (0..length).map(|at| (at / 1000 % 251) as u8).collect();
            let path = folder.path().join("log");
            std::fs::write(&path, &bytes).unwrap();
            let asked = FinishedJob { output: Some(path), ..job(&format!("00000000000{number}")) };
            context.import(std::slice::from_ref(&asked)).unwrap();
            let size = context.get(asked.id).unwrap().output;
            let omitted = length.saturating_sub(head + tail);
            assert_eq!((size.total_bytes, size.omitted_bytes, size.dropped_bytes), (length, omitted, 0));
            for from in [0, length.saturating_sub(tail)] {
                let chunk = context.output(asked.id, from, 1000).unwrap();
                let start = usize::try_from(from).unwrap();
                assert_eq!(chunk.offset, from);
                assert_eq!(chunk.bytes, &bytes[start..start + chunk.bytes.len()]);
                assert_eq!(chunk.bytes.is_empty(), length == 0);
            }
        }
    }

    #[test]
    fn an_output_that_is_not_there_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let context = home(&folder);
        let asked = FinishedJob { output: Some(folder.path().join("none")), ..job("0123456789ab") };
        context.import(std::slice::from_ref(&asked)).unwrap();
        assert_eq!(context.output_end(asked.id).unwrap(), 0);
    }
}
