//! `homing run`: launches a command. Without `--wait` nothing is done but that: its time is measured.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use homing::core::parse_duration;
use homing::{
    FollowUpPolicy, Homing, Job, JobCommand, JobId, JobKey, JobSpec, JobState, LeftoverPolicy, OpenOptions,
    Outcome, Timeout, WaitFor,
};

use super::acknowledge_read::acknowledge_read;
use super::open::open;
use super::stream::{Streamed, follow};
use crate::exit::{FAILED, Failure, NOT_FINISHED, complain, note, note_with_hint, say};
use crate::interrupt::explain_interrupt;
use crate::render::output::TextSink;
use crate::render::{leftover_text, print_json};
use crate::values::{Caller, assignment, time_limit};

/// What the help of the command shows last.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing run 'make && make test'                  one word: a shell script
  homing run --timeout 2h -- cargo bench --quiet  several words: exact arguments, no shell
  homing run --wait 30s './deploy'                looks at it for 30 seconds, then lets it go on
  homing run --follow-up failure --name nightly ./nightly.sh
  homing run --key deploy-17 ./deploy             repeated, it answers with the same job

The session is --session, else $HOMING_SESSION, else what the agent harness exports, else \"default\". \
Where a sink is configured for it and no monitor is active, one is started in the background.

Standard output is the id of the job, alone. Exit status: 0 launched; 1 the command could not be \
started. With --wait: as the job did (see homing wait --help); 75 when DURATION is over first. \
SIGINT, SIGTERM and SIGHUP end the wait, not the job: 128+n.";

/// What is launched, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    caller: Caller,
    /// Name for people
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Launches one job under this key, however often it is repeated: answers with the job that has the key already
    #[arg(long, value_name = "KEY")]
    key: Option<JobKey>,
    /// Directory it runs in [default: the current one]
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Environment variable it gets besides the inherited ones; repeatable, never written to disk
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    env: Vec<(String, String)>,
    /// Time limit, such as 90s or 2h, or none [default: 1h, or as configured]
    #[arg(long, value_name = "DURATION", value_parser = time_limit)]
    timeout: Option<Timeout>,
    /// Time between SIGTERM and SIGKILL [default: 10s, or as configured]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    grace: Option<Duration>,
    /// Ends or keeps processes that outlive the main process; the result names them
    #[arg(long, value_name = "kill|keep", value_enum, default_value_t, hide_possible_values = true)]
    leftovers: Leftovers,
    /// When the session hears of the end
    #[arg(
        long,
        value_name = "always|failure|never",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    follow_up: FollowUps,
    /// Sink that wakes the session [default: as the routes say]
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Streams the output and exits as the job did, or leaves it in the background after DURATION; "--wait 30s" is
    /// the same as "--wait=30s"
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, value_parser = parse_duration)]
    wait: Option<Option<Duration>>,
    /// Prints the job as JSON; with --wait, as it is when the wait is over
    #[arg(long)]
    pub(crate) json: bool,
    /// One word is a shell script; several are a program and its exact arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// See [`LeftoverPolicy`].
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Leftovers {
    /// They are ended, and named in the result
    #[default]
    Kill,
    /// They are left running, and named in the result
    Keep,
}

/// See [`FollowUpPolicy`].
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum FollowUps {
    /// Always
    #[default]
    Always,
    /// Only when the job did not succeed
    Failure,
    /// Never; the result can still be read
    Never,
}

impl RunArgs {
    /// The request that these arguments make.
    ///
    /// # Errors
    /// When the command is empty, or the environment names no proper session.
    fn into_spec(self) -> homing::Result<JobSpec> {
        let origin = self.caller.origin()?;
        let mut spec = JobSpec::new(JobCommand::from_words(self.command)?)
            .origin(origin)
            .timeout(self.timeout.unwrap_or_default())
            .leftovers(match self.leftovers {
                Leftovers::Kill => LeftoverPolicy::Kill,
                Leftovers::Keep => LeftoverPolicy::Keep,
            })
            .follow_up(match self.follow_up {
                FollowUps::Always => FollowUpPolicy::Always,
                FollowUps::Failure => FollowUpPolicy::Failure,
                FollowUps::Never => FollowUpPolicy::Never,
            });
        if let Some(name) = self.name {
            spec = spec.name(name);
        }
        if let Some(key) = self.key {
            spec = spec.key(key);
        }
        if let Some(sink) = self.sink {
            spec = spec.sink(sink);
        }
        if let Some(cwd) = self.cwd {
            spec = spec.current_dir(cwd);
        }
        if let Some(grace) = self.grace {
            spec = spec.grace(grace);
        }
        for (name, value) in self.env {
            spec = spec.env(name, value);
        }
        Ok(spec)
    }
}

/// How long the ledger is waited for where the answer does not depend on it.
const QUICK: Duration = Duration::from_millis(200);

