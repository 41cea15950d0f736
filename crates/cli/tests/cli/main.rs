//! The command line, as it is used: the program itself, each test in a home of its own.

mod autostart;
mod bad_input;
mod documents;
mod examples;
mod follow_ups;
mod help;
mod hook;
mod interrupt;
mod launch;
mod list;
mod monitor;
mod output;
mod readme;
mod service;
mod setup;
mod stand_in;
mod statuses;
mod upkeep;
mod wakes;
