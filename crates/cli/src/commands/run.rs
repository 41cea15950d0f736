//! `homing run`: launches a command. Without `--wait` it does nothing else, because benchmarks measure its time.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;
use homing::core::{Shell, parse_duration};
use homing::{
    DeliveryArrangement, Error, FollowUpPolicy, Homing, Job, JobCommand, JobId, JobKey, JobSpec, JobState,
    LeftoverPolicy, OpenOptions, Origin, Prospect, ResultReader, Streams, Timeout, WaitFor,
};

use super::foreground::{finish_wait, leave_stdin_to_job, passes_stdin, start_error, stream_until_finished};
use super::sandbox;
use crate::exit::{FAILED, Failure, NOT_FINISHED};
use crate::interrupt::explain_interrupt;
use crate::open::open;
use crate::render::notification::{JobWithNotification, Notification, notification_line};
use crate::render::{note, note_with_hint, print_error, print_json, say};
use crate::setup::has_waiting_hook;
use crate::values::{Caller, assignment, new_name, size, timeout};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing run 'make && make test'                  one word: a shell script
  homing run --timeout 2h -- cargo bench --quiet  several words: exact arguments, no shell
  homing run --wait 'tar cz src' > src.tgz        in the foreground: exact output, input and status
  homing run --wait 30s './deploy'                waits up to 30 seconds, then leaves it running
  homing run --follow-up failure --name nightly ./nightly.sh
  homing run --key deploy-17 ./deploy             safe to repeat: returns the same job
  homing run --on box -- ./train                  on another machine (docs/executors.md)

The session is --session, else $HOMING_SESSION, else what the agent harness exports, else \"default\". \
If a sink is configured for it and no monitor is active, homing starts one in the background.

Options stand before the command. Standard output contains only the job id. Exit status: 0 launched; 1 the \
command could not be started. With --wait: the status of the job (see homing wait --help); 75 if DURATION \
elapses first; 74 if the job succeeded but a part of its output is missing; 141 if the reader of the output \
ends. SIGINT, SIGTERM and SIGHUP stop the wait, not the job: 128+n.

With --wait, standard input is passed to the job if it is a file or a pipe and no agent harness is detected.";

/// The job to launch, and whether to wait for it.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    caller: Caller,
    /// Name of the job, by which other commands of the session find it
    #[arg(long, value_name = "NAME", value_parser = new_name)]
    name: Option<String>,
    /// Launch at most one job with this key; if a job has the key already, return that job
    #[arg(long, value_name = "KEY")]
    key: Option<JobKey>,
    /// Run it on another machine: an executor of the configuration ([executors.NAME])
    #[arg(long, value_name = "NAME", conflicts_with_all = ["split_stderr", "stdin"])]
    on: Option<String>,
    /// Working directory of the job [default: the current directory; with --on, the home directory there]
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Set an environment variable in addition to the inherited ones; repeatable, never written to disk
    #[arg(long, value_name = "NAME=VALUE", value_parser = assignment)]
    env: Vec<(String, String)>,
    /// Shell that runs a script: bash, cmd or powershell [default: that of the system, or as configured]
    #[arg(long, value_name = "SHELL")]
    shell: Option<Shell>,
    /// Timeout, such as 90s or 2h, or none [default: 1h, or as configured]
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    timeout: Option<Timeout>,
    /// Time between SIGTERM and SIGKILL [default: 10s, or as configured]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    grace: Option<Duration>,
    /// Bytes to keep from the beginning of the output, such as 64k or 1M [default: 1M, or as configured]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    output_head: Option<u64>,
    /// Bytes to keep from the end of the output, such as 64k or 4M [default: 4M, or as configured]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    output_tail: Option<u64>,
    /// Kill or keep processes that survive the main process; the result lists them
    #[arg(long, value_name = "kill|keep", value_enum, default_value_t, hide_possible_values = true)]
    leftovers: Leftovers,
    /// When to deliver the result to the session
    #[arg(
        long,
        value_name = "always|failure|never",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    follow_up: FollowUps,
    /// Sink that delivers the result [default: chosen by the routes]
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
    /// Stream the output until the job finishes and exit with its status; after DURATION, leave it running in the
    /// background; "--wait 30s" is the same as "--wait=30s"
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, value_parser = parse_duration)]
    wait: Option<Option<Duration>>,
    /// Write the job's standard error to standard error; gives up the order of the two streams; needs --wait
    #[arg(long, requires = "wait", conflicts_with = "json")]
    split_stderr: bool,
    /// Pass standard input to the job also without --wait, and inside an agent harness
    #[arg(long)]
    stdin: bool,
    /// Print the job as JSON; with --wait, at the end of the wait
    #[arg(long)]
    pub(crate) json: bool,
    /// One word is a shell script; several words are a program and its exact arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// See [`LeftoverPolicy`].
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Leftovers {
    /// Kill them, and list them in the result
    #[default]
    Kill,
    /// Keep them running, and list them in the result
    Keep,
}

