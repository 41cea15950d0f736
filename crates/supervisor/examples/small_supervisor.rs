//! A supervisor as a program of its own, to measure what it would save: `HOMING_SUPERVISOR` names it.
//! `scripts/bench-peers --supervisors` compares.

fn main() {
    let directory = std::env::args_os().nth(2);
    let supervised = directory
        .map(|directory| homing_supervisor::supervise(directory.as_ref(), homing_supervisor::Start::InTime));
    std::process::exit(if matches!(supervised, Some(Ok(()))) { 0 } else { 1 });
}
