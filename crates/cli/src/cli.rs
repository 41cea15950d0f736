//! The top-level parser: reads the words of a command line into a [`Command`], and runs it.

mod help_template;
mod optional_wait;
mod unparsed;

pub(crate) use unparsed::Unparsed;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::follow_up_change::{self, FollowUpChangeArgs};
#[cfg(feature = "mcp")]
use crate::commands::mcp;
use crate::commands::run::{self, RunArgs};
use crate::commands::{
    completions, doctor, follow_ups, hook, kill, list, man, monitor, output, prune, recover, result, setup,
    show, wait,
};
use crate::exit::Failure;

const ABOUT: &str = "Background jobs for AI agents. Every job comes home.";

/// Everything that was typed.
#[derive(Debug, Parser)]
#[command(name = "homing", version, about = ABOUT, help_template = help_template::help_template(), after_help = help_template::ROUND_TRIP)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// One verb of the command line.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Launches a command in the background and prints the id of its job
    #[command(after_help = run::EXAMPLES)]
    Run(RunArgs),
    /// Lists jobs, newest first
    #[command(after_help = list::EXAMPLES)]
    List(list::ListArgs),
    /// Shows everything about one job
    #[command(after_help = show::EXAMPLES)]
    Show(show::ShowArgs),
    /// Prints what a job has written, or follows it
    #[command(after_help = output::EXAMPLES)]
    Output(output::OutputArgs),
    /// Waits until jobs are over, and exits as the job did
    #[command(after_help = wait::EXAMPLES)]
    Wait(wait::WaitArgs),
    /// Prints what the agent reads about a job
    #[command(after_help = result::EXAMPLES)]
    Result(result::ResultArgs),
    /// Ends jobs with every process they started
    #[command(after_help = kill::EXAMPLES)]
    Kill(kill::KillArgs),
    /// Lists the jobs whose session still has to be told
    #[command(after_help = follow_ups::EXAMPLES)]
    FollowUps(follow_ups::FollowUpsArgs),
    /// Notes that the session was told of jobs
    #[command(after_help = follow_up_change::ACK_EXAMPLES)]
    Ack(FollowUpChangeArgs),
    /// Makes follow-ups pending again
    #[command(after_help = follow_up_change::RETRY_EXAMPLES)]
    Retry(FollowUpChangeArgs),
    /// Gives follow-ups up: nobody is told
    #[command(after_help = follow_up_change::DROP_EXAMPLES)]
    Drop(FollowUpChangeArgs),
    /// Wakes the sessions whose jobs are over, until it is stopped
    #[command(after_help = monitor::EXAMPLES)]
    Monitor(monitor::MonitorArgs),
    /// Offers jobs to agents over the Model Context Protocol
    #[cfg(feature = "mcp")]
    #[command(after_help = mcp::EXAMPLES)]
    Mcp(mcp::McpArgs),
    /// Removes old jobs that nobody has to be told of
    #[command(after_help = prune::EXAMPLES)]
    Prune(prune::PruneArgs),
    /// Ends what is left of jobs whose supervisor died, and records their end
    #[command(after_help = recover::EXAMPLES)]
    Recover(recover::RecoverArgs),
    /// Checks that everything homing rests on is as it should be
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(doctor::DoctorArgs),
    /// Makes an agent harness know homing, or shows what that would change
    #[command(after_help = setup::EXAMPLES)]
    Setup(setup::SetupArgs),
    /// Tells a harness that calls what its session is to be told
    #[command(hide = true)]
    Hook(hook::HookArgs),
    /// Prints the completions for a shell
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::CompletionsArgs),
    /// Prints the manual page, or writes all of them to a directory
    #[command(after_help = man::EXAMPLES)]
    Man(man::ManArgs),
}

impl Command {
    /// Whether the answer, an error too, is to be JSON.
    pub(crate) fn wants_json(&self) -> bool {
        match self {
            Command::Run(args) => args.json,
            Command::List(args) => args.json,
            Command::Show(args) => args.json,
            Command::Output(args) => args.json,
            Command::Wait(args) => args.json,
            Command::Result(args) => args.json,
            Command::Kill(args) => args.json,
            Command::FollowUps(args) => args.json,
            Command::Ack(args) | Command::Retry(args) | Command::Drop(args) => args.json,
            Command::Monitor(args) => args.wants_json(),
            Command::Prune(args) => args.json,
            Command::Recover(args) => args.json,
            Command::Doctor(args) => args.json,
            Command::Setup(args) => args.json,
            Command::Hook(_) | Command::Completions(_) | Command::Man(_) => false,
            #[cfg(feature = "mcp")]
            Command::Mcp(_) => false,
        }
    }

    /// Runs the command, and returns the status to exit with.
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Command::Run(args) => run::run(args),
            Command::List(args) => list::list(&args),
            Command::Show(args) => show::show(&args),
            Command::Output(args) => output::output(&args),
            Command::Wait(args) => wait::wait(&args),
            Command::Result(args) => result::result(&args),
            Command::Kill(args) => kill::kill(&args),
            Command::FollowUps(args) => follow_ups::follow_ups(&args),
            Command::Ack(args) => follow_up_change::ack(&args),
            Command::Retry(args) => follow_up_change::retry(&args),
            Command::Drop(args) => follow_up_change::drop(&args),
            Command::Monitor(args) => monitor::monitor(&args),
            #[cfg(feature = "mcp")]
            Command::Mcp(args) => mcp::mcp(args),
            Command::Prune(args) => prune::prune(&args),
            Command::Recover(args) => recover::recover(&args),
            Command::Doctor(args) => doctor::doctor(&args),
            Command::Setup(args) => setup::setup(&args),
            Command::Hook(args) => Ok(hook::hook(&args)),
            Command::Completions(args) => completions::completions(&args, definition()),
            Command::Man(args) => man::man(&args, definition()),
        }
    }
}

/// Everything that can be typed, for completions and manual pages.
fn definition() -> clap::Command {
    Cli::command()
}

/// Reads the words of a command line, the program's name first.
///
/// # Errors
/// Where they make no sense, and where they ask for help.
pub(crate) fn parse(words: Vec<OsString>) -> Result<Command, Unparsed> {
    let words = optional_wait::join(words);
    if let Some(run) = parse_run_alone(&words) {
        return Ok(Command::Run(run));
    }
    // It is called at every end of a turn.
    if is_verb(&words, "hook")
        && let Some(hook) = hook::parse(&words[2..])
    {
        return Ok(Command::Hook(hook));
    }
    definition()
        .try_get_matches_from_mut(&words)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map(|cli| cli.command)
        .map_err(|error| Unparsed::new(error, &words))
}

/// Reads a `run` without defining all the other verbs first, which takes as long as launching a process. What it cannot
/// read goes the long way, which knows how to say what is wrong.
fn parse_run_alone(words: &[OsString]) -> Option<RunArgs> {
    if !is_verb(words, "run") {
        return None;
    }
    let matches = run_alone().try_get_matches_from(&words[1..]).ok()?;
    RunArgs::from_arg_matches(&matches).ok()
}

fn is_verb(words: &[OsString], verb: &str) -> bool {
    words.get(1).is_some_and(|word| word == verb)
}

fn run_alone() -> clap::Command {
    RunArgs::augment_args(clap::Command::new("run"))
}
