//! The request of a host to launch a job.

use std::path::PathBuf;
use std::time::Duration;

use homing_core::{FollowUpPolicy, Job, JobCommand, JobId, JobKey, LeftoverPolicy, SessionId, Shell};
use homing_supervisor::Streams;
use homing_supervisor::output::MIN_ATTACHED_RING_BYTES;

use crate::{Error, Result};

/// A request to launch one job. Only the command is required; all other fields have defaults.
///
/// ```
/// use std::time::Duration;
/// use homing::JobSpec;
///
/// let spec = JobSpec::script("cargo build --release && cargo test")?
///     .session("chat-1".parse()?)
///     .timeout(Duration::from_secs(1800));
/// let exact = JobSpec::program("cargo").args(["build", "--release"]).current_dir("/tmp");
/// # let _ = (spec, exact);
/// # Ok::<(), homing::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct JobSpec {
    pub(crate) command: JobCommand,
    /// Whether arguments were added to a script, which takes none.
    pub(crate) has_misplaced_arguments: bool,
    /// The shell of a script; `None` for that of the configuration.
    pub(crate) shell: Option<Shell>,
    pub(crate) session: SessionId,
    pub(crate) key: Option<JobKey>,
    pub(crate) name: Option<String>,
    pub(crate) current_dir: Option<PathBuf>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) timeout: Timeout,
    pub(crate) grace: Option<Duration>,
    pub(crate) output_head_bytes: Option<u64>,
    pub(crate) output_tail_bytes: Option<u64>,
    pub(crate) leftovers: LeftoverPolicy,
    pub(crate) follow_up: FollowUpPolicy,
    pub(crate) harness: Option<String>,
    pub(crate) sink: Option<String>,
    pub(crate) inherits_stdin: bool,
    /// How the streams reach the launcher that follows the output: see [`Homing::launch_attached`](crate::Homing).
    pub(crate) attached: Option<Streams>,
    /// Names of variables that must be set, because the repeated job had them.
    pub(crate) needed_variables: Vec<String>,
    /// The job that this request repeats.
    pub(crate) repeats: Option<JobId>,
    /// The configured executor that runs it; `None` for this machine.
    pub(crate) executor: Option<String>,
}

/// The timeout of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timeout {
    /// The timeout of the configuration. Its default is one hour.
    #[default]
    Configured,
    /// No timeout.
    None,
    /// Ends the job after this time.
    After(Duration),
}

impl From<Duration> for Timeout {
    fn from(timeout: Duration) -> Timeout {
        Timeout::After(timeout)
    }
}

impl JobSpec {
    /// Creates a request that runs `command` for the session `default`.
    pub fn new(command: JobCommand) -> JobSpec {
        JobSpec {
            command,
            has_misplaced_arguments: false,
            shell: None,
            session: SessionId::default_session(),
            key: None,
            name: None,
            current_dir: None,
            environment: Vec::new(),
            timeout: Timeout::Configured,
            grace: None,
            output_head_bytes: None,
            output_tail_bytes: None,
            leftovers: LeftoverPolicy::default(),
            follow_up: FollowUpPolicy::default(),
            harness: None,
            sink: None,
            inherits_stdin: false,
            attached: None,
            needed_variables: Vec::new(),
            repeats: None,
            executor: None,
        }
    }

