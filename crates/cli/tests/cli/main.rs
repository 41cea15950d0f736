//! The command line, as it is used: the program itself, each test in a home of its own.

mod bad_input;
mod documents;
mod follow_ups;
mod help;
mod interrupt;
mod launch;
mod list;
mod output;
mod setup;
mod statuses;
mod upkeep;
