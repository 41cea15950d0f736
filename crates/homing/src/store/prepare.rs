//! Writes a job to disk before its supervisor is started, makes it durable, and removes it if the launch fails. Does not
//! start processes.

use std::io;
use std::path::{Path, PathBuf};

use homing_core::{JobCommand, JobId, JobLimits, Shell, as_millis};
use homing_supervisor::layout::{Directory, LOCK, SPEC, SPEC_NEW, notify_change};
use homing_supervisor::platform::{clock, random, shell};
use homing_supervisor::{DiskError, JobLock, Record, RunBy, SpecFile, WrittenSpec, crash_point, write_all};

use crate::store::job_store::JobStore;
use crate::store::spec::{JobSpec, Timeout};
use crate::{Error, Result};

/// A job that is on disk but not yet durable.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) spec: SpecFile,
    pub(crate) directory: Directory,
    pub(crate) record: Record,
    pub(crate) written: WrittenSpec,
}

impl JobStore {
    /// Creates the job's directory with its files, and its inbox entry. Nothing is durable yet.
    pub(crate) fn prepare(&self, request: &JobSpec) -> Result<Prepared> {
        let spec = self.spec_file(request, random_id()?)?;
        let id = spec.id;
        if !self.home.jobs.make_directory(id.as_str())? {
            let taken = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(self.home.jobs.error("make", id.as_str(), taken).into());
        }
        crash_point("launch/directory_made");
        let prepared = self.home.jobs.open_job(id).and_then(|directory| {
            let (record, written) = fill(&directory, &spec)?;
            notify_change(&self.home.inbox, id)?;
            Ok(Prepared { spec, directory, record, written })
        });
        if prepared.is_err() {
            self.remove_job_files(id);
        }
        crash_point("launch/inbox_entry_made");
        Ok(prepared?)
    }

    /// Creates the spec from the request and the defaults.
    pub(crate) fn spec_file(&self, request: &JobSpec, id: JobId) -> Result<SpecFile> {
        let defaults = self.loaded.config.defaults.limits();
        let request = request.clone();
        if request.has_misplaced_arguments {
            return Err(Error::InvalidRequest(
                "a script takes no arguments; use a program instead".to_owned(),
            ));
        }
        let tail_bytes = request.tail_bytes(request.output_tail_bytes.unwrap_or(defaults.tail_bytes));
        let command = request.command.checked()?;
        let shell = match &command {
            // The executor checks it.
            JobCommand::Script(_) if request.executor.is_some() => request.shell.unwrap_or_default(),
            JobCommand::Script(_) => self.shell_for(request.shell)?,
            JobCommand::Argv(_) => Shell::default(),
        };
        let cwd = match &request.executor {
            Some(_) => directory_there(request.current_dir.as_deref())?,
            None => existing_directory(request.current_dir.as_deref())?,
        };
        let timeout = match request.timeout {
            Timeout::Configured => defaults.timeout,
            Timeout::None => None,
            Timeout::After(limit) if limit.is_zero() => {
                return Err(Error::InvalidRequest("a timeout of zero ends every job at once".to_owned()));
            }
            Timeout::After(limit) => Some(limit),
        };
        let timeout = self.loaded.config.limits.clamp(timeout);
        if request.name.as_ref().is_some_and(|name| name.len() > 1000 || name.contains('\0')) {
            return Err(Error::InvalidRequest(
                "a name must not exceed 1,000 bytes or contain NUL".to_owned(),
            ));
        }
        if let Some(sink) = request.sink.as_ref().filter(|sink| self.loaded.config.sink(sink).is_none()) {
            self.loaded.check_is_trusted()?;
            return Err(Error::NoSuchSink {
                name: sink.clone(),
                known: self.loaded.config.sink_names().into_iter().map(str::to_owned).collect(),
            });
        }
        let limits = JobLimits {
            head_bytes: request.output_head_bytes.unwrap_or(defaults.head_bytes),
            tail_bytes: request.output_tail_bytes.unwrap_or(defaults.tail_bytes),
            ..defaults
        };
        limits.check_output().map_err(Error::InvalidRequest)?;
        let mut env_names: Vec<String> = request.environment.into_iter().map(|(name, _)| name).collect();
        env_names.sort_unstable();
        env_names.dedup();
        let failed = |error| DiskError::new("read", "/proc", error);
        let launched_from = RunBy::this_machine().map_err(failed)?;
        Ok(SpecFile {
            schema: SpecFile::schema_for(request.executor.as_deref()),
            id,
            session: request.session,
            key: request.key,
            name: request.name,
            command,
            shell,
            cwd,
            env_names,
            created_at_ms: clock::wall_millis(),
            created_uptime_us: u64::try_from(clock::uptime().as_micros()).unwrap_or(u64::MAX),
            boot_id: launched_from.boot_id.clone(),
            launched_from: Some(launched_from),
            timeout_ms: timeout.map(as_millis),
            grace_ms: as_millis(request.grace.unwrap_or(defaults.grace)),
            head_bytes: limits.head_bytes,
            tail_bytes,
            leftovers: request.leftovers,
            follow_up: request.follow_up,
            harness: request.harness,
            sink: request.sink,
            executor: request.executor,
        })
    }

