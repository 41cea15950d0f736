//! Launches under a key. The job's id is derived from session and key, and one rename decides which of several
//! launchers creates the job. A later launcher finds the job, and starts it if the first launcher died before it
//! started the job. Does not start processes itself.

use std::io;
use std::time::{Duration, Instant};

use homing_core::{Job, JobCommand, JobId, JobKey, SessionId, as_millis};
use homing_supervisor::layout::{Directory, RECORD, SPEC, STAGE, notify_change};
use homing_supervisor::platform::dir;
use homing_supervisor::platform::lock::{Attempt, try_exclusive, unlock};
use homing_supervisor::{DiskError, JobLock, Record, Slot, SpecFile, WrittenSpec, crash_point};

use crate::config::Limits;
use crate::store::job_store::JobStore;
use crate::store::observe::observe;
use crate::store::prepare::{Prepared, absolute_directory, directory_there, fill, random_id, remove_files};
use crate::store::spec::{JobSpec, Timeout};
use crate::{Error, Result};

/// Prefix of the hashed bytes, so that the hash differs from other hashes of the same texts.
const DOMAIN: &[u8] = b"homing job key 1";

/// How often a launch is retried because the job under its key was removed meanwhile.
const ATTEMPTS: u32 = 100;

/// How long another launcher may take to start the job that it has created.
const LAUNCHER_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest pause between two observations of a job that another launcher starts.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Which launcher starts the job under a key.
#[derive(Debug)]
pub(crate) enum Keyed {
    /// This process starts it.
    ToStart(Box<ToStart>),
    /// Another launch started it; this is its current state.
    Known(Box<Job>),
}

/// A job under a key that this process starts.
#[derive(Debug)]
pub(crate) struct ToStart {
    pub(crate) prepared: Prepared,
    /// Whether this launch created it. If not, the launcher that did has died.
    pub(crate) is_new: bool,
    /// Held until the supervisor has answered.
    pub(crate) _launcher: LauncherLock,
}

/// The right to start the job in a directory: a lock on the directory itself. If the file system does not support locks
/// on directories, every launcher has the right. The lock of the job then decides which supervisor runs the command.
#[derive(Debug)]
pub(crate) struct LauncherLock {
    directory: dir::Directory,
}

impl LauncherLock {
    /// Acquires the lock; `None` if another launcher holds it.
    fn try_acquire(directory: &Directory) -> Result<Option<LauncherLock>, DiskError> {
        let copy = directory.handle().try_clone().map_err(|e| directory.error("lock", "", e))?;
        match try_exclusive(&copy) {
            Ok(Attempt::HeldByAnother) => Ok(None),
            Ok(Attempt::Acquired) | Err(_) => Ok(Some(LauncherLock { directory: copy })),
        }
    }
}

impl Drop for LauncherLock {
    /// Unlocks explicitly, because a child that another thread has just forked keeps a copy of the handle until exec.
    fn drop(&mut self) {
        unlock(&self.directory);
    }
}

/// Returns the id of the job that a session launches under a key: the first 48 bits of the SHA-256 of both. Neither text
/// contains NUL, which separates them, so two pairs never have the same hashed bytes.
fn id_of(session: &SessionId, key: &JobKey) -> JobId {
    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    for part in [DOMAIN, session.as_str().as_bytes(), key.as_str().as_bytes()] {
        hash.update(part);
        hash.update(b"\0");
    }
    let hash = hash.finish();
    JobId::from_random(std::array::from_fn(|index| hash.as_ref()[index]))
}

impl JobStore {
    /// Finds the job under a key, or creates it.
    pub(crate) fn prepare_keyed(&self, request: &JobSpec, key: &JobKey) -> Result<Keyed> {
        let id = id_of(&request.session, key);
        for _ in 0..ATTEMPTS {
            if let Some(found) = self.find_keyed(request, key, id)? {
                return Ok(found);
            }
            if let Some(to_start) = self.publish(request, id)? {
                return Ok(Keyed::ToStart(Box::new(to_start)));
            }
        }
        let taken = io::Error::from(io::ErrorKind::AlreadyExists);
        Err(self.home.jobs.error("make", id.as_str(), taken).into())
    }

