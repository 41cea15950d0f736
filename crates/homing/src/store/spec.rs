//! What a host asks for when it launches a job.

use std::path::PathBuf;
use std::time::Duration;

use homing_core::{FollowUpPolicy, JobCommand, JobKey, LeftoverPolicy, SessionId};

use crate::Result;

/// A request for one job. Only the command is needed; everything else has a default.
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
    /// Arguments were given to a script, which takes none.
    pub(crate) has_misplaced_arguments: bool,
    pub(crate) session: SessionId,
    pub(crate) key: Option<JobKey>,
    pub(crate) name: Option<String>,
    pub(crate) current_dir: Option<PathBuf>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) timeout: Timeout,
    pub(crate) grace: Option<Duration>,
    pub(crate) leftovers: LeftoverPolicy,
    pub(crate) follow_up: FollowUpPolicy,
    pub(crate) harness: Option<String>,
    pub(crate) sink: Option<String>,
}

/// How long a job may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timeout {
    /// As long as the configuration says; an hour where it says nothing.
    #[default]
    Configured,
    /// As long as it likes.
    None,
    /// That long.
    After(Duration),
}

impl From<Duration> for Timeout {
    fn from(timeout: Duration) -> Timeout {
        Timeout::After(timeout)
    }
}

impl JobSpec {
    /// A job that runs `command`, for the session `default`.
    pub fn new(command: JobCommand) -> JobSpec {
        JobSpec {
            command,
            has_misplaced_arguments: false,
            session: SessionId::default_session(),
            key: None,
            name: None,
            current_dir: None,
            environment: Vec::new(),
            timeout: Timeout::Configured,
            grace: None,
            leftovers: LeftoverPolicy::default(),
            follow_up: FollowUpPolicy::default(),
            harness: None,
            sink: None,
        }
    }

    /// A job that runs a script in `bash`, or in `sh` where there is no `bash`.
    ///
    /// # Errors
    /// When the script is blank or holds a NUL byte.
    pub fn script(text: impl Into<String>) -> Result<JobSpec> {
        Ok(JobSpec::new(JobCommand::script(text)?))
    }

    /// A job that runs a program, with exactly the arguments that [`JobSpec::arg`] and [`JobSpec::args`] add. It is looked
    /// up in `PATH` where its name has no slash. No shell reads it.
    ///
    /// A program that is empty, or that holds a NUL byte, is an error of the launch.
    pub fn program(program: impl Into<String>) -> JobSpec {
        JobSpec::new(JobCommand::Argv(vec![program.into()]))
    }

    /// Adds an argument of a program.
    ///
    /// A script takes no arguments: then the launch fails.
    #[must_use]
    pub fn arg(self, argument: impl Into<String>) -> JobSpec {
        self.args([argument])
    }

    /// Adds arguments of a program.
    ///
    /// A script takes no arguments: then the launch fails.
    #[must_use]
    pub fn args<I: IntoIterator<Item = S>, S: Into<String>>(mut self, arguments: I) -> JobSpec {
        let arguments = arguments.into_iter().map(Into::into);
        match &mut self.command {
            JobCommand::Argv(words) => words.extend(arguments),
            JobCommand::Script(_) => self.has_misplaced_arguments |= arguments.count() > 0,
        }
        self
    }

    /// Sets the session that hears of the end.
    #[must_use]
    pub fn session(self, session: SessionId) -> JobSpec {
        JobSpec { session, ..self }
    }

    /// Sets a key, under which the session launches one job, however often the launch is repeated: by a host that was
    /// killed before it noted the job, or by several processes at once. The first launch runs the command; later ones
    /// answer with the same job, as it is then. Once the job is pruned, the key is free again.
    ///
    /// A later launch has to ask for the same: command, directory, name, leftovers and follow-up policy, and where it
    /// names them also time limit, grace period and sink. Otherwise it fails with
    /// [`Error::KeyTaken`](crate::Error::KeyTaken). Environment variables are not compared, because nothing of their
    /// values is written to disk; they count when the command is started.
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

    /// Sets the session, and the harness it belongs to, as the environment names them.
    #[must_use]
    pub fn origin(self, origin: crate::Origin) -> JobSpec {
        JobSpec { session: origin.session, harness: origin.harness, ..self }
    }

    /// Sets the sink that its session is woken through, by the name it has in the configuration. Without this the
    /// routes decide.
    #[must_use]
    pub fn sink(self, name: impl Into<String>) -> JobSpec {
        JobSpec { sink: Some(name.into()), ..self }
    }

    /// Sets a name for people. An empty one is no name.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> JobSpec {
        JobSpec { name: Some(name.into()).filter(|name| !name.trim().is_empty()), ..self }
    }

    /// Sets the working directory; the launching process's own otherwise.
    #[must_use]
    pub fn current_dir(self, directory: impl Into<PathBuf>) -> JobSpec {
        JobSpec { current_dir: Some(directory.into()), ..self }
    }

    /// Sets an environment variable, on top of those that are inherited. Never written to disk.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> JobSpec {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets how long it may run: a [`Duration`], or a [`Timeout`].
    #[must_use]
    pub fn timeout(self, timeout: impl Into<Timeout>) -> JobSpec {
        JobSpec { timeout: timeout.into(), ..self }
    }

    /// Sets the time between SIGTERM and SIGKILL.
    #[must_use]
    pub fn grace(self, grace: Duration) -> JobSpec {
        JobSpec { grace: Some(grace), ..self }
    }

    /// Sets what happens to processes that outlive the main process.
    #[must_use]
    pub fn leftovers(self, leftovers: LeftoverPolicy) -> JobSpec {
        JobSpec { leftovers, ..self }
    }

    /// Sets when the session hears of the end.
    #[must_use]
    pub fn follow_up(self, follow_up: FollowUpPolicy) -> JobSpec {
        JobSpec { follow_up, ..self }
    }
}
