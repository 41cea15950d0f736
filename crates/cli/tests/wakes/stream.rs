//! Hosts on tokio: the stream of wakes, and futures that are dropped.

use std::time::Duration;

use futures_util::StreamExt;
use homing::{Delivery, FollowUpState, KilledBy, Offer, WaitFor, WakeStream};
use testkit::{WAIT_TIMEOUT, wait_until};

use crate::setup::Setup;

async fn next(wakes: &mut WakeStream) -> Offer {
    let offer = tokio::time::timeout(WAIT_TIMEOUT, wakes.next()).await.expect("in time");
    offer.expect("the monitor runs").expect("the monitor works")
}

#[tokio::test]
async fn a_wake_of_a_dropped_stream_is_offered_to_the_next_stream_as_the_same_attempt() {
    let setup = Setup::new();
    let id = setup.launch("chat-1", "echo hello");
    for held_by_consumer in [true, false] {
        let mut wakes = setup.homing.wakes("chat-*", WAIT_TIMEOUT).expect("a stream");
        if held_by_consumer {
            let offer = next(&mut wakes).await;
            assert_eq!((offer.wake().attempt, &offer.wake().content.job_ids[..]), (1, &[id][..]));
            drop((wakes, offer));
        } else {
            // The offer stays in the stream, unread.
            wait_until("the wake is in flight", || {
                setup
                    .homing
                    .wakes_of(id)
                    .expect("a list")
                    .iter()
                    .any(|wake| wake.state.as_str() == "in_flight")
            });
            drop(wakes);
        }
        wait_until("its monitor has ended", || setup.homing.active_monitor().expect("a home").is_none());
        assert_eq!(setup.state(id), FollowUpState::Pending);
    }
    let mut wakes = setup.homing.wakes("chat-*", WAIT_TIMEOUT).expect("a stream");
    let offer = next(&mut wakes).await;
    assert_eq!(offer.wake().attempt, 1, "handing back does not use up an attempt");
    assert!(offer.answer(Delivery::Delivered));
    setup.wait_for_acknowledged(&[id]);
    wakes.stop();
    assert!(wakes.next().await.is_none(), "it ends once it was stopped");
}

#[tokio::test]
async fn an_offer_that_is_dropped_has_failed_and_comes_again() {
    let setup = Setup::new();
    let id = setup.launch("chat-1", "echo hello");
    let mut wakes = setup.homing.wakes("chat-*", WAIT_TIMEOUT).expect("a stream");
    drop(next(&mut wakes).await);
    let again = next(&mut wakes).await;
    assert_eq!(again.wake().attempt, 2);
    again.answer(Delivery::Delivered);
    setup.wait_for_acknowledged(&[id]);
}

#[tokio::test]
async fn a_dropped_wait_leaves_the_job_running_and_a_kill_ends_it() {
    let setup = Setup::new();
    let id = setup.launch("chat-1", "exec sleep MARK");
    let ids = [id];
    let waited = tokio::time::timeout(Duration::from_millis(50), setup.homing.wait_async(&ids, WaitFor::All));
    assert!(waited.await.is_err(), "it runs");
    assert!(setup.job(id).outcome().is_none());
    // A dropped kill goes on.
    let running = [(setup.launch("chat-1", "exec sleep MARK"), KilledBy::Session)];
    let dropped = tokio::time::timeout(Duration::ZERO, setup.homing.kill_async(&running)).await;
    assert!(dropped.is_err());
    wait_until("it is killed", || setup.job(running[0].0).outcome().is_some());
    let killed = setup.homing.kill_async(&[(id, KilledBy::Session)]).await.expect("it ends");
    assert!(killed[0].outcome().is_some());
    let unknown = "000000000000".parse().expect("an id");
    let unknown = [unknown];
    let refused = setup.homing.wait_async(&unknown, WaitFor::Any).await;
    assert!(matches!(refused, Err(homing::Error::NoSuchJob(_))), "{refused:?}");
}
