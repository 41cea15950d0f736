//! Reads the keys of the terminal, for a program that draws on it.

use std::io::{self, Stdin};

use rustix::io::Errno;
use rustix::stdio;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use super::wait::{AsWaitSource, WaitSource};

/// The most bytes that one read takes.
const BUFFER_BYTES: usize = 1024;

/// The keyboard of the terminal on standard input. Ready for a wait when keys were pressed, and when the terminal is closed.
#[derive(Debug)]
pub struct Keyboard {
    stdin: Stdin,
    /// The mode to restore.
    before: Termios,
}

impl Keyboard {
    /// Opens it, and changes nothing yet.
    ///
    /// # Errors
    /// If standard input is not a terminal.
    pub fn open() -> io::Result<Keyboard> {
        Ok(Keyboard { stdin: io::stdin(), before: tcgetattr(stdio::stdin())? })
    }

    /// Makes the terminal pass each key at once, and not show it. Ctrl-C and Ctrl-Z keep their effect. Ctrl-\ loses it,
    /// because it would end this process before it can restore the terminal.
    ///
    /// # Errors
    /// If the terminal is closed.
    pub fn start(&self) -> io::Result<()> {
        let mut mode = self.before.clone();
        mode.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        mode.special_codes[SpecialCodeIndex::VMIN] = 1;
        mode.special_codes[SpecialCodeIndex::VTIME] = 0;
        mode.special_codes[SpecialCodeIndex::VQUIT] = libc::_POSIX_VDISABLE;
        Ok(tcsetattr(stdio::stdin(), OptionalActions::Now, &mode)?)
    }

    /// Restores the mode that the terminal had when this was opened.
    ///
    /// # Errors
    /// If the terminal is closed.
    pub fn stop(&self) -> io::Result<()> {
        Ok(tcsetattr(stdio::stdin(), OptionalActions::Now, &self.before)?)
    }

    /// Appends the keys that were pressed, as an xterm sends them, in UTF-8. Waits for the first key if there is none.
    /// Returns `false` if the terminal is closed.
    ///
    /// # Errors
    /// If the terminal cannot be read.
    pub fn read(&self, keys: &mut Vec<u8>) -> io::Result<bool> {
        let mut buffer = [0; BUFFER_BYTES];
        match rustix::io::read(stdio::stdin(), &mut buffer) {
            Ok(0) | Err(Errno::IO) => Ok(false),
            Ok(count) => {
                keys.extend_from_slice(&buffer[..count]);
                Ok(true)
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsWaitSource for Keyboard {
    fn as_wait_source(&self) -> WaitSource<'_> {
        self.stdin.as_wait_source()
    }
}
