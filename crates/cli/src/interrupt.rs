//! Handles signals that ask a command to end. They stop a wait, never the job, and the command prints that the job
//! keeps running. They stop a monitor cleanly.

use std::io::{IsTerminal, Write};

use homing::{JobId, MonitorHandle};
use homing_supervisor::platform::signals::{is_ignored, while_blocked};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

/// The most jobs that a message names.
const MAX_NAMED: usize = 10;

/// Base of the exit status of a process ended by a signal, as shells report it: 128 + signal number.
const SIGNAL_STATUS: i32 = 128;

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
    let mut signals = vec![SIGHUP, SIGINT, SIGTERM];
    signals.retain(|signal| !is_ignored(*signal));
    on_signals(&signals, move |signal| {
        let mut stderr = std::io::stderr().lock();
        // The terminal has just printed ^C. After SIGHUP the terminal is gone, so ignore write errors.
        let line_end = if signal == SIGINT && stderr.is_terminal() { "\n" } else { "" };
        let _ = writeln!(stderr, "{line_end}homing: stopped waiting; {what}");
        let _ = writeln!(stderr, "hint: {hint}");
        std::process::exit(SIGNAL_STATUS + signal);
    });
}

/// What a command that draws on the terminal does about a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScreenEvent {
    /// The terminal has another size.
    Resized,
    /// This process ends or is stopped: give the terminal back.
    Left,
    /// This process continues: draw again.
    Entered,
}

/// Calls `act` for signals that concern the terminal, in another thread. Ctrl-C, SIGTERM and SIGHUP then end this
/// process, and Ctrl-Z stops it until it is continued. A signal that the caller ignores stays ignored.
pub(crate) fn on_screen_signals(mut act: impl FnMut(ScreenEvent) + Send + 'static) {
    let mut signals = vec![SIGHUP, SIGINT, SIGTERM, SIGTSTP];
    signals.retain(|signal| !is_ignored(*signal));
    signals.push(SIGWINCH);
    on_signals(&signals, move |signal| match signal {
        SIGWINCH => act(ScreenEvent::Resized),
        SIGTSTP => {
            act(ScreenEvent::Left);
            // Returns when this process is continued. It cannot fail for this signal.
            let _ = emulate_default_handler(SIGTSTP);
            act(ScreenEvent::Entered);
        }
        signal => {
            act(ScreenEvent::Left);
            std::process::exit(SIGNAL_STATUS + signal);
        }
    });
}

/// Makes SIGTERM and Ctrl-C stop a monitor. After the first signal the monitor waits for running sinks, after the
/// second it does not; the third ends this process immediately.
pub(crate) fn stop_on_signals(monitor: MonitorHandle) {
    let mut received = 0;
    on_signals(&[SIGINT, SIGTERM], move |signal| {
        received += 1;
        if received > 2 {
            std::process::exit(SIGNAL_STATUS + signal);
        }
        monitor.stop();
    });
}

/// Returns a receiver that yields the first SIGTERM or Ctrl-C. The second signal ends this process.
#[cfg(feature = "mcp")]
pub(crate) fn first_signal() -> tokio::sync::oneshot::Receiver<i32> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let mut sender = Some(sender);
    on_signals(&[SIGINT, SIGTERM], move |signal| match sender.take() {
        // If the receiver is gone, the process is already ending.
        Some(sender) => drop(sender.send(signal)),
        None => std::process::exit(SIGNAL_STATUS + signal),
    });
    receiver
}

/// Calls `act` for each of these signals. If no handler or thread can be created, the signals keep their default
/// effect.
fn on_signals(signals: &[i32], mut act: impl FnMut(i32) + Send + 'static) {
    let (signals_sender, signals_receiver) = std::sync::mpsc::sync_channel::<Signals>(1);
    let wait = move || {
        if let Ok(mut received) = signals_receiver.recv() {
            received.forever().for_each(&mut act);
        }
    };
    // signal-hook installs its handler just before it registers the action, and loses a signal that arrives in
    // between.
    while_blocked(|| {
        // Start the thread before the handler: without a thread, a caught signal would have no effect.
        let waiting = std::thread::Builder::new().name("homing-signals".to_owned()).spawn(wait);
        if waiting.is_ok()
            && let Ok(received) = Signals::new(signals)
        {
            // This fails only if the thread is gone.
            let _ = signals_sender.send(received);
        }
    });
}
