//! Checks an executor.

use std::time::{Duration, Instant};

use homing_core::{FollowUpPolicy, Outcome};

use crate::Result;
use crate::check::{Check, Verdict};
use crate::context::Context;
use crate::store::spec::JobSpec;
use crate::store::wait::WaitFor;

/// The largest difference of two clocks that is not mentioned.
const MAX_SKEW_MS: i64 = 5_000;

impl Context {
    /// Checks an executor: reaches it, compares versions and clocks, and launches `true` there.
    ///
    /// # Errors
    /// If it is not configured.
    pub(crate) fn check_executor(&self, executor: &str) -> Result<Vec<Check>> {
        self.executor(executor)?;
        let mut checks = Vec::new();
        let begun = Instant::now();
        match self.connect(executor) {
            Ok(connection) => {
                let took = begun.elapsed().as_millis();
                let (hello, own) = (&connection.hello, env!("CARGO_PKG_VERSION"));
                let host = &hello.host_name;
                checks.push(Check::new(
                    "connection",
                    Verdict::Ok,
                    format!("{host} answered within {took} ms"),
                ));
                checks.push(if hello.version == own {
                    Check::new("program", Verdict::Ok, format!("homing {own}"))
                } else {
                    Check::new(
                        "program",
                        Verdict::Note,
                        format!("homing {} there, {own} here", hello.version),
                    )
                    .hint(format!("run `homing setup-host {executor}` to copy this version there"))
                });
                let skew = hello.clock_ahead_ms;
                checks.push(if skew.abs() <= MAX_SKEW_MS {
                    Check::new("clock", Verdict::Ok, format!("within {MAX_SKEW_MS} ms of the clock here"))
                } else {
                    Check::new("clock", Verdict::Note, format!("{skew} ms ahead of the clock here"))
                        .hint("times of its jobs are those of its clock; durations are not affected")
                });
            }
            Err(error) => {
                checks.push(Check::of_error("connection", &error));
                return Ok(checks);
            }
        }
        checks.push(self.check_by_job(executor));
        Ok(checks)
    }

    /// Launches a job there that does nothing, and waits for its end.
    fn check_by_job(&self, executor: &str) -> Check {
        let begun = Instant::now();
        let spec = JobSpec::program("true").on(executor).follow_up(FollowUpPolicy::Never).name("check");
        let ended = self
            .launch(&spec)
            .and_then(|job| self.wait(&[job.id], WaitFor::All, Some(Duration::from_secs(30)), None));
        match ended.map(|waited| waited.jobs.first().and_then(|job| job.outcome().cloned())) {
            Ok(Some(Outcome::Exited { exit_code: 0 })) => {
                let took = begun.elapsed().as_millis();
                Check::new(
                    "job",
                    Verdict::Ok,
                    format!("`true` ran there, and its end was known after {took} ms"),
                )
            }
            Ok(Some(outcome)) => {
                Check::new("job", Verdict::Problem, format!("`true` did not run there: {outcome}"))
            }
            Ok(None) => Check::new("job", Verdict::Problem, "the end of `true` was not reported within 30 s"),
            Err(error) => Check::of_error("job", &error),
        }
    }
}