/// Launches a command, and with `--wait` stays with it.
pub(crate) fn run(args: RunArgs) -> Result<ExitCode, Failure> {
    let (wait, as_json) = (args.wait, args.json);
    let spec = args.into_spec()?;
    let homing = open()?;
    let job = homing.launch(spec)?;
    if let Some(warning) = homing.take_service_warning() {
        note_with_hint(&warning.to_string(), &warning.hint());
    }
    if wait.is_some() {
        // At once: a signal that ends this process now says which job keeps running.
        explain_interrupt(&[job.id]);
    }
    if job.state == JobState::Starting {
        warn_of_silent_supervisor(job.id);
    }
    // Whoever stays reads the end here.
    let _attention = wait.map(|_| homing.hold_delivery(&[job.id], &job.session));
    if !did_not_start(&job) {
        start_monitor(&homing, &job);
    }
    match wait {
        None => announce(&homing, &job, as_json),
        Some(at_most) if as_json => wait_for_document(&homing, job.id, at_most),
        Some(at_most) => stay(&homing, &job, at_most),
    }
}

/// Sees to it that somebody will tell the session. The job runs whether that succeeds or not.
fn start_monitor(homing: &Homing, job: &Job) {
    if let Err(error) = homing.start_monitor_if_needed(job) {
        note_with_hint(
            &format!("job {} runs, and no monitor could be started to tell of its end: {error}", job.id),
            "homing monitor starts one",
        );
    }
}

/// The launch has waited for its answer in vain.
fn warn_of_silent_supervisor(id: JobId) {
    note_with_hint(
        &format!("job {id} is starting: its supervisor has not answered for 10 seconds"),
        &format!("it may be stopped, or the machine very busy; homing show {id} shows how the job goes on"),
    );
}

/// Whether it is over and its command never ran. One that was found by its key may have been lost later.
fn did_not_start(job: &Job) -> bool {
    matches!(job.outcome(), Some(Outcome::FailedToStart { .. } | Outcome::Lost { .. }))
        && job.state.started().is_none()
}

/// Prints the id, or the document.
fn announce(homing: &Homing, job: &Job, as_json: bool) -> Result<ExitCode, Failure> {
    let told =
        if as_json { print_json(job) } else { writeln!(io::stdout(), "{}", job.id).map_err(Failure::from) };
    if let Err(Failure::Write(_)) = told {
        note(&format!("job {} was launched", job.id));
    }
    told?;
    if let Some(outcome) = job.outcome().filter(|_| did_not_start(job)) {
        complain(&why_it_did_not_start(job.id, outcome));
        if !acknowledge_if_that_is_quick(job.id) {
            start_monitor(homing, job);
        }
        return Ok(ExitCode::from(FAILED));
    }
    Ok(ExitCode::SUCCESS)
}

fn why_it_did_not_start(id: JobId, outcome: &Outcome) -> String {
    match outcome {
        Outcome::FailedToStart { error } => format!("job {id} did not start: {error}"),
        other => format!("job {id} did not start: {other}"),
    }
}

/// Notes that the launching session has just been told that its job did not start; answers whether that is noted. A
/// launch waits for no ledger: where this takes long or fails, the session is told again.
fn acknowledge_if_that_is_quick(id: JobId) -> bool {
    OpenOptions::new().busy_timeout(QUICK).open().and_then(|homing| homing.acknowledge(&[id])).is_ok()
}

/// Streams the output until the job is over, or for so long at most.
fn stay(homing: &Homing, job: &Job, at_most: Option<Duration>) -> Result<ExitCode, Failure> {
    let id = job.id;
    if io::stderr().is_terminal() {
        say(&format!("job {id} started"));
    }
    let deadline = at_most.and_then(|at_most| Instant::now().checked_add(at_most));
    match follow(homing, id, 0, deadline, &mut TextSink::starting_at(0))? {
        Streamed::TimeIsOver => {
            say(&format!("stopped waiting; job {id} keeps running (homing wait {id} waits for it)"));
            Ok(ExitCode::from(NOT_FINISHED))
        }
        Streamed::ToTheEnd => {
            let job = homing.get(id)?;
            tell_what_output_does_not(&job);
            Ok(leave(homing, &job))
        }
    }
}

/// Waits in silence, and prints the document of the job as it is then.
fn wait_for_document(homing: &Homing, id: JobId, at_most: Option<Duration>) -> Result<ExitCode, Failure> {
    let waited = homing.wait(&[id], WaitFor::All, at_most)?;
    for job in &waited.jobs {
        print_json(job)?;
    }
    Ok(waited.jobs.first().map_or(ExitCode::from(NOT_FINISHED), |job| leave(homing, job)))
}

/// The exit status of a job, and 75 for one that is still running. A job that its session has waited for to the end is
/// acknowledged.
fn leave(homing: &Homing, job: &Job) -> ExitCode {
    acknowledge_read(homing, &job.session, std::slice::from_ref(job));
    job.outcome().map_or(ExitCode::from(NOT_FINISHED), |outcome| ExitCode::from(outcome.as_exit_status()))
}

/// Says what a command that runs in the foreground would not leave open.
fn tell_what_output_does_not(job: &Job) {
    let id = job.id;
    match job.outcome() {
        Some(outcome @ Outcome::FailedToStart { .. }) => complain(&why_it_did_not_start(id, outcome)),
        Some(Outcome::Exited { .. }) | None => {}
        Some(outcome) => note(&format!("job {id}: {outcome}")),
    }
    if let Some(leftovers) = leftover_text(job) {
        note(&format!("job {id} left processes behind: {leftovers}"));
    }
}
