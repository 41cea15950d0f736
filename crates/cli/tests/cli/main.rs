//! End-to-end tests of the command line. Each test runs the program with its own home.

mod all_jobs;
mod autostart;
mod bad_input;
mod completion;
mod documents;
mod events;
mod examples;
mod follow_ups;
mod foreground;
mod harness_setup;
mod harnesses;
mod help;
mod hook;
mod interrupt;
mod launch;
mod list;
mod maintenance;
mod monitor;
mod names;
mod output;
mod readme;
mod remove;
mod rerun;
mod service;
mod setup;
mod shells;
mod stand_in;
mod statuses;
mod terminal;
#[cfg(feature = "top")]
mod top;
mod wakes;
