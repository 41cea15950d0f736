//! Faults that homing must survive. Each test causes one fault, then checks that state, outcome and follow-up are
//! correct and that no process is left. Built with the feature `failpoints`, which compiles in the named crash points.

mod clock;
mod config;
mod disk;
mod events;
mod evidence;
mod formats;
mod groups;
mod keys;
mod killing;
mod launcher;
mod ledger;
mod namespaces;
mod output;
mod pages;
mod planted;
mod predecessor;
mod prefork;
mod removal;
mod replaced;
mod retention;
mod setup;
mod supervisor;
mod threads;
mod tree;
mod waiting;
