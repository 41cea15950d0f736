//! The helper program of portable tests, in place of `sh`, `sleep` and their like: `testkit-tool ACTION [, ACTION]...`
//!
//! Performs its actions one after another, and exits with 0. A word `,` separates them. An action that fails ends the
//! program with status 111 and a message.
//!
//! | action | does |
//! |---|---|
//! | `sleep SECONDS` | sleeps |
//! | `exit CODE` | exits; the code may have 32 bits, where the system has such codes |
//! | `crash` | aborts |
//! | `print TEXT...`, `print-error TEXT...` | writes the texts, joined by blanks, and a line break |
//! | `write COUNT`, `write-error COUNT` | writes this many bytes of [`testkit::pattern`] to standard output, or to standard error |
//! | `echo-args TEXT...` | writes each text on a line |
//! | `echo-env NAME` | writes the value of a variable, or `(none)` |
//! | `pid`, `directory` | writes its process id, its current directory |
//! | `read-stdin` | copies standard input to standard output |
//! | `touch FILE`, `append FILE TEXT` | creates a file; appends a line to a file |
//! | `stamp FILE` | appends the time to a file as a line, in nanoseconds since 1970 |
//! | `append-stdin FILE` | reads standard input to its end, and appends it to a file as a line |
//! | `wait-for-file FILE` | waits until a file exists |
//! | `exit-if FILE CODE` | exits if a file exists |
//! | `run PROGRAM ARGUMENT...` | runs a program, and continues when it has exited with 0 |
//! | `run-with-large-environment COUNT PROGRAM ARGUMENT...` | runs a program with this many variables of 30,000 bytes, and exits as it does |
//! | `run-in-job-object closed\|open PROGRAM ARGUMENT...` | Windows: enters a job object that processes may not leave, or may leave, runs a program in it, and exits as it does |
//! | `interrupt MILLISECONDS PROGRAM ARGUMENT...` | runs a program, presses Ctrl-C after this time, and exits as the program does |
//! | `spawn WORD...` | starts this program detached, in a process group of its own, with these words, and continues |
//! | `tree DEPTH SECONDS` | starts itself as `spawn` does with a smaller depth, prints its process id, and sleeps |
//! | `stubborn-tree DEPTH SECONDS` | does the same, and each process ignores the polite request to end |
//! | `ignore-term` | ignores the polite request to end: SIGTERM, or CTRL_BREAK on Windows |
//! | `wait-for-term FILE` | creates a file when it is ready for that request, and waits for it |

//!
//! On Windows, a copy with the name `schtasks.exe` is a Task Scheduler: see `scheduler.rs`.

mod actions;
#[cfg(windows)]
mod job_object;
mod keyboard;
mod processes;
mod request;
#[cfg(windows)]
mod scheduler;

use std::io::{self, Write};
use std::process::ExitCode;

/// The status if an action fails.
const FAILED: u8 = 111;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    #[cfg(windows)]
    if let Some(scheduler) = scheduler::Scheduler::of_this_program() {
        return scheduler.perform(&words);
    }
    for action in words.split(|word| word == ",") {
        let Some((name, arguments)) = action.split_first() else { continue };
        if let Err(error) = actions::perform(name, arguments) {
            let _ = writeln!(io::stderr(), "testkit-tool {}: {error}", action.join(" "));
            return ExitCode::from(FAILED);
        }
    }
    ExitCode::SUCCESS
}
