//! The monitor: turns the ends of jobs into wakes. One is active per home; it waits for the kernel to tell it
//! something, never polls, and decides through the transitions of the core.
//!
//! | to see how | read |
//! |---|---|
//! | it lives, and what it waits for | `active.rs` |
//! | it decides what to tell a session | `tell.rs` |
//! | it gives wakes to sinks, many with one commit | `waking.rs` |
//! | it decides how many are under way at once | `slots.rs` |
//! | a sink works in a thread | `deliver.rs` |
//! | it hears of the ends of jobs | `watcher.rs`, `hear.rs` |
//! | it tries again to read a job that it could not read | `unreadable.rs` |
//! | it keeps the limit of a job whose supervisor is stopped | `limits.rs` |
//! | it removes what is old | `retention.rs` |
//! | it is the only one | `lock.rs` |
//! | it is started when it is needed | `on_demand.rs` |

mod active;
mod decide;
mod deliver;
mod event_json;
mod events;
mod home_watcher;
mod ingest;
mod limits;
mod lock;
mod mailbox;
mod on_demand;
mod retention;
mod settings;
mod slots;
mod timers;
mod unreadable;
mod waking;

pub(crate) use decide::WakeStyle;
pub use events::MonitorEvent;
pub(crate) use on_demand::run_on_demand;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use homing_core::{SessionId, format_duration};
use homing_supervisor::DiskError;
use homing_supervisor::platform::clock::timespec;
use rustix::event::{PollFd, PollFlags, poll};

use crate::config::{RouteConfig, SinkConfig, SinkKind};
use crate::homing::Homing;
use crate::sinks::Sink;
use crate::{Error, Result};
use active::Active;
use lock::MonitorLock;
use mailbox::{Mailbox, MailboxSender, Message, mailbox};
use settings::Settings;

/// How long a monitor that is to stop waits for sinks at work. After that their wakes are handed back: the next
/// monitor waits for what is left of them, and sends them again.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// When a monitor that stands by asks for the lock again after that failed: at first, and at most.
const STANDBY_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long a monitor runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MonitorUntil {
    /// Until it is told to stop. Where another one is active, it waits and takes over.
    #[default]
    Stopped,
    /// Until no job runs and nothing will have to be told. Where another one is active, that one does the work.
    Idle,
    /// Until nothing is due now. Where another one is active, that one does the work.
    NothingDue,
}

/// How a monitor works, beyond what the configuration says.
#[derive(Clone, Default)]
pub struct MonitorOptions {
    until: MonitorUntil,
    sinks: Vec<(String, Arc<dyn Sink>)>,
    routes: Vec<RouteConfig>,
    command: Option<SinkConfig>,
    observer: Option<Observer>,
    heartbeat: Option<Duration>,
    patience: Option<Duration>,
}

/// Whoever wants to hear what a monitor does.
type Observer = Arc<dyn Fn(&MonitorEvent) + Send + Sync>;

impl MonitorOptions {
    /// A monitor that runs until it is stopped, with the sinks and routes of the configuration.
    pub fn new() -> MonitorOptions {
        MonitorOptions::default()
    }

    /// Sets how long it runs.
    #[must_use]
    pub fn until(self, until: MonitorUntil) -> MonitorOptions {
        MonitorOptions { until, ..self }
    }

    /// Adds a sink of the host's own, in its own process. One of that name in the configuration gives way.
    #[must_use]
    pub fn sink(mut self, name: impl Into<String>, sink: impl Sink + 'static) -> MonitorOptions {
        self.sinks.push((name.into(), Arc::new(sink)));
        self
    }

    /// Adds a route: sessions that fit `pattern` (`*` is any text, `?` any character) are woken by that sink. Routes
    /// that are added are tried in their order, and before those of the configuration.
    #[must_use]
    pub fn route(mut self, pattern: impl Into<String>, sink: impl Into<String>) -> MonitorOptions {
        self.routes.push(RouteConfig { session: Some(pattern.into()), harness: None, sink: sink.into() });
        self
    }

    /// Adds a program that is started for every wake, of whatever session: a command sink with the document
    /// `homing.wake/1` on its standard input. It runs in the current directory. Its name is `command`, and its route
    /// comes before all others.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] where this is no proper command.
    pub fn command<I: IntoIterator<Item = S>, S: Into<String>>(self, argv: I) -> Result<MonitorOptions> {
        let argv = argv.into_iter().map(Into::into).collect();
        let mut sink = SinkConfig::from_command(argv).map_err(Error::InvalidRequest)?;
        if let SinkKind::Command(command) = &mut sink.kind {
            command.directory = std::env::current_dir().ok();
        }
        Ok(MonitorOptions { command: Some(sink), ..self })
    }