/// See [`FollowUpPolicy`].
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum FollowUps {
    /// Deliver every result
    #[default]
    Always,
    /// Deliver the result only if the job did not succeed
    Failure,
    /// Never deliver the result; it can still be read
    Never,
}

impl RunArgs {
    /// The arguments for a command without options.
    pub(crate) fn for_command(command: Vec<String>) -> RunArgs {
        RunArgs { command, ..RunArgs::default() }
    }

    /// The number of words of the command.
    pub(crate) fn command_words(&self) -> usize {
        self.command.len()
    }

    /// The job specification for these arguments.
    ///
    /// # Errors
    /// When the command is empty.
    fn into_spec(self, origin: Origin) -> homing::Result<JobSpec> {
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
        if let Some(shell) = self.shell {
            spec = spec.shell(shell);
        }
        if let Some(name) = self.name {
            spec = spec.name(name);
        }
        if let Some(key) = self.key {
            spec = spec.key(key);
        }
        if let Some(sink) = self.sink {
            spec = spec.sink(sink);
        }
        if let Some(executor) = self.on {
            spec = spec.on(executor);
        }
        if let Some(cwd) = self.cwd {
            spec = spec.current_dir(cwd);
        }
        if let Some(grace) = self.grace {
            spec = spec.grace(grace);
        }
        if let Some(bytes) = self.output_head {
            spec = spec.output_head_bytes(bytes);
        }
        if let Some(bytes) = self.output_tail {
            spec = spec.output_tail_bytes(bytes);
        }
        for (name, value) in self.env {
            spec = spec.env(name, value);
        }
        Ok(spec)
    }
}

/// Busy timeout of the ledger for work that the answer does not depend on.
const SHORT_BUSY_TIMEOUT: Duration = Duration::from_millis(200);

/// Launches a command, and with `--wait` waits for the job.
pub(crate) fn run(args: RunArgs) -> Result<ExitCode, Failure> {
    let (wait, as_json) = (args.wait, args.json);
    let streams = if args.split_stderr { Streams::Split } else { Streams::Merged };
    let runs_here = args.on.is_none();
    let passes_stdin = runs_here && passes_stdin(args.stdin, wait.is_some())?;
    let origin = args.caller.origin()?;
    let mut spec = args.into_spec(origin.clone())?;
    if passes_stdin {
        spec = spec.inherit_stdin();
    }
    // A wait without a time limit outlasts the job.
    sandbox::check(wait != Some(None))?;
    let homing = open().map_err(sandbox::explain)?;
    let streams_output = wait.is_some() && !as_json;
    let (job, output) = if streams_output && runs_here {
        let (job, output) = homing.launch_attached(spec, streams).map_err(sandbox::explain)?;
        (job, Some(output))
    } else {
        let job = homing.launch(spec).map_err(sandbox::explain)?;
        let output = streams_output.then(|| homing.follow(job.id, 0)).transpose()?;
        (job, output)
    };
    if passes_stdin {
        leave_stdin_to_job();
    }
    let _arrangement = follow_launch(&homing, &job, wait.is_some());
    match (wait, output) {
        (None, _) => announce(&homing, &job, &origin, as_json),
        (Some(at_most), None) => wait_for_document(&homing, job.id, &origin, at_most),
        (Some(at_most), Some(output)) => stream_until_finished(&homing, &job, output, at_most),
    }
}

/// Launches a job in the background and announces it.
pub(super) fn launch(
    homing: &Homing,
    spec: JobSpec,
    origin: &Origin,
    as_json: bool,
) -> Result<ExitCode, Failure> {
    sandbox::check(true)?;
    let job = homing.launch(spec).map_err(sandbox::explain)?;
    let _arrangement = follow_launch(homing, &job, false);
    announce(homing, &job, origin, as_json)
}

