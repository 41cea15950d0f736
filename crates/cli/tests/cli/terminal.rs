//! Runs the program on a terminal of a chosen size.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use testkit::wait_until;

use crate::setup::send;

/// The program on a terminal.
pub(crate) struct OnTerminal {
    child: Child,
    /// `None` once it is closed.
    terminal: Option<File>,
    written: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
    /// Makes the reader end at the next bytes.
    is_closing: Arc<AtomicBool>,
}

impl OnTerminal {
    /// Starts a command on a terminal with this many columns and lines, without colors.
    pub(crate) fn start(mut command: Command, columns: u16, lines: u16) -> OnTerminal {
        command.env("NO_COLOR", "1");
        OnTerminal::start_with_colors(command, columns, lines)
    }

    /// Starts a command on a terminal with this many columns and lines.
    pub(crate) fn start_with_colors(mut command: Command, columns: u16, lines: u16) -> OnTerminal {
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
        command.stdin(side()).stdout(side()).stderr(side()).env("TERM", "xterm");
        let child = command.spawn().expect("the program runs");
        // Closes this process's copies of the other side, so that the reader ends with the program.
        drop(command);
        let terminal = File::from(terminal);
        let mut screen = terminal.try_clone().expect("a copy");
        let written = Arc::new(Mutex::new(Vec::new()));
        let collected = Arc::clone(&written);
        let is_closing = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&is_closing);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                collected.lock().expect("no panic").extend_from_slice(&buffer[..count]);
                if ends.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        OnTerminal { child, terminal: Some(terminal), written, reader: Some(reader), is_closing }
    }

    fn terminal(&self) -> &File {
        self.terminal.as_ref().expect("it is open")
    }

    /// Closes the terminal while a program runs that draws again when the size changes. Returns the status of the program.
    pub(crate) fn hang_up(mut self) -> Option<i32> {
        self.is_closing.store(true, Ordering::Relaxed);
        // The reader is waiting for bytes.
        self.resize(40, 12);
        if let Some(reader) = self.reader.take() {
            reader.join().expect("no panic");
        }
        self.terminal = None;
        self.child.wait().expect("the program exits").code()
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

    /// Presses keys.
    pub(crate) fn type_keys(&self, keys: &str) {
        self.terminal().write_all(keys.as_bytes()).expect("the terminal is open");
    }

    /// Whether the terminal passes whole lines and shows what is typed, as it does for a shell.
    pub(crate) fn has_usual_mode(&self) -> bool {
        let mode = tcgetattr(self.terminal()).expect("it is a terminal");
        mode.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG)
    }

    pub(crate) fn resize(&self, columns: u16, lines: u16) {
        tcsetwinsize(self.terminal(), size(columns, lines)).expect("a terminal has a size");
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