    /// Sets who hears what it does. Called from the monitor's own thread: it must not block.
    #[must_use]
    pub fn observe(self, observer: impl Fn(&MonitorEvent) + Send + Sync + 'static) -> MonitorOptions {
        MonitorOptions { observer: Some(Arc::new(observer)), ..self }
    }

    /// Sets how often [`MonitorEvent::Alive`] is sent; never without this. It is the only thing that makes an idle
    /// monitor wake up.
    #[must_use]
    pub fn heartbeat(self, every: Duration) -> MonitorOptions {
        MonitorOptions { heartbeat: Some(every), ..self }
    }

    /// Sets how long a monitor that is to stop waits for sinks at work; 30 s otherwise.
    #[must_use]
    pub fn stop_timeout(self, patience: Duration) -> MonitorOptions {
        MonitorOptions { patience: Some(patience), ..self }
    }

    fn report(&self, event: &MonitorEvent) {
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }
}

impl fmt::Debug for MonitorOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sinks: Vec<&str> = self.sinks.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("MonitorOptions")
            .field("until", &self.until)
            .field("sinks", &sinks)
            .field("routes", &self.routes)
            .finish_non_exhaustive()
    }
}

/// A monitor that has not been started yet.
///
/// ```
/// use std::sync::{Arc, mpsc};
/// use homing::{Delivery, JobSpec, MonitorOptions, OpenOptions, Sink, Wake};
///
/// /// A host's own way to tell its agents.
/// struct Chats(mpsc::Sender<String>);
///
/// impl Sink for Chats {
///     fn deliver(&self, wake: &Wake) -> Delivery {
///         match self.0.send(wake.content.text.clone()) {
///             Ok(()) => Delivery::Delivered,
///             Err(gone) => Delivery::Failed { error: gone.to_string() },
///         }
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # homing::supervise_if_asked();
/// # let folder = tempfile::tempdir()?;
/// let homing = Arc::new(OpenOptions::new().home(folder.path().join("home")).open()?);
/// let (sender, told) = mpsc::channel();
/// let options = MonitorOptions::new().sink("chats", Chats(sender)).route("chat-*", "chats");
/// let monitor = homing.monitor(options)?;
/// let handle = monitor.handle();
/// let running = std::thread::spawn(|| monitor.run());
///
/// homing.launch(JobSpec::script("echo hello")?.session("chat-1".parse()?))?;
/// assert!(told.recv()?.contains("hello"));
/// handle.stop();
/// running.join().expect("the monitor does not panic")?;
/// # Ok(())
/// # }
/// ```
pub struct Monitor {
    homing: Arc<Homing>,
    settings: Settings,
    options: MonitorOptions,
    sender: MailboxSender,
    mailbox: Mailbox,
}

/// A way to talk to a monitor that runs, from any thread.
#[derive(Clone)]
pub struct MonitorHandle {
    sender: MailboxSender,
}

impl MonitorHandle {
    /// Asks it to stop: it takes up no more wakes, and waits a while for sinks at work. Asked twice, it waits no longer.
    pub fn stop(&self) {
        self.sender.send(Message::Stop);
    }

    /// Says that a session which was busy can take a wake now, so that it need not wait for the next attempt.
    pub fn session_is_free(&self, session: &SessionId) {
        self.sender.send(Message::SessionFree(session.clone()));
    }
}

impl fmt::Debug for MonitorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MonitorHandle")
    }
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Homing {
    /// Prepares a monitor with the sinks and routes of the configuration and of `options`.
    ///
    /// # Errors
    /// When a sink cannot be made: a file it names cannot be read, or is not safe. [`Error::ConfigRefused`] where somebody
    /// else could have written the configuration.
    pub fn monitor(self: &Arc<Self>, options: MonitorOptions) -> Result<Monitor> {
        self.check_config_is_trusted()?;
        let settings = Settings::new(&self.config, self.home_path(), &options)?;
        let (sender, mailbox) = mailbox().map_err(|error| DiskError::new("make", "a pipe", error))?;
        Ok(Monitor { homing: Arc::clone(self), settings, options, sender, mailbox })
    }

    /// The process id of the active monitor of this home, 0 where it is not known; `None` where none is active.
    ///
    /// # Errors
    /// When the home cannot be read.
    pub fn active_monitor(&self) -> Result<Option<u32>> {
        Ok(MonitorLock::holder(&self.home.root)?)
    }
}

