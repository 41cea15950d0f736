//! Ctrl-C while waiting: ends the waiting, never the job, and says so.

use std::io::{IsTerminal, Write};

use homing::JobId;

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
    let explain = move || {
        let mut stderr = std::io::stderr().lock();
        // A terminal has just shown ^C. Nobody is left to hear of a failure to write.
        let line_end = if stderr.is_terminal() { "\n" } else { "" };
        let _ =
            writeln!(stderr, "{line_end}homing: interrupted; {what}: what runs goes on in the background");
        let _ = writeln!(stderr, "hint: {hint}");
        std::process::exit(INTERRUPTED.into());
    };
    // Where no handler can be set, Ctrl-C ends us without a word, and the jobs go on all the same.
    let _ = ctrlc::set_handler(explain);
}
