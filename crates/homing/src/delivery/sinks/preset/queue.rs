//! Notifies a session that a process of the harness has open: puts the wake into the queue of the harness, and watches
//! until the agent has answered it.
//!
//! The queue and the transcript of the harness tell where the wake is. So an attempt first looks there, and never sends a
//! wake a second time, or another way, while it waits in the queue: also after the monitor that queued it was killed.

use std::path::Path;
use std::time::{Duration, Instant};

use homing_core::{Delivery, Wake, format_duration};
use homing_supervisor::platform::notify::{ChangeKinds, ChangeWatcher};
use homing_supervisor::platform::wait::{AsWaitSource, wait};

use super::run::RunSink;
use crate::config::Acknowledge;
use crate::harness::{Holder, MessageState, QueueTransport, QueuedMessage};
use crate::process::exit::{Exit, SinkExit};

/// Longest time for the program that queues a message. Codex 0.169 takes 0.1 s.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long to watch for the beginning of the turn. Codex looks into its queue at once or within 10 seconds. A turn that
/// runs may take far longer: then the answer is busy, which frees the slot of the sink.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// How long a message may be neither in the queue nor in the transcript before it counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(5);

/// Pause between two looks at the queue and at the lock, neither of which reports changes. The transcript does.
const TICK: Duration = Duration::from_millis(500);

fn busy(reason: String) -> Delivery {
    Delivery::Busy { retry_after: None, reason }
}

impl RunSink {
    /// Notifies the session if a process has it open. `None` if no process has it open and nothing waits in its queue: then
    /// it may be resumed.
    pub(super) fn deliver_to_open(&self, queue: &QueueTransport, wake: &Wake) -> Option<Delivery> {
        let session = wake.session.as_str();
        let found = QueuedMessage::find(queue, session, wake.id.to_string(), &wake.content.text, &self.paths);
        let mut message = match found {
            Ok(message) => message,
            Err(reason) => return Some(busy(reason)),
        };
        // The lock before the message: a process that ends has written all that it will write.
        let holder = message.holder(self.arguments_of);
        let state = match message.observe() {
            // The agent had it and did not acknowledge it in time.
            Ok(MessageState::Received) if self.acknowledge == Acknowledge::Explicit => {
                Ok(MessageState::Absent)
            }
            state => state,
        };
        match (state, holder) {
            (Ok(MessageState::Received), _) => Some(Delivery::Delivered),
            (Ok(MessageState::Waiting), Holder::Nobody) => Some(self.waits_unopened(session)),
            (
                Ok(MessageState::Waiting | MessageState::Running),
                Holder::Interactive { .. } | Holder::Other { .. },
            ) => Some(self.watch(&mut message, session)),
            (_, Holder::Nobody) => self.may_resume(&message),
            (Err(reason), Holder::Interactive { .. }) => Some(busy(reason)),
            (_, Holder::Other { pid }) => Some(busy(format!(
                "the session is open in a program that does not wait for messages, process {pid}"
            ))),
            (Ok(MessageState::Absent | MessageState::Ended(_)), Holder::Interactive { pid }) => {
                Some(match message.check_traceable() {
                    Ok(()) => {
                        message.expect_again();
                        self.queue(queue, wake, &mut message)
                    }
                    Err(reason) => busy(format!("the session is open in process {pid}: {reason}")),
                })
            }
        }
    }

    /// `None` if nothing waits in the queue. A resumed session would start a turn with it and abort it.
    fn may_resume(&self, message: &QueuedMessage<'_>) -> Option<Delivery> {
        match message.count_waiting() {
            Ok(0) => None,
            Ok(count) => Some(busy(format!(
                "{count} messages of others wait for this session in the queue of {}, and would be lost if it were resumed \
                 without a user; open it",
                self.profile.name
            ))),
            Err(reason) => Some(busy(reason)),
        }
    }

    fn waits_unopened(&self, session: &str) -> Delivery {
        let name = self.profile.name;
        busy(format!("the message waits in the queue of {name} until session {session} is opened"))
    }

