//! Times at which a job must be observed again although the system reports no event: while its supervisor is not known to
//! be alive, and when a job without a supervisor starts to count as never started. Reads records and `/proc`, and changes
//! nothing.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use homing_core::JobId;
use homing_supervisor::layout::Directory;
use homing_supervisor::platform::ProcessIdentity;
use homing_supervisor::platform::clock::uptime;
use homing_supervisor::{Record, SpecFile};

use crate::store::observe::{is_supervised, start_deadline};

/// The first and the longest pause before a job is observed again. A dying supervisor releases its lock within
/// microseconds after its record was closed. A supervisor in another pid namespace is never visible, so its job is
/// observed periodically.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(5));

/// The jobs to observe again, and when.
#[derive(Debug, Default)]
pub(super) struct SafetyTimer {
    due: HashMap<JobId, Due>,
    /// A time that the caller has set.
    alarm: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    /// On the clock that does not jump ([`uptime`]).
    at: Duration,
    /// The next pause.
    pause: Duration,
}

/// The future events of a job, according to its files.
enum Expectation {
    /// The system reports the next change, also the end of this supervisor.
    Event { supervisor: Option<ProcessIdentity> },
    /// The next change may be that the job counts as never started, which the system does not report.
    Start { deadline: Duration },
    /// The supervisor may be dead, so that the system reports nothing more.
    Nothing,
}

impl SafetyTimer {
    /// Decides from its files when to observe a job again. Its record is watched already. Returns the supervisor whose end
    /// the record has to report.
    pub(super) fn examine(&mut self, jobs: &Path, id: JobId) -> Option<ProcessIdentity> {
        let pause = self.due.get(&id).map_or(PAUSES.0, |due| due.pause);
        let now = uptime();
        let mut writer = None;
        let due = match expectation(jobs, id) {
            Expectation::Event { supervisor } => {
                writer = supervisor;
                None
            }
            Expectation::Start { deadline } if deadline > now => Some(Due { at: deadline, pause: PAUSES.0 }),
            Expectation::Start { .. } | Expectation::Nothing => {
                Some(Due { at: now + pause, pause: (pause * 2).min(PAUSES.1) })
            }
        };
        match due {
            Some(due) => self.due.insert(id, due),
            None => self.due.remove(&id),
        };
        writer
    }

    /// The jobs whose time has come. [Examine](SafetyTimer::examine) them again.
    pub(super) fn take_due(&self) -> Vec<JobId> {
        let now = uptime();
        self.due.iter().filter(|(_, due)| due.at <= now).map(|(id, _)| *id).collect()
    }

    pub(super) fn forget(&mut self, id: JobId) {
        self.due.remove(&id);
    }

    pub(super) fn set_alarm(&mut self, at: Option<Duration>) {
        self.alarm = at;
    }

    /// The earliest of all times.
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.due.values().map(|due| due.at).chain(self.alarm).min()
    }
}

fn expectation(jobs: &Path, id: JobId) -> Expectation {
    let Ok(directory) = Directory::open(&jobs.join(id.as_str())) else {
        return Expectation::Event { supervisor: None };
    };
    let Some(content) = Record::open_to_read(&directory).ok().flatten().and_then(|record| record.read().ok())
    else {
        return Expectation::Nothing;
    };
    match (content.started.into_valid(), content.finished.into_valid()) {
        (_, Some(_)) => Expectation::Event { supervisor: None },
        // Its record is still open, and its close will be reported: the watch was added before this check.
        (Some(started), None) if is_supervised(&directory, &started).unwrap_or(true) => {
            Expectation::Event { supervisor: Some(started.supervisor) }
        }
        (started, None) => match (SpecFile::read(&directory), started) {
            // Its record is written at home, by the mirror.
            (Ok(Some(spec)), _) if spec.executor.is_some() => Expectation::Event { supervisor: None },
            (Ok(Some(spec)), None) => Expectation::Start { deadline: start_deadline(&spec) },
            (Ok(_) | Err(_), _) => Expectation::Nothing,
        },
    }
}