    /// Creates a request that repeats an earlier job: its command, shell, session, harness, directory, name, limits, leftovers,
    /// follow-up policy and sink. Set the [origin](JobSpec::origin) if another session launches it. The key is not used again.
    ///
    /// The values of the variables that the job got are not stored. The launch refuses a request without those that
    /// [`Job::env_names`](homing_core::Job) lists, unless [`JobSpec::env`] sets them again.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// let job = homing.launch(homing::JobSpec::script("echo $TOKEN")?.env("TOKEN", "secret"))?;
    /// assert_eq!(homing.launch(homing::JobSpec::again(&job)).unwrap_err().code(), "missing_variables");
    /// let again = homing.launch(homing::JobSpec::again(&job).env("TOKEN", "secret"))?;
    /// # homing.wait(&[job.id, again.id], homing::WaitFor::All, None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn again(job: &Job) -> JobSpec {
        JobSpec {
            shell: Some(job.shell),
            session: job.session.clone(),
            harness: job.harness.clone(),
            name: job.name.clone(),
            current_dir: Some(job.cwd.clone()),
            executor: job.executor.clone(),
            timeout: job.limits.timeout.map_or(Timeout::None, Timeout::After),
            grace: Some(job.limits.grace),
            output_head_bytes: Some(job.limits.head_bytes),
            output_tail_bytes: Some(job.limits.tail_bytes),
            leftovers: job.leftovers,
            follow_up: job.follow_up_policy,
            sink: job.sink.clone(),
            needed_variables: job.env_names.clone(),
            repeats: Some(job.id),
            ..JobSpec::new(job.command.clone())
        }
    }

    /// Fails if a variable is not set that the repeated job had.
    pub(crate) fn check_variables(&self) -> Result<()> {
        let is_set = |name: &String| self.environment.iter().any(|(set, _)| set == name);
        let missing: Vec<String> =
            self.needed_variables.iter().filter(|name| !is_set(name)).cloned().collect();
        match self.repeats {
            Some(job) if !missing.is_empty() => Err(Error::MissingVariables { job, names: missing }),
            _ => Ok(()),
        }
    }

    /// Creates a request that runs a script in the shell of the configuration. Its default is `bash`, or `sh` if `bash` is
    /// not installed; on Windows the `bash` of Git for Windows, or `cmd.exe`.
    ///
    /// # Errors
    /// When the script is blank or contains a NUL byte.
    pub fn script(text: impl Into<String>) -> Result<JobSpec> {
        Ok(JobSpec::new(JobCommand::script(text)?))
    }

    /// Creates a request that runs a program with exactly the arguments that [`JobSpec::arg`] and [`JobSpec::args`] add.
    /// A name without a slash is searched in `PATH`. No shell is involved.
    ///
    /// The launch fails if the program is empty or contains a NUL byte.
    pub fn program(program: impl Into<String>) -> JobSpec {
        JobSpec::new(JobCommand::Argv(vec![program.into()]))
    }

    /// Adds an argument to a program.
    ///
    /// The launch fails if this is a script.
    #[must_use]
    pub fn arg(self, argument: impl Into<String>) -> JobSpec {
        self.args([argument])
    }

    /// Adds arguments to a program.
    ///
    /// The launch fails if this is a script.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: Into<String>>(mut self, arguments: I) -> JobSpec {
        let arguments = arguments.into_iter().map(Into::into);
        match &mut self.command {
            JobCommand::Argv(words) => words.extend(arguments),
            JobCommand::Script(_) => self.has_misplaced_arguments |= arguments.count() > 0,
        }
        self
    }

    /// Sets the shell that runs the script, in place of that of the configuration. No effect on a program.
    ///
    /// The launch fails if this system does not have the shell.
    #[must_use]
    pub fn shell(self, shell: Shell) -> JobSpec {
        JobSpec { shell: Some(shell), ..self }
    }

    /// Runs the job on another machine: on this executor of the configuration (`[executors.NAME]`). The [directory](
    /// JobSpec::current_dir) is one there; without it, the home directory of the user there. The variables of this process
    /// do not reach it, those of [`JobSpec::env`] do. Without a [key](JobSpec::key), the job gets one.
    #[must_use]
    pub fn on(self, executor: impl Into<String>) -> JobSpec {
        JobSpec { executor: Some(executor.into()), ..self }
    }

    /// Sets the session that the result is delivered to.
    #[must_use]
    pub fn session(self, session: SessionId) -> JobSpec {
        JobSpec { session, ..self }
    }

    /// Sets an idempotency key. The session launches at most one job under a key, even if a host is killed and repeats
    /// the launch, or several processes launch at once. The first launch runs the command; later launches return the
    /// current state of the same job. The key is free again when the job is pruned.
    ///
    /// A later launch must have the same command, directory, name, leftovers and follow-up policy. It must also have the
    /// same shell, timeout, grace period, output limits and sink if it sets them. Otherwise it fails with
    /// [`Error::KeyTaken`]. Environment variables are not compared, because their values are
    /// never written to disk.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// let spec = homing::JobSpec::script("make deploy")?.key("message-17".parse()?);
    /// let first = homing.launch(spec.clone())?;
    /// assert_eq!(homing.launch(spec)?.id, first.id);
    /// # homing.wait(&[first.id], homing::WaitFor::All, None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn key(self, key: JobKey) -> JobSpec {
        JobSpec { key: Some(key), ..self }
    }

    /// Sets the session and its harness, as read from the environment.
    #[must_use]
    pub fn origin(self, origin: crate::Origin) -> JobSpec {
        JobSpec { session: origin.session, harness: origin.harness, ..self }
    }

    /// Sets the sink that delivers the result, by its name in the configuration. Without this the routes decide.
    #[must_use]
    pub fn sink(self, name: impl Into<String>) -> JobSpec {
        JobSpec { sink: Some(name.into()), ..self }
    }

    /// Sets a name, or a description. An empty one is ignored. Any text is accepted, but only a
    /// [`JobName`](homing_core::JobName) refers to the job in [`Homing::find`](crate::Homing::find).
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> JobSpec {
        JobSpec { name: Some(name.into()).filter(|name| !name.trim().is_empty()), ..self }
    }

    /// Sets the working directory. The default is that of the launching process.
    #[must_use]
    pub fn current_dir(self, directory: impl Into<PathBuf>) -> JobSpec {
        JobSpec { current_dir: Some(directory.into()), ..self }
    }

    /// Sets an environment variable, in addition to the inherited ones. Its name is stored with the job, its value never.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> JobSpec {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Lets the job read the standard input of this process. Without this, its standard input is empty. The job gets the
    /// descriptor itself, so whatever it reads is gone for this process, and it can read on after this process has ended.
    ///
    /// The input is not a part of the request: it is not written to disk, and not compared under a [key](JobSpec::key).
    #[must_use]
    pub fn inherit_stdin(self) -> JobSpec {
        JobSpec { inherits_stdin: true, ..self }
    }

    /// Sets the timeout: a [`Duration`] or a [`Timeout`]. The job gets a shorter one if the configuration allows no more
    /// ([`Limits`](crate::Limits)).
    #[must_use]
    pub fn timeout(self, timeout: impl Into<Timeout>) -> JobSpec {
        JobSpec { timeout: timeout.into(), ..self }
    }

    /// Sets the time between SIGTERM and SIGKILL.
    #[must_use]
    pub fn grace(self, grace: Duration) -> JobSpec {
        JobSpec { grace: Some(grace), ..self }
    }

    /// Sets how many bytes are kept from the beginning of the output. At most 64 GiB. The default is
    /// that of the configuration, 1 MiB.
    #[must_use]
    pub fn output_head_bytes(self, bytes: u64) -> JobSpec {
        JobSpec { output_head_bytes: Some(bytes), ..self }
    }

    /// Sets how many bytes are kept from the end of the output. From 4 KiB to 64 GiB. The
    /// default is that of the configuration, 4 MiB.
    #[must_use]
    pub fn output_tail_bytes(self, bytes: u64) -> JobSpec {
        JobSpec { output_tail_bytes: Some(bytes), ..self }
    }

    /// The bytes to keep from the end of the output, if the request says `bytes`.
    pub(crate) fn tail_bytes(&self, bytes: u64) -> u64 {
        if self.attached.is_some() { bytes.max(MIN_ATTACHED_RING_BYTES) } else { bytes }
    }

    /// Sets what happens to processes that survive the main process.
    #[must_use]
    pub fn leftovers(self, leftovers: LeftoverPolicy) -> JobSpec {
        JobSpec { leftovers, ..self }
    }

    /// Sets which outcomes are delivered to the session.
    #[must_use]
    pub fn follow_up(self, follow_up: FollowUpPolicy) -> JobSpec {
        JobSpec { follow_up, ..self }
    }
}
