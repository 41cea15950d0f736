//! Handles signals that ask a command to end. They stop a wait, never the job, and the command prints that the job
//! keeps running. They stop a monitor cleanly.

use std::io::{IsTerminal, Write};

use homing::{JobId, MonitorHandle};
#[cfg(feature = "mcp")]
use homing_supervisor::platform::interrupt::Interrupt;
use homing_supervisor::platform::interrupt::{on_end_request, on_stop_request};

/// The most jobs that a message names.
const MAX_NAMED: usize = 10;

/// Makes Ctrl-C, SIGTERM and SIGHUP end this process with a message that names the jobs it waits for. A signal that
/// the caller ignores (`nohup`, a background command of a script) stays ignored.
pub(crate) fn explain_interrupt(jobs: &[JobId]) {
    let (what, hint) = match jobs {
        [id] => (
            format!("job {id} keeps running"),
            format!("run homing output --follow {id} to see its output, or homing kill {id} to stop it"),
        ),
        ids => {
            let names: Vec<&str> = ids.iter().take(MAX_NAMED).map(JobId::as_str).collect();
            let more = match ids.len() - names.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            (
                format!("jobs {}{more} keep running", names.join(", ")),
                "run homing list to see them, or homing kill JOB to stop one".to_owned(),
            )
        }
    };
    on_end_request(move |interrupt| {
        let mut stderr = std::io::stderr().lock();
        // The terminal has just printed ^C. After SIGHUP the terminal is gone, so ignore write errors.
        let line_end = if interrupt.is_from_keyboard() && stderr.is_terminal() { "\n" } else { "" };
        let _ = writeln!(stderr, "{line_end}homing: stopped waiting; {what}");
        let _ = writeln!(stderr, "hint: {hint}");
        std::process::exit(interrupt.exit_status());
    });
}

/// Makes SIGTERM and Ctrl-C stop a monitor. After the first signal the monitor waits for running sinks, after the
/// second it does not; the third ends this process immediately.
pub(crate) fn stop_on_signals(monitor: MonitorHandle) {
    let mut received = 0;
    on_stop_request(move |interrupt| {
        received += 1;
        if received > 2 {
            std::process::exit(interrupt.exit_status());
        }
        monitor.stop();
    });
}

/// Returns a receiver that yields the first SIGTERM or Ctrl-C. The second signal ends this process.
#[cfg(feature = "mcp")]
pub(crate) fn first_signal() -> tokio::sync::oneshot::Receiver<Interrupt> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut sender = Some(sender);
    on_stop_request(move |interrupt| match sender.take() {
        // If the receiver is gone, the process is already ending.
        Some(sender) => drop(sender.send(interrupt)),
        None => std::process::exit(interrupt.exit_status()),
    });
    receiver
}
