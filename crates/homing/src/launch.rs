//! How a job is launched: its directory is filled, its doorbell rung, its supervisor started, and everything that must
//! survive a power cut is synced to disk while the supervisor starts.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;

use homing_core::{Job, JobCommand, JobId, KilledBy, as_millis};
use homing_supervisor::layout::{Directory, LOCK, RECORD, SCRIPT, SPEC, SPEC_NEW, ring_doorbell};
use homing_supervisor::platform::clock;
use homing_supervisor::{
    APART_ARGUMENT, DiskError, JOB_VARIABLE, JobLock, Record, SUPERVISE_ARGUMENT, SpecFile, WrittenSpec,
    crash_point, write_all,
};

use crate::homing::Homing;
use crate::program::supervisor_program;
use crate::random::random_bytes;
use crate::session::{HARNESS_VARIABLE, SESSION_VARIABLE, WAKE_VARIABLE};
use crate::sighting::{Attendance, Sighting, look_closely};
use crate::spec::{JobSpec, TimeLimit};
use crate::{Error, HOME_VARIABLE, Result};

/// A job that is on disk, and not yet durable.
struct Prepared {
    spec: SpecFile,
    directory: Directory,
    record: Record,
    written: WrittenSpec,
}

impl Homing {
    /// Launches a job and returns as soon as its command runs. From then on its end will be reported, whatever dies.
    ///
    /// A command that cannot be started is a job all the same, one that is over: `failed_to_start`, with the reason.
    /// The ledger is not touched, so a locked or damaged one holds nobody up.
    ///
    /// # Errors
    /// When the request makes no sense, the disk is full, or no supervisor can be started: then nothing ran, and there
    /// is no job.
    pub fn launch(&self, spec: JobSpec) -> Result<Job> {
        self.reap_supervisors();
        let program = supervisor_program(self.supervisor.as_deref())?;
        let environment = checked_environment(&spec)?;
        let prepared = self.prepare(spec)?;
        let id = prepared.spec.id;
        let supervisor = match self.spawn(&program, &prepared, &environment) {
            Ok(supervisor) => supervisor,
            Err(source) => {
                self.withdraw(&prepared);
                return Err(Error::SupervisorNotStarted { program, source });
            }
        };
        crash_point("launch/spawned");
        let durable = self.make_durable(&prepared);
        crash_point("launch/durable");
        let answered = self.await_answer(supervisor);
        let seen = self.what_became_of(prepared, answered)?;
        if let Err(error) = durable {
            // It would not be known after a power cut, so it is not launched.
            let _ = self.request_kill(id, KilledBy::Operator);
            return Err(error.into());
        }
        Ok(seen.into_job())
    }

    /// Makes the job's directory with everything in it, and rings its doorbell. Nothing is durable yet.
    fn prepare(&self, spec: JobSpec) -> Result<Prepared> {
        let spec = self.spec_file(spec)?;
        let id = spec.id;
        if !self.home.jobs.make_directory(id.as_str())? {
            let taken = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(self.home.jobs.error("make", id.as_str(), taken).into());
        }
        crash_point("launch/directory_made");
        let filled = self.fill(spec);
        if filled.is_err() {
            self.remove_job_files(id);
        }
        Ok(filled?)
    }

    fn fill(&self, spec: SpecFile) -> Result<Prepared, DiskError> {
        let directory = self.home.jobs.open_job(spec.id)?;
        let record = Record::create(&directory)?;
        crash_point("launch/record_made");
        // Made here and not by the supervisor, so that the directory does not change any more while it is synced.
        drop(directory.create(LOCK)?);
        if let JobCommand::Script(text) = &spec.command {
            let script = directory.create(SCRIPT)?;
            let end = if text.ends_with('\n') { "" } else { "\n" };
            write_all(&script, text.as_bytes())
                .and_then(|()| write_all(&script, end.as_bytes()))
                .map_err(|e| directory.error("write", SCRIPT, e))?;
            crash_point("launch/script_written");
        }
        let written = spec.write(&directory)?;
        crash_point("launch/spec_written");
        ring_doorbell(&self.home.inbox, spec.id)?;
        crash_point("launch/doorbell_rung");
        Ok(Prepared { spec, directory, record, written })
    }

    fn spec_file(&self, spec: JobSpec) -> Result<SpecFile> {
        let defaults = self.config.defaults.limits();
        let cwd = absolute_directory(spec.cwd)?;
        let timeout = match spec.time_limit {
            TimeLimit::Configured => defaults.timeout,
            TimeLimit::None => None,
            TimeLimit::After(limit) if limit.is_zero() => {
                return Err(Error::InvalidRequest("a time limit of zero ends every job at once".to_owned()));
            }
            TimeLimit::After(limit) => Some(limit),
        };
        if spec.name.as_ref().is_some_and(|name| name.len() > 1000 || name.contains('\0')) {
            return Err(Error::InvalidRequest("a name has at most 1,000 bytes, and no NUL".to_owned()));
        }
        if let Some(sink) = spec.sink.as_ref().filter(|sink| self.config.sink(sink).is_none()) {
            return Err(Error::NoSuchSink {
                name: sink.clone(),
                known: self.config.sink_names().into_iter().map(str::to_owned).collect(),
            });
        }
        Ok(SpecFile {
            schema: SpecFile::SCHEMA.to_owned(),
            id: new_id()?,
            session: spec.session,
            name: spec.name,
            command: spec.command,
            cwd,
            created_at_ms: clock::wall_millis(),
            created_uptime_us: u64::try_from(clock::uptime().as_micros()).unwrap_or(u64::MAX),
            boot_id: self.boot_id()?,
            timeout_ms: timeout.map(as_millis),
            grace_ms: as_millis(spec.grace.unwrap_or(defaults.grace)),
            head_bytes: defaults.head_bytes,
            tail_bytes: defaults.tail_bytes,
            leftovers: spec.leftovers,
            follow_up: spec.follow_up,
            harness: spec.harness,
            sink: spec.sink,
        })
    }

