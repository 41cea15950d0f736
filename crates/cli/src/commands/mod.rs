//! One verb a file: what the arguments ask for is asked of the library, and the answer is rendered.

mod completions;
mod doctor;
mod follow_ups;
mod hook;
mod kill;
mod list;
mod man;
#[cfg(feature = "mcp")]
mod mcp;
mod monitor;
mod open;
mod output;
mod page;
mod prune;
mod read;
mod recover;
mod result;
mod run;
mod service;
mod settle;
mod setup;
mod show;
mod stream;
mod unreadable;
mod wait;

pub(crate) use open::warn_of_refused_config;

use std::process::ExitCode;

use crate::args::Command;
use crate::exit::Failure;

/// Runs a command, and returns the status to exit with.
pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(args) => run::run(args),
        Command::List(args) => list::list(&args),
        Command::Show(args) => show::show(&args),
        Command::Output(args) => output::output(&args),
        Command::Wait(args) => wait::wait(&args),
        Command::Result(args) => result::result(&args),
        Command::Kill(args) => kill::kill(&args),
        Command::FollowUps(args) => follow_ups::follow_ups(&args),
        Command::Ack(args) => settle::ack(&args),
        Command::Retry(args) => settle::retry(&args),
        Command::Drop(args) => settle::drop(&args),
        Command::Monitor(args) => monitor::monitor(&args),
        #[cfg(feature = "mcp")]
        Command::Mcp(args) => mcp::mcp(args),
        Command::Prune(args) => prune::prune(&args),
        Command::Recover(args) => recover::recover(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Setup(args) => setup::setup(&args),
        Command::Hook(args) => Ok(hook::hook(&args)),
        Command::Completions(args) => completions::completions(&args),
        Command::Man(args) => man::man(&args),
    }
}