/// Why a monitor returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MonitorEnd {
    /// It was told to stop.
    Stopped,
    /// What it was to do is done.
    Done,
    /// Another one is active, and does it.
    LeftToAnother,
}

impl Monitor {
    /// A way to talk to it while it runs.
    pub fn handle(&self) -> MonitorHandle {
        MonitorHandle { sender: self.sender.clone() }
    }

    /// Runs it in this thread.
    ///
    /// # Errors
    /// When the home cannot be used at the start. Later trouble is told to the observer, and tried again.
    pub fn run(self) -> Result<MonitorEnd> {
        let mut freed = HashSet::new();
        let Some(lock) = self.lock(&mut freed)? else {
            let stopped = self.options.until == MonitorUntil::Stopped;
            return Ok(if stopped { MonitorEnd::Stopped } else { MonitorEnd::LeftToAnother });
        };
        Active::new(&self, lock, freed).run()
    }

    /// Takes the lock, and waits for it where it is to take over. `None` where it does not become active. Sessions that
    /// are said to be free meanwhile are added to `freed`: the monitor before may have found them busy.
    fn lock(&self, freed: &mut HashSet<SessionId>) -> Result<Option<MonitorLock>> {
        let home = &self.homing.home.root;
        if let Some(lock) = MonitorLock::try_take(home)? {
            return Ok(Some(lock));
        }
        if self.options.until != MonitorUntil::Stopped {
            return Ok(None);
        }
        let pid = MonitorLock::holder(home)?.unwrap_or(0);
        self.options.report(&MonitorEvent::Standby { pid });
        let cancelled = Arc::new(AtomicBool::new(false));
        let mut pause = STANDBY_PAUSE.0;
        // When the lock is asked for again, where that failed.
        let mut ask_at = Some(Instant::now());
        loop {
            if ask_at.is_some_and(|at| at <= Instant::now()) {
                // Without a thread that waits, the lock is still taken once it is free.
                if let Some(lock) = MonitorLock::try_take(home)? {
                    return Ok(Some(lock));
                }
                let sender = self.sender.clone();
                let answer = move |lock| sender.send(Message::Locked(lock));
                ask_at = match MonitorLock::wait(home, Arc::clone(&cancelled), answer) {
                    Ok(()) => None,
                    Err(error) => Some(self.standby_warning(&error, &mut pause)),
                };
            }
            let left = ask_at.map(|at| at.saturating_duration_since(Instant::now()));
            self.wait(&[], self.options.heartbeat.into_iter().chain(left).min());
            self.options.report(&MonitorEvent::Alive);
            for message in self.mailbox.take() {
                match message {
                    Message::Locked(Ok(lock)) => return Ok(Some(lock)),
                    Message::Locked(Err(error)) => ask_at = Some(self.standby_warning(&error, &mut pause)),
                    Message::Stop => {
                        cancelled.store(true, Ordering::Relaxed);
                        return Ok(None);
                    }
                    Message::SessionFree(session) => drop(freed.insert(session)),
                    Message::Answered { .. } | Message::AnswerLost { .. } => {}
                }
            }
        }
    }

    /// Says why the lock could not be waited for, and answers when to try again.
    fn standby_warning(&self, error: &DiskError, pause: &mut Duration) -> Instant {
        let message = format!("{error}; trying again in {}", format_duration(*pause));
        self.options.report(&MonitorEvent::Warning { message });
        let next = Instant::now() + *pause;
        *pause = (*pause * 2).min(STANDBY_PAUSE.1);
        next
    }

    /// Waits for a message, for one of the other descriptors, or until the time is over.
    fn wait(&self, others: &[std::os::fd::BorrowedFd<'_>], timeout: Option<Duration>) {
        let mut polled = vec![PollFd::new(&self.mailbox, PollFlags::IN)];
        polled.extend(others.iter().map(|other| PollFd::new(other, PollFlags::IN)));
        let timeout = timeout.map(timespec);
        // Whatever ended the wait, everything is looked at again.
        let _ = poll(&mut polled, timeout.as_ref());
    }
}