    /// Queues the message, and watches it.
    fn queue(&self, queue: &QueueTransport, wake: &Wake, message: &mut QueuedMessage<'_>) -> Delivery {
        let argv = self.queue_argv(queue, wake);
        let queued = match self.program(argv, wake, QUEUE_TIMEOUT.min(self.timeout)).run() {
            Ok(queued) => queued,
            Err(error) => return Delivery::Failed { error: error.to_string() },
        };
        // A program that failed may have queued it.
        let mut is_absent = || matches!(message.observe(), Ok(MessageState::Absent));
        if queued.exit != Exit::Code(0) && is_absent() {
            return self.not_queued(&queued);
        }
        self.watch(message, wake.session.as_str())
    }

    fn queue_argv(&self, queue: &QueueTransport, wake: &Wake) -> Vec<String> {
        let words = queue.argv.iter().enumerate().map(|(index, word)| match &self.program {
            Some(program) if index == 0 => program.clone(),
            Some(_) | None if word.contains("{text}") => {
                word.replace("{text}", &self.profile.preset().text(&wake.content.text))
            }
            Some(_) | None => word.replace("{session}", wake.session.as_str()),
        });
        words.collect()
    }

    fn not_queued(&self, queued: &SinkExit) -> Delivery {
        let name = self.profile.name;
        match queued.exit {
            Exit::Code(_) => busy(format!(
                "the session is open, and its queue does not take messages ({name}: {})",
                queued.last_line()
            )),
            Exit::Signal(_) | Exit::TimedOut { .. } => Delivery::Failed {
                error: format!("cannot queue the message: {name}: {}", queued.description()),
            },
        }
    }

    /// Watches a queued message until the agent has answered it, or it is known that this takes longer.
    fn watch(&self, message: &mut QueuedMessage<'_>, session: &str) -> Delivery {
        let name = self.profile.name;
        let watcher = message.rollout_path().and_then(watcher);
        let began = Instant::now();
        let mut absent_since = None;
        loop {
            let is_open = message.holder(self.arguments_of) != Holder::Nobody;
            let state = match message.observe() {
                Ok(state) => state,
                Err(reason) => return busy(reason),
            };
            let waited = began.elapsed();
            if state != MessageState::Absent {
                absent_since = None;
            }
            match state {
                MessageState::Received => return Delivery::Delivered,
                MessageState::Ended(reason) => {
                    return Delivery::Failed { error: format!("the agent did not answer: {reason}") };
                }
                MessageState::Waiting if !is_open => return self.waits_unopened(session),
                MessageState::Waiting if waited >= START_TIMEOUT.min(self.timeout) => {
                    return busy(format!("the message waits in the queue of {name} for the end of a turn"));
                }
                MessageState::Running if !is_open => {
                    return Delivery::Failed { error: format!("{name} ended before the agent answered") };
                }
                MessageState::Running if waited >= self.timeout => {
                    let limit = format_duration(self.timeout);
                    return busy(format!("the agent has the message, and has not answered within {limit}"));
                }
                MessageState::Absent => {
                    let since = *absent_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= LOST_AFTER {
                        let error = format!("{name} has queued the message and lost it");
                        return Delivery::Failed { error };
                    }
                }
                MessageState::Waiting | MessageState::Running => {}
            }
            pause(watcher.as_ref());
        }
    }
}

/// Reports when a transcript is written. `None` if the user has no watch left: then it is read after each pause.
fn watcher(transcript: &Path) -> Option<ChangeWatcher> {
    let watcher = ChangeWatcher::new().ok()?;
    watcher.watch(transcript, ChangeKinds::WRITTEN).ok()??;
    Some(watcher)
}

fn pause(watcher: Option<&ChangeWatcher>) {
    match watcher {
        Some(watcher) => {
            // The caller looks at everything afterwards, interrupted or not.
            let _ = wait(&[watcher.as_wait_source()], Some(TICK));
            watcher.for_each_event(|_| {});
        }
        None => std::thread::sleep(TICK),
    }
}
