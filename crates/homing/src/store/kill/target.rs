//! The state of one job that is being ended, and the next step.

use std::io;
use std::time::Duration;

use homing_core::{JobId, KilledBy, Outcome, StateName};
use homing_supervisor::layout::Directory;
use homing_supervisor::platform::clock::uptime;
use homing_supervisor::platform::process::{self, Signal};
use homing_supervisor::platform::{errors, events, is_on_network};
use homing_supervisor::{
    Relation, SpecFile, StartedRecord, UnlinkedSupervisor, end_orphans, find_unlinked_supervisors,
};

use crate::store::job_store::JobStore;
use crate::store::observe::{StartKnowledge, SupervisorLiveness, observe, record_of, runs_here};
use crate::store::recover::RecoverOptions;
use crate::{Error, Result};

/// How long to wait for the supervisor of a job that is just being launched.
const START_TIMEOUT: Duration = Duration::from_secs(15);

/// How much longer than its grace time a stopped or traced supervisor may take to end its job.
const STOPPED_TIMEOUT: Duration = Duration::from_secs(5);

/// How much longer than its grace time any supervisor may take. It gives up by itself after ten seconds.
const END_TIMEOUT: Duration = Duration::from_secs(20);

/// How long to wait for a killed supervisor to exit before its job is ended anyway.
const EXIT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a job may take to end after its supervisor was killed.
const LAST_TIMEOUT: Duration = Duration::from_secs(30);

/// Pauses between two checks of the lock of a finished job, whose release is not reported.
const PAUSES: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(50));

/// The supervisors whose job directories are no longer in the home. Searched on first use.
#[derive(Debug, Default)]
pub(super) struct UnlinkedSupervisors(Option<Vec<UnlinkedSupervisor>>);

impl UnlinkedSupervisors {
    /// The supervisors of one job.
    fn of(&mut self, jobs: &Directory, id: JobId) -> Vec<UnlinkedSupervisor> {
        let all = self.0.get_or_insert_with(|| find_unlinked_supervisors(jobs));
        all.iter().filter(|supervisor| supervisor.job == id).cloned().collect()
    }
}

/// A job to end.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) by: KilledBy,
    stage: Stage,
    /// When to check it again even if no change is reported, on the monotonic clock.
    pub(super) next_check: Option<Duration>,
    pause: Duration,
    began_at: Duration,
}

/// The progress of ending a job. Times are on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    /// No request was sent yet.
    New,
    /// Its supervisor was asked.
    Asked { at: Duration, grace: Duration },
    /// Its supervisor was killed.
    SupervisorKilled { at: Duration },
    /// It has finished, and none of its processes is left.
    Ended,
}

impl Target {
    pub(super) fn new(by: KilledBy) -> Target {
        Target { by, stage: Stage::New, next_check: None, pause: PAUSES.0, began_at: uptime() }
    }

    pub(super) fn was_asked(&self) -> bool {
        !matches!(self.stage, Stage::New)
    }

    /// Schedules the next check, with increasing pauses.
    fn check_soon(&mut self) {
        self.next_check = Some(uptime() + self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
    }
}

impl JobStore {
    /// Does the next step for one job.
    pub(super) fn advance(
        &self,
        id: JobId,
        target: &mut Target,
        unlinked: &mut UnlinkedSupervisors,
        is_known: &impl Fn(JobId) -> Result<bool>,
    ) -> Result<Stage> {
        target.next_check = None;
        let Some(seen) = self.see(id)? else {
            // Pruned or removed. A finished job needs no kill. A job that was removed while it ran may have a
            // supervisor that has not noticed.
            for supervisor in unlinked.of(&self.home.jobs, id) {
                supervisor.end(target.by).map_err(|source| Error::CannotSignal { job: id, source })?;
            }
            return if is_known(id)? { Ok(Stage::Ended) } else { Err(Error::NoSuchJob(id.to_string())) };
        };
        if seen.is_finished && !self.has_live_supervisor(id)? {
            if let (Stage::SupervisorKilled { .. }, Some(started)) = (target.stage, &seen.started) {
                end_orphans(id, started);
            }
            return Ok(Stage::Ended);
        }
        if seen.is_elsewhere {
            // Its executor was asked, and its end is reported.
            target.stage = Stage::Asked { at: uptime(), grace: Duration::ZERO };
            return Ok(target.stage);
        }
        match (target.stage, &seen.started) {
            (Stage::New, Some(started)) => self.ask(id, target, started)?,
            (Stage::Asked { at, grace }, Some(started)) => {
                self.watch_over(id, target, started, at.saturating_add(grace))?;
            }
            (Stage::SupervisorKilled { at }, Some(started)) => {
                target.check_soon();
                if uptime() >= at + EXIT_TIMEOUT && self.conclude_for_doomed(id, started)? {
                    return Ok(Stage::Ended);
                }
                if uptime() >= at + LAST_TIMEOUT {
                    return Err(seen.not_finished(id, LAST_TIMEOUT));
                }
            }
            (_, None) | (Stage::Ended, _) => {}
        }
        if matches!(target.stage, Stage::New) {
            // Its start is reported, and so is the deadline for it.
            let give_up_at = target.began_at + START_TIMEOUT;
            if uptime() >= give_up_at {
                return Err(seen.not_finished(id, START_TIMEOUT));
            }
            target.next_check.get_or_insert(give_up_at);
        }
        if seen.is_finished {
            // The release of its lock is not reported.
            target.check_soon();
        }
        Ok(target.stage)
    }

