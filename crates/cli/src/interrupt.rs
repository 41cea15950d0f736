//! Signals that ask a command to end. Ctrl-C while waiting ends the waiting, never the job, and says so; a monitor is
//! stopped in good order.

use std::io::{IsTerminal, Write};

use homing::{JobId, MonitorHandle};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::INTERRUPTED;

/// From now on, lets Ctrl-C end this process with a word about the jobs it waited for.
pub(crate) fn explain_interrupt(jobs: &[JobId]) {
    let (what, hint) = match jobs {
        [id] => {
            (format!("job {id}"), format!("homing output --follow {id} shows it, homing kill {id} ends it"))
        }
        ids => {
            let names: Vec<&str> = ids.iter().map(JobId::as_str).collect();
            (
                format!("jobs {}", names.join(", ")),
                "homing list shows them, homing kill JOB ends one".to_owned(),
            )
        }
    };
    on_signals(&[SIGINT], move |_| {
        let mut stderr = std::io::stderr().lock();
        // A terminal has just shown ^C. Nobody is left to hear of a failure to write.
        let line_end = if stderr.is_terminal() { "\n" } else { "" };
        let _ =
            writeln!(stderr, "{line_end}homing: interrupted; {what}: what runs goes on in the background");
        let _ = writeln!(stderr, "hint: {hint}");
        std::process::exit(INTERRUPTED.into());
    });
}

/// From now on, SIGTERM and Ctrl-C stop a monitor: the first waits for sinks at work, the second does not, and the
/// third ends this process whatever it does.
pub(crate) fn stop_on_signals(monitor: MonitorHandle) {
    let mut received = 0;
    on_signals(&[SIGINT, SIGTERM], move |signal| {
        received += 1;
        if received > 2 {
            std::process::exit(128 + signal);
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
        None => std::process::exit(128 + signal),
    });
    told
}

/// Where no handler can be set, signals do what they do to any process.
fn on_signals(signals: &[i32], mut act: impl FnMut(i32) + Send + 'static) {
    if let Ok(mut received) = Signals::new(signals) {
        std::thread::spawn(move || received.forever().for_each(&mut act));
    }
}
