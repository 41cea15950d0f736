//! Runs the program on a terminal of a chosen size.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use testkit::wait_until;

use crate::setup::send;

/// The program on a terminal.
pub(crate) struct OnTerminal {
    child: Child,
    terminal: File,
    written: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl OnTerminal {
    /// Starts a command on a terminal with this many columns and lines.
    pub(crate) fn start(mut command: Command, columns: u16, lines: u16) -> OnTerminal {
        let terminal =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&terminal).expect("the test owns the terminal");
        unlockpt(&terminal).expect("the test owns the terminal");
        tcsetwinsize(&terminal, size(columns, lines)).expect("a terminal has a size");
        let name = ptsname(&terminal, Vec::new()).expect("it has a name").into_string().expect("text");
        let side = || -> Stdio {
            let side = File::options().read(true).write(true).open(&name).expect("the other side");
            OwnedFd::from(side).into()
        };
        command.stdin(side()).stdout(side()).stderr(side()).env("TERM", "xterm").env("NO_COLOR", "1");
        let child = command.spawn().expect("the program runs");
        // Closes this process's copies of the other side, so that the reader ends with the program.
        drop(command);
        let terminal = File::from(terminal);
        let mut screen = terminal.try_clone().expect("a copy");
        let written = Arc::new(Mutex::new(Vec::new()));
        let collected = Arc::clone(&written);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                collected.lock().expect("no panic").extend_from_slice(&buffer[..count]);
            }
        });
        OnTerminal { child, terminal, written, reader: Some(reader) }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that was written so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().expect("no panic")).into_owned()
    }

    /// The last picture: what was written since the cursor was moved to the top.
    pub(crate) fn picture(&self) -> String {
        let text = self.text();
        text.rsplit("\x1b[H").next().unwrap_or_default().replace("\x1b[K", "").replace("\x1b[J", "")
    }

    pub(crate) fn resize(&self, columns: u16, lines: u16) {
        tcsetwinsize(&self.terminal, size(columns, lines)).expect("a terminal has a size");
        // The terminal is not the controlling terminal of the program, so the kernel does not tell it.
        self.send(Signal::WINCH);
    }

    pub(crate) fn send(&self, signal: Signal) {
        send(self.child.id(), signal);
    }

    /// Waits until the last picture shows this.
    pub(crate) fn wait_for(&self, what: &str, shows: impl Fn(&str) -> bool) {
        wait_until(what, || shows(&self.picture()));
    }

    /// Waits until the program exits. Returns its status and everything that it wrote.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().expect("the program exits").code();
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no panic");
        }
        (status, self.text())
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn size(columns: u16, lines: u16) -> Winsize {
    Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}