    /// Finds the job under a key; `None` if it does not exist or was removed.
    fn find_keyed(&self, request: &JobSpec, key: &JobKey, id: JobId) -> Result<Option<Keyed>> {
        let Some(directory) = self.find_job(id)? else { return Ok(None) };
        let Some(spec) = SpecFile::read(&directory)? else {
            // The job is being removed: a directory with a key gets its name only after its spec was written.
            remove_files(&directory, &self.home.jobs, id.as_str());
            return Ok(None);
        };
        let differences = differences(&spec, request, &self.loaded.config.limits)?;
        if !differences.is_empty() {
            return Err(Error::KeyTaken { key: key.to_string(), job: id, differences });
        }
        self.await_launcher(directory, spec)
    }

    /// Waits until the launcher that created a job has started it. If that launcher has died, this process starts the
    /// job.
    fn await_launcher(&self, directory: Directory, spec: SpecFile) -> Result<Option<Keyed>> {
        let id = spec.id;
        let give_up_at = Instant::now() + LAUNCHER_TIMEOUT;
        let mut pause = Duration::from_millis(1);
        loop {
            // Lock before reading: the job may be started between the two.
            let launcher = LauncherLock::try_acquire(&directory)?;
            let record = Record::open_to_read(&directory)?;
            let written = WrittenSpec::by_another(&directory);
            let (Some(record), Ok(written), true) = (record, written, directory.contains(SPEC)) else {
                return Ok(None);
            };
            let content = record.read().map_err(|e| directory.error("read", RECORD, e))?;
            let has_begun = content.started != Slot::Empty || content.finished != Slot::Empty;
            let has_timed_out = Instant::now() >= give_up_at;
            if has_begun || has_timed_out || spec.boot_id != self.here()?.boot_id {
                // Its launcher may have died before it did this.
                notify_change(&self.home.inbox, id)?;
                self.make_durable(&directory, &written)?;
                let seen = observe(&self.home.jobs, id, self.here()?)?;
                return Ok(seen.map(|seen| Keyed::Known(Box::new(seen.into_job()))));
            }
            if let Some(launcher) = launcher
                && !JobLock::is_held(&directory)?
            {
                notify_change(&self.home.inbox, id)?;
                let prepared = Prepared { spec, directory, record, written };
                let to_start = ToStart { prepared, is_new: false, _launcher: launcher };
                return Ok(Some(Keyed::ToStart(Box::new(to_start))));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Creates a job on the stage, and moves it to its name by one rename. `None` if another job already has that name:
    /// a rename never replaces a directory that is not empty.
    fn publish(&self, request: &JobSpec, id: JobId) -> Result<Option<ToStart>> {
        let spec = self.spec_file(request, id)?;
        self.home.root.make_directory(STAGE)?;
        let stage = self.home.root.open_directory(STAGE)?;
        clear_abandoned(&stage)?;
        let (name, staged, launcher) = make_staged(&stage, id)?;
        crash_point("launch/directory_made");
        let jobs = &self.home.jobs;
        let published = fill(&staged, &spec).and_then(|files| {
            // Windows does not rename a directory in which a file is open.
            drop(files);
            let renamed = stage.handle().rename_directory(&name, jobs.handle(), id.as_str());
            renamed.map_err(|e| jobs.error("make", id.as_str(), e))
        });
        let Ok(true) = published else {
            remove_files(&staged, &stage, &name);
            return Ok(published.map(|_| None)?);
        };
        crash_point("launch/published");
        let directory = staged.moved_to(jobs, id.as_str());
        let (record, written) = match reopened(&directory) {
            Ok(Some(files)) => files,
            failed => {
                remove_files(&directory, jobs, id.as_str());
                return Ok(failed.map(|_| None)?);
            }
        };
        let prepared = Prepared { spec, directory, record, written };
        if let Err(error) = notify_change(&self.home.inbox, id) {
            self.withdraw(prepared);
            return Err(error.into());
        }
        crash_point("launch/inbox_entry_made");
        Ok(Some(ToStart { prepared, is_new: true, _launcher: launcher }))
    }

    /// Removes the directories of launchers that died before they published their job.
    pub(crate) fn clear_abandoned_launches(&self) -> Result<()> {
        if let Some(stage) = self.home.root.find_directory(STAGE)? {
            clear_abandoned(&stage)?;
        }
        Ok(())
    }
}

/// Opens the files of a published job again; `None` if another process has removed the job.
fn reopened(directory: &Directory) -> Result<Option<(Record, WrittenSpec)>, DiskError> {
    let Some(record) = Record::open_to_read(directory)? else { return Ok(None) };
    Ok(Some((record, WrittenSpec::by_another(directory)?)))
}

/// Creates a directory on the stage, and locks it. Tries again if another launcher removed the directory as abandoned
/// before it was locked.
fn make_staged(stage: &Directory, id: JobId) -> Result<(String, Directory, LauncherLock), DiskError> {
    for _ in 0..ATTEMPTS {
        let name = format!("{id}-{}", random_id()?);
        if !stage.make_directory(&name)? {
            continue;
        }
        let Some(staged) = stage.find_directory(&name)? else { continue };
        if let Some(launcher) = LauncherLock::try_acquire(&staged)?
            && staged.is_at(stage, &name)
        {
            return Ok((name, staged, launcher));
        }
    }
    Err(stage.error("make", id.as_str(), io::Error::from(io::ErrorKind::AlreadyExists)))
}

/// Removes every directory on the stage that is not locked. The system releases the lock of a launcher that dies.
fn clear_abandoned(stage: &Directory) -> Result<(), DiskError> {
    for name in stage.names()? {
        // Skip directories that were removed meanwhile, and foreign entries.
        let Ok(directory) = stage.open_directory(&name) else { continue };
        let is_abandoned = matches!(try_exclusive(directory.handle()), Ok(Attempt::Acquired));
        // If it was renamed before it was locked, it is a job now.
        if is_abandoned && directory.is_at(stage, &name) {
            remove_files(&directory, stage, &name);
        }
        unlock(directory.handle());
    }
    Ok(())
}

/// Returns the parts of a request that differ from the job under its key. Does not compare settings that the request
/// leaves to the configuration, so a changed configuration is not a different request. Does not compare environment
/// variables, because they are not written to disk.
fn differences(launched: &SpecFile, request: &JobSpec, limits: &Limits) -> Result<Vec<&'static str>> {
    let has_limit =
        |limit| [limit, limits.clamp(limit)].map(|limit| limit.map(as_millis)).contains(&launched.timeout_ms);
    let same_limit = match request.timeout {
        Timeout::Configured => true,
        Timeout::None => has_limit(None),
        Timeout::After(limit) => has_limit(Some(limit)),
    };
    let same_output_limits = request.output_head_bytes.is_none_or(|bytes| launched.head_bytes == bytes)
        && request.output_tail_bytes.is_none_or(|bytes| launched.tail_bytes == request.tail_bytes(bytes));
    // A program runs in no shell.
    let same_shell = matches!(request.command, JobCommand::Argv(_))
        || request.shell.is_none_or(|shell| launched.shell == shell);
    let directory = match &request.executor {
        Some(_) => directory_there(request.current_dir.as_deref())?,
        None => absolute_directory(request.current_dir.as_deref())?,
    };
    let compared = [
        // Another pair may have the same hash.
        (launched.session == request.session, "session"),
        (launched.key == request.key, "key"),
        (launched.command == request.command, "command"),
        (same_shell, "shell"),
        (launched.executor == request.executor, "executor"),
        (launched.cwd == directory, "directory"),
        (launched.name == request.name, "name"),
        (same_limit, "time limit"),
        (request.grace.is_none_or(|grace| launched.grace_ms == as_millis(grace)), "grace period"),
        (same_output_limits, "output limit"),
        (launched.leftovers == request.leftovers, "leftovers policy"),
        (launched.follow_up == request.follow_up, "follow-up policy"),
        (request.sink.is_none() || launched.sink == request.sink, "sink"),
    ];
    Ok(compared.into_iter().filter(|(same, _)| !same).map(|(_, name)| name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_from_session_and_key_and_never_changes() {
        let id =
            |session: &str, key: &str| id_of(&session.parse().unwrap(), &key.parse().unwrap()).to_string();
        assert_eq!(id("chat-1", "message-17"), "4700f9cb35f7");
        let others = [id("chat-1", "message-18"), id("chat-2", "message-17"), id("chat-1m", "essage-17")];
        assert!(others.iter().all(|other| *other != id("chat-1", "message-17")));
    }
}