    /// Observes a job; `None` if it has no directory. First recovers a job whose supervisor is dead.
    fn see(&self, id: JobId) -> Result<Option<Seen>> {
        // The record alone suffices for a running job.
        if let Some((directory, content)) = record_of(&self.home.jobs, id) {
            let is_finished = content.finished.valid().is_some_and(|finished| finished.recovery.is_none());
            let started = content.started.into_valid();
            let runs = match &started {
                Some(started) if !is_finished => runs_here(&directory, started, self.here()?)?,
                Some(_) | None => false,
            };
            if is_finished || runs {
                return Ok(Some(Seen { started, is_finished, is_elsewhere: false }));
            }
        }
        let Some(seen) = observe(&self.home.jobs, id, self.here()?)? else { return Ok(None) };
        if seen.supervisor == SupervisorLiveness::Elsewhere {
            let copy = "this directory is a copy: its supervisor supervises the original. Kill the job in the original home";
            return Err(Error::CannotSignal { job: id, source: io::Error::other(copy) });
        }
        if seen.recovery().is_some() {
            self.recover_job(id, StartKnowledge::MayAppear, RecoverOptions::default())?;
        }
        let is_elsewhere = seen.spec.executor.is_some();
        Ok(Some(Seen { is_finished: seen.finished.is_some(), started: seen.started, is_elsewhere }))
    }

    /// Asks the supervisor to end the job, and continues it if it is stopped.
    fn ask(&self, id: JobId, target: &mut Target, started: &StartedRecord) -> Result<()> {
        let relation = self.here()?.relation_to(&started.run_by, is_on_network(self.home.jobs.handle()));
        if relation != Relation::SamePidNamespace {
            let host = &started.run_by.host_name;
            let elsewhere = format!("it runs on {host} or in another container; kill it there");
            return Err(Error::CannotSignal { job: id, source: io::Error::other(elsewhere) });
        }
        let asked = events::request_kill(&started.supervisor, target.by)
            .and_then(|()| started.supervisor.signal(Signal::Continue));
        match asked {
            Ok(()) => {}
            // It died just now. The next check ends its remaining processes.
            Err(error) if errors::is_no_such_process(&error) => {
                target.check_soon();
                return Ok(());
            }
            Err(source) => return Err(Error::CannotSignal { job: id, source }),
        }
        let spec = self.home.jobs.open_job(id).and_then(|directory| SpecFile::read(&directory));
        let grace = spec.ok().flatten().map_or(Duration::ZERO, |spec| spec.limits().grace);
        let at = uptime();
        target.stage = Stage::Asked { at, grace };
        target.next_check = Some(at.saturating_add(grace).saturating_add(stopped_timeout()));
        Ok(())
    }

    /// Kills a supervisor that was asked but does not end its job.
    fn watch_over(
        &self,
        id: JobId,
        target: &mut Target,
        started: &StartedRecord,
        grace_over_at: Duration,
    ) -> Result<()> {
        let now = uptime();
        let stopped_until = grace_over_at.saturating_add(stopped_timeout());
        let until = grace_over_at.saturating_add(END_TIMEOUT);
        let is_stopped = || {
            process::stat(started.supervisor.pid)
                .is_some_and(|stat| stat.start_ticks == started.supervisor.start_ticks && stat.is_stopped())
        };
        if now >= until || (now >= stopped_until && is_stopped()) {
            self.end_from_outside(id, started, Outcome::Killed { by: target.by })?;
            target.stage = Stage::SupervisorKilled { at: uptime() };
            target.check_soon();
        } else if now >= stopped_until {
            // It runs, but may still be stopped.
            target.next_check = Some((now + Duration::from_secs(1)).min(until));
        } else {
            target.next_check = Some(stopped_until);
        }
        Ok(())
    }
}

fn stopped_timeout() -> Duration {
    homing_supervisor::injected_millis("stopped_timeout").unwrap_or(STOPPED_TIMEOUT)
}

/// The observed state of a job.
struct Seen {
    started: Option<StartedRecord>,
    is_finished: bool,
    /// Whether an executor runs it.
    is_elsewhere: bool,
}

impl Seen {
    fn not_finished(&self, job: JobId, waited: Duration) -> Error {
        let state = match (&self.started, self.is_finished) {
            (_, true) => StateName::Finished,
            (Some(_), false) => StateName::Running,
            (None, false) => StateName::Starting,
        };
        Error::NotFinishedInTime { job, state, waited }
    }
}
