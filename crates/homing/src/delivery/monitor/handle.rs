//! A monitor that is prepared, and the handle by which other threads talk to it.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use homing_core::SessionId;
use homing_supervisor::platform::clock::timespec;
use rustix::event::{PollFd, PollFlags, poll};

use super::mailbox::{Mailbox, MailboxSender, Message};
use super::options::MonitorOptions;
use super::settings::Settings;
use crate::homing::Homing;

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
    pub(super) homing: Arc<Homing>,
    pub(super) settings: Settings,
    pub(super) options: MonitorOptions,
    pub(super) sender: MailboxSender,
    pub(super) mailbox: Mailbox,
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

impl Monitor {
    /// A way to talk to it while it runs.
    pub fn handle(&self) -> MonitorHandle {
        MonitorHandle { sender: self.sender.clone() }
    }

    /// Waits for a message, for one of the other descriptors, or until the time is over.
    pub(super) fn wait(&self, others: &[BorrowedFd<'_>], timeout: Option<Duration>) {
        let mut polled = vec![PollFd::new(&self.mailbox, PollFlags::IN)];
        polled.extend(others.iter().map(|other| PollFd::new(other, PollFlags::IN)));
        let timeout = timeout.map(timespec);
        // Whatever ended the wait, everything is looked at again.
        let _ = poll(&mut polled, timeout.as_ref());
    }
}
