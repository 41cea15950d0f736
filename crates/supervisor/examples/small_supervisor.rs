//! A supervisor as a separate, small program. `HOMING_SUPERVISOR` selects it; `scripts/bench-peers --supervisors`
//! measures how much memory it saves.

fn main() {
    let directory = std::env::args_os().nth(2);
    let supervised = directory.map(|directory| {
        homing_supervisor::supervise(directory.as_ref(), homing_supervisor::Start::InTime, None)
    });
    std::process::exit(if matches!(supervised, Some(Ok(()))) { 0 } else { 1 });
}