    /// The shell for a script: the requested one, else that of the configuration, else that of the system. Fails if the
    /// system does not have a shell that somebody chose.
    fn shell_for(&self, requested: Option<Shell>) -> Result<Shell> {
        let Some(chosen) = requested.or(self.loaded.config.defaults.shell) else {
            return Ok(shell::default());
        };
        if chosen != shell::default() {
            shell::find(chosen).map_err(|error| {
                Error::InvalidRequest(format!("the shell {chosen} cannot run the script: {error}"))
            })?;
        }
        Ok(chosen)
    }

    /// Syncs the spec and the two directories that lead to it, so that the job survives a power cut. Does not sync the
    /// record, because a power cut makes its content obsolete, nor the inbox entry: after a boot every job is observed.
    pub(crate) fn make_durable(&self, directory: &Directory, written: &WrittenSpec) -> Result<(), DiskError> {
        written.sync().map_err(|e| directory.error("sync", SPEC, e))?;
        directory.sync()?;
        self.home.jobs.sync()
    }

    /// Removes a job whose supervisor could not be started.
    pub(crate) fn withdraw(&self, prepared: Prepared) {
        let id = prepared.spec.id;
        {
            // While the lock is held, no other process can recover this job.
            let _lock = JobLock::try_acquire(&prepared.directory);
            self.remove_job_files(id);
        }
        let _ = self.home.inbox.remove_file(id.as_str());
        // Some systems keep a directory in which something is open.
        drop(prepared);
        let _ = self.home.jobs.remove_directory(id.as_str());
    }

    /// Removes a job directory, the spec first: a directory without a spec is not a job.
    pub(crate) fn remove_job_files(&self, id: JobId) {
        match self.home.jobs.open_job(id) {
            Ok(directory) => remove_files(&directory, &self.home.jobs, id.as_str()),
            Err(_) => {
                let _ = self.home.jobs.remove_directory(id.as_str());
            }
        }
    }
}

/// Creates the id of a new job.
///
/// # Errors
/// If the system has no random numbers.
pub(crate) fn random_id() -> Result<JobId, DiskError> {
    Ok(JobId::from_random(random::bytes().map_err(DiskError::no_random_bytes)?))
}

/// Removes everything in `directory`, the spec first, and then its name in `parent`. If another directory has that name
/// meanwhile, that directory stays, because it is not empty.
pub(crate) fn remove_files(directory: &Directory, parent: &Directory, name: &str) {
    let named = [SPEC, SPEC_NEW].map(str::to_owned);
    for file in named.into_iter().chain(directory.names().unwrap_or_default()) {
        let _ = directory.remove_file(&file);
    }
    let _ = parent.remove_directory(name);
}

/// Writes everything that a supervisor needs into an empty directory, the spec last.
pub(crate) fn fill(directory: &Directory, spec: &SpecFile) -> Result<(Record, WrittenSpec), DiskError> {
    let record = Record::create(directory)?;
    crash_point("launch/record_made");
    // Create it here, not in the supervisor, so that the directory does not change while it is synced.
    drop(directory.create(LOCK)?);
    if let (JobCommand::Script(text), None) = (&spec.command, &spec.executor) {
        let name = spec.shell.script_name();
        let script = directory.create(name)?;
        write_all(&script, &spec.shell.script_bytes(text)).map_err(|e| directory.error("write", name, e))?;
        crash_point("launch/script_written");
    }
    let written = spec.write(directory)?;
    crash_point("launch/spec_written");
    Ok((record, written))
}

/// The directory of a job on an executor, as it is written into the spec.
pub(crate) fn directory_there(requested: Option<&Path>) -> Result<PathBuf> {
    let path = requested.unwrap_or(Path::new("~"));
    let text = path.to_str().unwrap_or_default();
    if text == "~" || text.starts_with("~/") || text.starts_with('/') {
        return Ok(path.to_owned());
    }
    let source = io::Error::new(
        io::ErrorKind::InvalidInput,
        "on an executor it must begin with / or ~/ and be valid UTF-8",
    );
    Err(Error::InvalidDirectory { path: path.to_owned(), source })
}

/// Returns the absolute path of the requested directory, which need not exist.
pub(crate) fn absolute_directory(cwd: Option<&Path>) -> Result<PathBuf> {
    let requested = cwd.unwrap_or(Path::new("."));
    let path = if requested.is_absolute() {
        requested.to_owned()
    } else {
        let current = std::env::current_dir();
        current
            .map_err(|source| Error::InvalidDirectory { path: requested.to_owned(), source })?
            .join(requested)
    };
    Ok(path.components().filter(|part| *part != std::path::Component::CurDir).collect())
}

fn existing_directory(cwd: Option<&Path>) -> Result<PathBuf> {
    let path = absolute_directory(cwd)?;
    let invalid = |source| Error::InvalidDirectory { path: cwd.unwrap_or(Path::new(".")).to_owned(), source };
    let metadata = std::fs::metadata(&path).map_err(invalid)?;
    if !metadata.is_dir() {
        return Err(invalid(io::Error::from(io::ErrorKind::NotADirectory)));
    }
    if path.to_str().is_none() {
        return Err(invalid(io::Error::new(io::ErrorKind::InvalidInput, "its path is not valid UTF-8")));
    }
    Ok(path)
}