    /// What the record says once the supervisor has answered, or has died without a word.
    fn what_became_of(&self, prepared: Prepared, answered: bool) -> Result<Sighting> {
        let Prepared { spec, directory, record, .. } = prepared;
        let content = record.read().map_err(|e| directory.error("read", RECORD, e))?;
        if content.started.is_some() || content.finished.is_some() {
            return Ok(Sighting {
                spec,
                started: content.started,
                finished: content.finished,
                output_kept: 0,
            });
        }
        let attendance = if answered { Attendance::MayStillCome } else { Attendance::WillNotCome };
        look_closely(&self.home.jobs, spec.id, &spec.boot_id, attendance)?
            .ok_or_else(|| Error::NoSuchJob(spec.id.to_string()))
    }

    /// Makes the knowledge of the job survive a power cut: its spec, and the names that lead to it. Not the record,
    /// whose content a power cut makes obsolete, and not the doorbell: after a boot every job is looked at.
    fn make_durable(&self, prepared: &Prepared) -> Result<(), DiskError> {
        prepared.written.sync().map_err(|e| prepared.directory.error("sync", SPEC, e))?;
        prepared.directory.sync()?;
        self.home.jobs.sync()
    }

    /// Waits until the supervisor has something to say, which is in the record then; or until it dies without a word.
    fn await_answer(&self, mut supervisor: Child) -> bool {
        let mut byte = [0];
        let answered = match &mut supervisor.stdout.take() {
            Some(answer) => answer.read_exact(&mut byte).is_ok(),
            None => false,
        };
        self.keep(supervisor);
        answered
    }

    /// Remembers a process that was started, to reap it.
    pub(crate) fn keep(&self, mut started: Child) {
        // One that stands apart has left a process that ended at once.
        if self.apart && started.wait().is_ok() {
            return;
        }
        self.supervisors.lock().unwrap_or_else(PoisonError::into_inner).push(started);
    }

    fn spawn(
        &self,
        program: &Path,
        prepared: &Prepared,
        environment: &[(String, String)],
    ) -> io::Result<Child> {
        // Without `pre_exec` and the like this is posix_spawn(3), which does not copy the page tables of a large host.
        Command::new(program)
            .arg0("homing")
            .arg(SUPERVISE_ARGUMENT)
            .arg(prepared.directory.path())
            .args(self.apart_argument())
            // What the job launches in turn belongs to the same home, however that was named.
            .env(HOME_VARIABLE, self.home_path())
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env(JOB_VARIABLE, prepared.spec.id.as_str())
            .env(SESSION_VARIABLE, prepared.spec.session.as_str())
            .env(HARNESS_VARIABLE, prepared.spec.harness.as_deref().unwrap_or_default())
            // What carries it is ended when a woken agent exceeds its time; its jobs live on.
            .env_remove(WAKE_VARIABLE)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
    }

    /// What tells a process of ours to be no child of this one, where it is to be none.
    pub(crate) fn apart_argument(&self) -> Option<&'static str> {
        self.apart.then_some(APART_ARGUMENT)
    }

    /// Takes back a job whose supervisor could not be started.
    fn withdraw(&self, prepared: &Prepared) {
        // With the lock held nobody else can come to a conclusion about this job meanwhile.
        let _lock = JobLock::try_take(&prepared.directory);
        self.remove_job_files(prepared.spec.id);
        let _ = self.home.inbox.remove_file(prepared.spec.id.as_str());
    }

    /// Removes a job directory, the spec first: from then on there is no job.
    pub(crate) fn remove_job_files(&self, id: JobId) {
        if let Ok(directory) = self.home.jobs.open_job(id) {
            for name in
                [SPEC, SPEC_NEW].map(str::to_owned).into_iter().chain(directory.names().unwrap_or_default())
            {
                let _ = directory.remove_file(&name);
            }
        }
        let _ = self.home.jobs.remove_directory(id.as_str());
    }
}

fn new_id() -> Result<JobId> {
    Ok(JobId::from_random(random_bytes()?))
}

fn absolute_directory(cwd: Option<PathBuf>) -> Result<PathBuf> {
    let asked = cwd.unwrap_or_else(|| PathBuf::from("."));
    let invalid = |source| Error::InvalidDirectory { path: asked.clone(), source };
    let current = || std::env::current_dir().map_err(invalid);
    let path = if asked.is_absolute() { asked.clone() } else { current()?.join(&asked) };
    let path: PathBuf = path.components().filter(|part| *part != std::path::Component::CurDir).collect();
    let metadata = std::fs::metadata(&path).map_err(invalid)?;
    if !metadata.is_dir() {
        return Err(invalid(io::Error::from(io::ErrorKind::NotADirectory)));
    }
    if path.to_str().is_none() {
        return Err(invalid(io::Error::new(io::ErrorKind::InvalidInput, "its path is not valid UTF-8")));
    }
    Ok(path)
}

fn checked_environment(spec: &JobSpec) -> Result<Vec<(String, String)>> {
    for (name, value) in &spec.environment {
        if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
            return Err(Error::InvalidRequest(format!("{name:?} cannot be set as an environment variable")));
        }
    }
    Ok(spec.environment.clone())
}
