//! Limits of concurrent deliveries, for each sink and for all sinks: one sink does not block another.

use homing::{Delivery, JobId, MonitorConfig, MonitorOptions, Sink, Wake};
use testkit::wait_until;

use crate::setup::{Answer, ScriptedSink, Setup, quick};

/// A sink with deliveries as long as an agent's turn, and its own limit.
struct Agents {
    sink: ScriptedSink,
    concurrency: usize,
}

impl Sink for Agents {
    fn deliver(&self, wake: &Wake) -> Delivery {
        self.sink.deliver(wake)
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }
}

#[test]
fn eight_long_agent_turns_do_not_block_a_webhook() {
    let setup = Setup::with(MonitorConfig { concurrency: 8, ..quick() });
    let agents = ScriptedSink::default();
    let options = MonitorOptions::new()
        .sink("scripted", setup.sink.clone())
        .sink("agents", Agents { sink: agents.clone(), concurrency: 8 })
        .route("hook", "scripted")
        .route("agent-*", "agents");
    let sessions: Vec<String> = (0..8).map(|n| format!("agent-{n}")).collect();
    for session in &sessions {
        agents.answers(session, [Answer::AtTheGate]);
    }
    let monitor = setup.start(options);
    let turns: Vec<JobId> = sessions.iter().map(|session| setup.launch(session, "true")).collect();
    agents.wait_for(7);
    // Seven of the eight slots are in use, and an eighth agent waits.
    setup.wait_for_end(&turns);
    let hook = setup.launch("hook", "true");
    setup.wait_for_acknowledged(&[hook]);
    assert_eq!(agents.received().len(), 7);
    agents.open_the_gate();
    setup.wait_for_acknowledged(&turns);
    assert_eq!(agents.received().len(), 8);
    monitor.stop();
}

#[test]
fn a_sink_has_at_most_four_deliveries_in_flight_by_default() {
    let setup = Setup::new();
    let sessions: Vec<String> = (0..12).map(|n| format!("chat-{n}")).collect();
    for session in &sessions {
        setup.sink.answers(session, [Answer::AtTheGate]);
    }
    let monitor = setup.monitor();
    let ids: Vec<JobId> = sessions.iter().map(|session| setup.launch(session, "true")).collect();
    setup.sink.wait_for(4);
    setup.wait_for_end(&ids);
    // A session with a delivery in flight waits for its end, and no session gets a fifth slot.
    let next = setup.launch("chat-0", "true");
    setup.wait_for_end(&[next]);
    wait_until("the monitor has ingested the last job", || {
        setup.job(next).follow_up.state == homing::FollowUpState::Pending
    });
    assert_eq!(setup.sink.received().len(), 4);
    setup.sink.open_the_gate();
    setup.wait_for_acknowledged(&ids);
    setup.wait_for_acknowledged(&[next]);
    monitor.stop();
}
