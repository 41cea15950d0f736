//! What homing does on every system: the same tests run on Linux, on macOS, on Windows, and under Wine. Jobs run the
//! helper program of `testkit`; no test needs a shell, except for those of scripts.
//!
//! The module that homing replaces fails in known cases (`crates/python/tests/story/test_known_failures.py`). These tests
//! are about the same cases:
//!
//! | case | test |
//! |---|---|
//! | eight processes launch at once | `launcher::eight_launchers_at_once_keep_every_record` |
//! | the exit code is read before it is written | `record::no_look_at_a_job_that_ends_shows_a_wrong_exit_code` |
//! | a job ignores the request to end | `limits::a_job_that_ignores_the_request_to_end_is_killed_after_the_grace` |
//! | a child left the process group | `tree::a_tree_is_gone_after_the_timeout` |
//! | the timeout is reached while nobody polls | `limits::the_timeout_is_enforced_while_nobody_looks` |
//! | the store is torn in half | `record::a_torn_ledger_loses_no_job` |
//! | the job ended long before it is read | `record::a_job_ended_when_its_process_did_and_not_when_it_was_read` |
//! | a signal ended the job | `jobs::a_crash_is_told_from_an_exit` |
//! | large output on disk | `output::the_files_of_a_job_stay_within_its_limits` |
//! | the process that records the exit is killed | `tree::a_tree_is_gone_after_its_supervisor_was_killed` |
//!
//! Memory while output is read, and a pid that another process has, need means that differ between systems: the fault tests
//! are about them.

mod bad_input;
mod follow_ups;
mod from_inside;
mod helper;
mod interrupt;
mod job_objects;
mod jobs;
mod keys;
mod launch;
mod launcher;
mod limits;
mod mcp;
mod mcp_http;
mod monitor;
mod output;
mod record;
mod service;
mod setup;
mod shells;
mod speed;
mod story;
mod tree;
mod webhook;
