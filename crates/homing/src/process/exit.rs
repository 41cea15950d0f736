//! How the program of a sink ended, and descriptions for people.

use std::fmt;
use std::time::Duration;

use homing_core::text::{clean, flatten};
use homing_core::{Signal, format_duration};

/// How much of a program's last output is shown, in characters and in lines.
const OUTPUT_TAIL_CHARS: usize = 300;
const OUTPUT_TAIL_LINES: usize = 5;

/// How a program ended, and its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SinkExit {
    /// The end of the program.
    pub(crate) exit: Exit,
    /// The last MiB of its standard output: the last message of an agent may be long.
    pub(crate) stdout: Vec<u8>,
    /// The last 8 KiB of its standard error.
    pub(crate) stderr: Vec<u8>,
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It exited with this status.
    Code(i32),
    /// A signal from outside homing killed it.
    Signal(Signal),
    /// homing ended it after its timeout.
    TimedOut {
        /// The timeout.
        after: Duration,
    },
}

impl SinkExit {
    /// Its end and its last output, for people: `exit status 3: no such session`.
    pub(crate) fn description(&self) -> String {
        let words = [&self.stderr, &self.stdout].map(|bytes| output_tail(bytes, OUTPUT_TAIL_LINES));
        match words.into_iter().find(|words| !words.is_empty()) {
            Some(words) => format!("{}: {words}", self.exit),
            None => self.exit.to_string(),
        }
    }

    /// The last line of its standard error, for people. If that is empty, how it ended.
    pub(crate) fn last_line(&self) -> String {
        let line = output_tail(&self.stderr, 1);
        if line.is_empty() { self.exit.to_string() } else { line }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Signal(signal) => write!(f, "killed by {signal}"),
            Exit::TimedOut { after } => write!(f, "timed out after {}", format_duration(*after)),
        }
    }
}

/// The last lines that are not blank, joined in one line.
fn output_tail(bytes: &[u8], lines: usize) -> String {
    let text = clean(bytes);
    let mut last: Vec<&str> =
        text.lines().rev().map(str::trim).filter(|line| !line.is_empty()).take(lines).collect();
    last.reverse();
    let words = flatten(&last.join(" | "));
    match words.char_indices().rev().nth(OUTPUT_TAIL_CHARS - 1) {
        Some((start, _)) if start > 0 => format!("…{}", &words[start..]),
        Some(_) | None => words,
    }
}
