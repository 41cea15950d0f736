//! Signals that ask a command to end. While a command waits, they end the waiting, never the job, and the command says so;
//! a monitor is stopped in good order.

use std::io::{IsTerminal, Write};

use homing::{JobId, MonitorHandle};
use homing_supervisor::platform::signals::while_blocked;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Exit status of a process that ended because of a signal, as shells show it: 128 + its number.
const SIGNAL_STATUS: i32 = 128;

/// From now on, lets Ctrl-C, SIGTERM and SIGHUP end this process with a sentence about the jobs it waited for. A signal that
/// the caller ignores (`nohup`, a background command of a script) stays ignored.
pub(crate) fn explain_interrupt(jobs: &[JobId]) {
    let (what, hint) = match jobs {
        [id] => (
            format!("job {id} keeps running"),
            format!("homing output --follow {id} shows it, homing kill {id} ends it"),
        ),
        ids => {
            let names: Vec<&str> = ids.iter().map(JobId::as_str).collect();
            (
                format!("jobs {} keep running", names.join(", ")),
                "homing list shows them, homing kill JOB ends one".to_owned(),
            )
        }
    };
    let ignored = ignored_signals();
    let mut signals = vec![SIGHUP, SIGINT, SIGTERM];
    signals.retain(|signal| ignored & (1 << (signal - 1)) == 0);
    on_signals(&signals, move |signal| {
        let mut stderr = std::io::stderr().lock();
        // A terminal has just shown ^C. Where the terminal is gone (SIGHUP), nobody is left to hear of a failure to write.
        let line_end = if signal == SIGINT && stderr.is_terminal() { "\n" } else { "" };
        let _ = writeln!(stderr, "{line_end}homing: stopped waiting; {what}");
        let _ = writeln!(stderr, "hint: {hint}");
        std::process::exit(SIGNAL_STATUS + signal);
    });
}

/// The signals that this process ignores, as a set of bits: signal n is bit n - 1 (`SigIgn`, proc_pid_status(5)). Empty
/// where the kernel does not say.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok())
        .unwrap_or_default()
}

/// From now on, SIGTERM and Ctrl-C stop a monitor: the first waits for sinks at work, the second does not, and the
/// third ends this process whatever it does.
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

/// From now on, SIGTERM and Ctrl-C are told to whoever waits for this, once; the second ends this process.
#[cfg(feature = "mcp")]
pub(crate) fn first_signal() -> tokio::sync::oneshot::Receiver<i32> {
    let (tell, told) = tokio::sync::oneshot::channel();
    let mut tell = Some(tell);
    on_signals(&[SIGINT, SIGTERM], move |signal| match tell.take() {
        // Where nobody waits any more, the process is ending.
        Some(tell) => drop(tell.send(signal)),
        None => std::process::exit(SIGNAL_STATUS + signal),
    });
    told
}

/// Where no handler can be set or no thread be made, signals do what they do to any process.
fn on_signals(signals: &[i32], mut act: impl FnMut(i32) + Send + 'static) {
    let (hand_over, handed_over) = std::sync::mpsc::sync_channel::<Signals>(1);
    let wait = move || {
        if let Ok(mut received) = handed_over.recv() {
            received.forever().for_each(&mut act);
        }
    };
    // A handler is in place a moment before signal-hook knows what to do with its signal, and loses one that comes then.
    while_blocked(|| {
        // The thread before the handler: without it nobody would receive a signal that the handler keeps from the process.
        let waiting = std::thread::Builder::new().name("homing-signals".to_owned()).spawn(wait);
        if waiting.is_ok()
            && let Ok(received) = Signals::new(signals)
        {
            // It fails only where the thread is gone.
            let _ = hand_over.send(received);
        }
    });
}
