//! `homing listen`: waits for results of the session, prints them and exits. An agent starts it as a background command of
//! its own harness; the end of that command wakes the agent.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use homing::core::{format_duration, parse_duration};
use homing::{Homing, JOB_VARIABLE, JobId, ListenOptions, Listened, Origin, Wake};
use homing_supervisor::platform::ProcessIdentity;
use homing_supervisor::platform::notifier::Notifier;
use homing_supervisor::platform::process::{ProcessHandle, callers};
use homing_supervisor::platform::wait::{AsWaitSource, WaitEnd, WaitSource, wait};

use crate::exit::{CALLER_GONE, Failure, NOT_FINISHED, NOTHING_DUE};
use crate::open::open_existing;
use crate::values::Caller;

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing listen                 as a background command of the agent harness: its end wakes the agent
  homing listen --timeout 10m
  homing listen --json          prints the document homing.wake/1, one per line

Prints all results of the session that are due, at most 16,000 characters of them, and exits. The session is \
--session, else $HOMING_SESSION, else what the agent harness exports, else \"default\". Needs no monitor. A \
printed result is not acknowledged: run homing ack as the text says, or homing delivers it again after 15 \
minutes.

Exit status: 0 if it printed results; 66 if no job of the session runs and no result is undelivered; 75 if \
--timeout elapses first; 129 if the program that started it has ended, or has closed its output, or has \
opened another session.";

/// How many unacknowledged jobs are named.
const MAX_IDS: usize = 10;

/// How to listen.
#[derive(Debug, clap::Args)]
pub(crate) struct ListenArgs {
    #[command(flatten)]
    caller: Caller,
    /// Maximum time to wait; exits with 75 afterwards
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,
    /// Print each wake as a JSON document, one per line
    #[arg(long)]
    pub(crate) json: bool,
}

/// Waits for results, prints them, and says what to do next.
pub(crate) fn listen(args: &ListenArgs) -> Result<ExitCode, Failure> {
    let listener = args.caller.origin()?;
    // Without a home there are no jobs; do not create one.
    let Some(homing) = open_existing()? else {
        return nothing(args, &[]);
    };
    refuse_inside_job(&homing, &listener)?;
    let caller_gone = watch_caller()?;
    let options = ListenOptions { timeout: args.timeout, stop: Some(caller_gone.as_wait_source()) };
    match homing.listen(&listener, options)? {
        Listened::Results { wakes, running, more } => {
            print(args, &wakes, running, more).inspect_err(|_| give_back(&homing, &wakes))?;
            Ok(ExitCode::SUCCESS)
        }
        Listened::Nothing { unacknowledged } => nothing(args, &unacknowledged),
        Listened::TimedOut { running } => {
            if !args.json {
                let waited = format_duration(args.timeout.unwrap_or_default());
                let jobs = jobs_are(running);
                say(&format!("homing: no result within {waited}; {jobs} still running in this session.\n"))?;
            }
            Ok(ExitCode::from(NOT_FINISHED))
        }
        _ => Ok(ExitCode::from(CALLER_GONE)),
    }
}

/// Refuses to run as a job of the session that it listens for: it would wait for its own end, which wakes nobody.
fn refuse_inside_job(homing: &Homing, listener: &Origin) -> Result<(), Failure> {
    let job = std::env::var(JOB_VARIABLE).ok().and_then(|id| id.parse::<JobId>().ok());
    let job = job.and_then(|id| homing.get(id).ok());
    if job.is_some_and(|job| job.session == listener.session && job.outcome().is_none()) {
        return Err(Failure::Usage {
            code: "listen_inside_job",
            message: "homing listen runs as a job of the session that it listens for".to_owned(),
            hint: Some(
                "start it as a background command of the agent harness, without homing run".to_owned(),
            ),
        });
    }
    Ok(())
}

/// Prints results and the commands that follow. An agent reads this text.
fn print(args: &ListenArgs, wakes: &[Wake], running: usize, more: bool) -> Result<(), Failure> {
    if args.json {
        return wakes.iter().try_for_each(|wake| say(&(wake.to_json() + "\n")));
    }
    let mut text: String = wakes.iter().map(|wake| wake.content.text.as_str()).collect();
    let ids: Vec<&str> = wakes.iter().flat_map(|wake| &wake.content.job_ids).map(JobId::as_str).collect();
    text.push_str(&format!(
        "These results are not acknowledged yet. Acknowledge them, or homing delivers them again: homing ack {}\n",
        ids.join(" ")
    ));
    text.push_str(&match (more, running) {
        (true, _) => {
            "More results are due in this session. Now start `homing listen` again as a background command.\n"
                .to_owned()
        }
        (false, 0) => {
            "No other job is running in this session. Start `homing listen` again after you launch another \
            job.\n"
                .to_owned()
        }
        (false, running) => format!(
            "{} still running in this session. Now start `homing listen` again as a background command.\n",
            jobs_are(running)
        ),
    });
    say(&text)
}

/// Says that waiting has no purpose.
fn nothing(args: &ListenArgs, unacknowledged: &[JobId]) -> Result<ExitCode, Failure> {
    if !args.json {
        let mut text =
            "homing: no job is running in this session, and no result is undelivered. Start `homing listen` \
            again after you launch another job.\n"
                .to_owned();
        if !unacknowledged.is_empty() {
            let ids: Vec<&str> = unacknowledged.iter().take(MAX_IDS).map(JobId::as_str).collect();
            let more = unacknowledged.len() - ids.len();
            let more = if more > 0 { format!(" and {more} more (homing follow-ups)") } else { String::new() };
            text.push_str(&format!(
                "Delivered earlier and not acknowledged: {}{more}. Acknowledge: homing ack ID. Read again: homing result ID\n",
                ids.join(" ")
            ));
        }
        say(&text)?;
    }
    Ok(ExitCode::from(NOTHING_DUE))
}

fn jobs_are(count: usize) -> String {
    if count == 1 { "1 job is".to_owned() } else { format!("{count} jobs are") }
}

fn say(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// Makes results due again that could not be printed. If this fails too, they are delivered again after 15 minutes.
fn give_back(homing: &Homing, wakes: &[Wake]) {
    for wake in wakes {
        let _ = homing.give_back(wake);
    }
}

/// A notifier that becomes ready when the caller of this process has ended, or nobody reads its output any more.
///
/// # Errors
/// If this process has no descriptor or thread left.
fn watch_caller() -> io::Result<Arc<Notifier>> {
    let gone = Arc::new(Notifier::new()?);
    let identities: Vec<ProcessIdentity> = callers().into_iter().filter_map(ProcessIdentity::of).collect();
    let notifier = Arc::clone(&gone);
    let watch = move || {
        // A caller that ended meanwhile cannot be opened.
        let opened: Result<Vec<ProcessHandle>, io::Error> =
            identities.iter().map(ProcessIdentity::open).collect();
        if let Ok(handles) = opened {
            let stdout = io::stdout();
            let output = stdout.as_wait_source().disconnected();
            let sources: Vec<WaitSource<'_>> =
                handles.iter().map(AsWaitSource::as_wait_source).chain([output]).collect();
            while !matches!(wait(&sources, None), Ok(WaitEnd::Ready) | Err(_)) {}
        }
        notifier.notify();
    };
    std::thread::Builder::new().name("homing-caller".to_owned()).spawn(watch)?;
    Ok(gone)
}
