//! End-to-end tests of the command line. Each test runs the program with its own home.

mod autostart;
mod bad_input;
mod documents;
mod examples;
mod follow_ups;
mod foreground;
mod harnesses;
mod help;
mod hook;
mod interrupt;
mod launch;
mod list;
mod maintenance;
mod monitor;
mod output;
mod readme;
mod service;
mod setup;
mod stand_in;
mod statuses;
mod wakes;
