//! Jobs for tests of the view.

use std::time::Duration;

use homing::core::{Finished, FollowUp, JobLimits, OutputSize, Shell, Started, Timestamp};
use homing::{FollowUpPolicy, FollowUpState, Job, JobCommand, JobState, LeftoverPolicy, Outcome};

/// 2026-11-30 12:00:00 UTC, the present of the tests, in milliseconds.
pub(super) const NOW_MS: i64 = 1_796_040_000_000;

/// The present of the tests.
pub(super) fn now() -> Timestamp {
    Timestamp::from_unix_millis(NOW_MS)
}

/// A job `nightly` of the session `chat-1` that runs `make all` for 12 minutes.
pub(super) fn running(id: &str) -> Job {
    let started = Started { pid: 4711, started_at: Timestamp::from_unix_millis(NOW_MS - 720_000) };
    Job {
        id: id.parse().expect("an id"),
        session: "chat-1".parse().expect("a session"),
        key: None,
        name: Some("nightly".to_owned()),
        command: JobCommand::Script("make all".to_owned()),
        shell: Shell::default(),
        cwd: "/src".into(),
        env_names: Vec::new(),
        created_at: started.started_at,
        limits: JobLimits::default(),
        leftovers: LeftoverPolicy::Kill,
        follow_up_policy: FollowUpPolicy::Always,
        harness: None,
        sink: None,
        executor: None,
        state: JobState::Running(started),
        output: OutputSize::default(),
        follow_up: FollowUp::waiting(),
    }
}

/// The same job, which ended a minute ago after 11 minutes. Its follow-up is pending.
pub(super) fn finished(id: &str, outcome: Outcome) -> Job {
    let mut job = running(id);
    let started = job.state.started();
    job.state = JobState::Finished(Finished {
        outcome,
        started,
        ended_at: Timestamp::from_unix_millis(NOW_MS - 60_000),
        duration: Some(Duration::from_secs(660)),
        cpu: None,
        peak_memory_bytes: None,
        leftovers: Vec::new(),
        leftovers_omitted: 0,
        recovery: None,
    });
    job.follow_up.state = FollowUpState::Pending;
    job
}
