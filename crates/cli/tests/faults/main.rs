//! What homing must survive: each test does one harm, then looks whether state, outcome and follow-up are right and
//! nothing is left behind. Built with the feature `failpoints`, which compiles in the named crash points.

mod clock;
mod config;
mod disk;
mod evidence;
mod formats;
mod groups;
mod keys;
mod killing;
mod launcher;
mod ledger;
mod namespaces;
mod output;
mod planted;
mod predecessor;
mod removal;
mod replaced;
mod retention;
mod setup;
mod supervisor;
mod threads;
mod tree;
mod waiting;
