//! Measures the processor time of a program, which does not depend on what else runs on the machine.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::wait_until;

/// Runs a program, and returns its output and the processor time that it used. Its output must fit into a pipe
/// (64 KiB, pipe(7)).
///
/// # Panics
/// If it cannot be started, or does not end in time.
pub fn run_with_processor_time(command: &mut Command) -> (Output, Duration) {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut ticks = 0;
    // A process that has ended keeps its times until it is waited for (proc_pid_stat(5): state, utime, stime).
    wait_until("the program ends", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("its state");
        let after_name = stat.rsplit_once(") ").expect("a name in brackets").1;
        let fields: Vec<&str> = after_name.split(' ').collect();
        let number = |at: usize| fields[at].parse::<u64>().expect("a number");
        ticks = number(11) + number(12);
        fields[0] == "Z"
    });
    let output = child.wait_with_output().expect("it has ended");
    (output, Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second()))
}