/// Reports what a launch noticed, and arranges how the result is delivered.
fn follow_launch(homing: &Homing, job: &Job, waits: bool) -> DeliveryArrangement {
    if let Some(warning) = homing.take_service_warning() {
        note_with_hint(&warning.to_string(), &warning.hint());
    }
    if waits {
        // Immediately: a signal that ends this process must name the job that keeps running.
        explain_interrupt(&[job.id]);
    }
    if job.state == JobState::Starting {
        warn_of_silence(job);
    }
    let reader = if waits || job.never_ran() { ResultReader::Caller } else { ResultReader::Session };
    let arrangement = homing.arrange_delivery(job, reader);
    if let Some(problem) = &arrangement.problem {
        note_no_monitor(job, problem);
    }
    arrangement
}

/// Reports that no monitor could be started.
fn note_no_monitor(job: &Job, problem: &Error) {
    note_with_hint(
        &format!("cannot start a monitor to deliver the result of job {}: {problem}", job.id),
        "the job keeps running; run homing monitor to deliver its result",
    );
}

/// Warns that the launch was not answered in time.
fn warn_of_silence(job: &Job) {
    let id = job.id;
    if let Some(executor) = &job.executor {
        note_with_hint(
            &format!("the launch of job {id} on {executor} was not answered"),
            "whether it runs is found out in the background; homing executors shows the connection",
        );
        return;
    }
    note_with_hint(
        &format!("job {id} is starting: its supervisor has not answered for 10 seconds"),
        &format!("it may be stopped, or the machine is busy; run homing show {id} to check the job"),
    );
}

/// Prints the id, or the document. Says whether the session will be notified, for programs, people and agents, but not for
/// scripts.
fn announce(homing: &Homing, job: &Job, origin: &Origin, as_json: bool) -> Result<ExitCode, Failure> {
    let printed = if as_json {
        print_document(homing, job, origin, job.never_ran())
    } else {
        writeln!(io::stdout(), "{}", job.id).map_err(Failure::from)
    };
    if let Err(Failure::Write(_)) = printed {
        note(&format!("job {} was launched", job.id));
    }
    printed?;
    if let Some(outcome) = job.outcome().filter(|_| job.never_ran()) {
        print_error(&start_error(job.id, outcome));
        if !try_acknowledge(job.id)
            && let Err(problem) = homing.start_monitor_if_needed(job)
        {
            note_no_monitor(job, &problem);
        }
        return Ok(ExitCode::from(FAILED));
    }
    if !as_json
        && (io::stderr().is_terminal() || homing::harness::is_active())
        && let Some(prospect) = prospect(homing, job, origin)
    {
        say(&notification_line(&prospect, job));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the job as JSON. Says whether the session will be notified of its result, unless the caller has it.
fn print_document(homing: &Homing, job: &Job, origin: &Origin, has_result: bool) -> Result<(), Failure> {
    let prospect = if has_result { None } else { prospect(homing, job, origin) };
    match prospect.map(Notification::from) {
        Some(notification) => print_json(&JobWithNotification { job, notification }),
        None => print_json(job),
    }
}

/// Whether the session will be notified of the result; `None` if that cannot be found out.
fn prospect(homing: &Homing, job: &Job, origin: &Origin) -> Option<Prospect> {
    homing.prospect(job, origin, || has_waiting_hook(origin)).ok()
}

/// Acknowledges the result of a job that did not start, because the caller has just received it. Returns whether that
/// succeeded. A launch does not wait for the ledger: if this fails or takes long, the result is delivered once more.
fn try_acknowledge(id: JobId) -> bool {
    OpenOptions::new()
        .busy_timeout(SHORT_BUSY_TIMEOUT)
        .open()
        .and_then(|homing| homing.acknowledge(&[id]))
        .is_ok()
}

/// Waits without streaming, then prints the job document.
fn wait_for_document(
    homing: &Homing,
    id: JobId,
    origin: &Origin,
    at_most: Option<Duration>,
) -> Result<ExitCode, Failure> {
    let waited = homing.wait(&[id], WaitFor::All, at_most)?;
    for job in &waited.jobs {
        print_document(homing, job, origin, job.outcome().is_some())?;
    }
    Ok(waited.jobs.first().map_or(ExitCode::from(NOT_FINISHED), |job| finish_wait(homing, job)))
}
