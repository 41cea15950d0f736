//! Waits in tokio for a wake to lease.

use std::sync::Arc;
use std::time::Duration;

use homing_core::{Delivery, LeasedWake, SessionId};
use tokio::time::timeout;

use super::change::Change;
use super::step;
use crate::Result;
use crate::context::Context;
use crate::delivery::lease::{LeaseAttempt, LeaseOptions, LeaseWait};

/// Leases the next wake of a session to a host.
pub(crate) async fn lease_wake(
    context: Arc<Context>,
    session: SessionId,
    options: LeaseOptions,
) -> Result<Option<LeasedWake>> {
    let mut waiting = LeaseWait::new(&session, &options)?;
    loop {
        let attempt;
        let now = Arc::clone(&context);
        (waiting, attempt) = step(waiting, move |waiting| Attempt::make(now, waiting)).await?;
        match attempt.receive() {
            LeaseAttempt::Leased(leased) => return Ok(Some(*leased)),
            LeaseAttempt::TimedOut => return Ok(None),
            LeaseAttempt::Wait(limit) => {
                // Each time, because a job may have come that cannot be watched.
                let change = Change::of(waiting.readable());
                match limit {
                    Some(limit) => drop(timeout(limit, change.wait()).await),
                    None => change.wait().await,
                }
            }
        }
    }
}

/// The result of an attempt. Nobody receives it if the future was dropped meanwhile: then the wake is given back.
struct Attempt {
    context: Arc<Context>,
    result: Option<LeaseAttempt>,
}

impl Attempt {
    fn make(context: Arc<Context>, waiting: &mut LeaseWait) -> Result<Attempt> {
        let result = context.try_lease(waiting)?;
        Ok(Attempt { context, result: Some(result) })
    }

    fn receive(mut self) -> LeaseAttempt {
        self.result.take().expect("only this method takes it")
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(LeaseAttempt::Leased(leased)) = self.result.take() else { return };
        let context = Arc::clone(&self.context);
        let give_back = move || {
            let reason = "the host stopped waiting".to_owned();
            let busy = Delivery::Busy { retry_after: Some(Duration::ZERO), reason };
            // If this fails, the lease expires.
            let _ = context.answer_lease(leased.wake.id, leased.lease.id, &busy);
        };
        // Not on a thread of the runtime. Without a thread, the lease expires.
        let _ = std::thread::Builder::new().name("homing-lease".to_owned()).spawn(give_back);
    }
}
