//! Signals by number and name, with the numbers of Linux (signal(7); the same on every architecture but MIPS, Alpha,
//! SPARC and PA-RISC).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A signal, displayed by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signal(i32);

const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

impl Signal {
    /// Creates a signal from its number.
    pub fn from_number(number: i32) -> Signal {
        Signal(number)
    }

    /// Returns the number.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = usize::try_from(self.0 - 1).ok().and_then(|index| NAMES.get(index));
        match name {
            Some(name) => f.pad(name),
            None if (34..=64).contains(&self.0) => f.pad(&format!("SIGRTMIN+{}", self.0 - 34)),
            None => f.pad(&format!("SIG{}", self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_displayed_by_name() {
        let names = [9, 11, 15, 31, 34, 64, 99].map(|number| Signal::from_number(number).to_string());
        let expected = ["SIGKILL", "SIGSEGV", "SIGTERM", "SIGSYS", "SIGRTMIN+0", "SIGRTMIN+30", "SIG99"];
        assert_eq!(names, expected);
    }
}
