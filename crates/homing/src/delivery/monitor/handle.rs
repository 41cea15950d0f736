//! A prepared monitor, and the handle that other threads control it with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use homing_core::SessionId;
use homing_supervisor::platform::wait::{WaitSource, wait};

use super::mailbox::{Mailbox, MailboxSender, Message};
use super::options::MonitorOptions;
use super::settings::Settings;
use crate::context::Context;

/// A monitor that has not been started yet.
///
/// ```
/// use std::sync::mpsc;
/// use homing::{Delivery, JobSpec, MonitorOptions, OpenOptions, Sink, Wake};
///
/// /// A host's own sink.
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
/// let homing = OpenOptions::new().home(folder.path().join("home")).open()?;
/// let (sender, received) = mpsc::channel();
/// let options = MonitorOptions::new().sink("chats", Chats(sender)).route("chat-*", "chats");
/// let monitor = homing.monitor(options)?;
/// let handle = monitor.handle();
/// let running = std::thread::spawn(|| monitor.run());
///
/// homing.launch(JobSpec::script("echo hello")?.session("chat-1".parse()?))?;
/// assert!(received.recv()?.contains("hello"));
/// handle.stop();
/// running.join().expect("the monitor does not panic")?;
/// # Ok(())
/// # }
/// ```
pub struct Monitor {
    pub(super) context: Arc<Context>,
    pub(super) settings: Settings,
    pub(super) options: MonitorOptions,
    pub(super) sender: MailboxSender,
    pub(super) mailbox: Mailbox,
}

/// Controls a running monitor from any thread.
#[derive(Clone)]
pub struct MonitorHandle {
    sender: MailboxSender,
}

impl MonitorHandle {
    /// Requests a stop: the monitor starts no more attempts and waits for those in flight. A second call ends the
    /// wait.
    pub fn stop(&self) {
        self.sender.send(Message::Stop);
    }

    /// Reports that a busy session is free, so that the monitor retries its wakes at once.
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
    /// A handle to control it while it runs.
    pub fn handle(&self) -> MonitorHandle {
        MonitorHandle { sender: self.sender.clone() }
    }

    /// Waits for a message, for `other`, or until the timeout.
    pub(super) fn wait(&self, other: Option<WaitSource<'_>>, timeout: Option<Duration>) {
        let message = self.mailbox.wait_source();
        // The caller checks everything again, whatever ended the wait.
        let _ = match other {
            Some(other) => wait(&[message, other], timeout),
            None => wait(&[message], timeout),
        };
    }
}
