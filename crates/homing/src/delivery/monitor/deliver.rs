//! Hands a wake to its sink in a separate thread: a sink may take as long as an agent's turn.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use homing_core::{Delivery, Wake};

use super::mailbox::{MailboxSender, Message};
use crate::delivery::sinks::Sink;

/// Starts one attempt. The answer always arrives as a message.
pub(super) fn deliver(wake: Wake, sink: Arc<dyn Sink>, sender: &MailboxSender) {
    let answer = {
        let (id, session, sender) = (wake.id, wake.session.clone(), sender.clone());
        let acknowledge_within = sink.acknowledge_within();
        let started = Instant::now();
        move |delivery: Delivery| {
            let took = started.elapsed();
            sender.send(Message::Answered { wake: id, session, delivery, acknowledge_within, took });
        }
    };
    let refused = answer.clone();
    let attempt = move || {
        let delivery = catch_unwind(AssertUnwindSafe(|| sink.deliver(&wake)));
        let panicked = || Delivery::Failed { error: "the sink panicked".to_owned() };
        answer(delivery.unwrap_or_else(|_| panicked()));
    };
    if let Err(error) = std::thread::Builder::new().name("homing-sink".to_owned()).spawn(attempt) {
        // Not an error of the sink, so it does not use up an attempt.
        refused(Delivery::Busy { retry_after: None, reason: format!("cannot start a thread: {error}") });
    }
}
