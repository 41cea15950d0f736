//! A program in a terminal, with simulated typing.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use testkit::wait_until;

/// How much of the output is kept, in bytes.
const MAX_SCREEN: usize = 1 << 20;

/// How much of it a failed test prints, in characters.
const MAX_SHOWN: usize = 4_000;

/// Questions of programs to the terminal, and its answers: the position of the cursor, and its kind.
const ANSWERS: [(&str, &str); 2] = [("\x1b[6n", "\x1b[1;1R"), ("\x1b[c", "\x1b[?62;c")];

/// A program in a terminal. Killed when dropped.
pub(crate) struct Terminal {
    pub(crate) child: Child,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts a program in a new terminal.
    pub(crate) fn start(mut command: Command) -> Terminal {
        let terminal =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&terminal).expect("the test owns the terminal");
        unlockpt(&terminal).expect("the test owns the terminal");
        let size = Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).expect("a terminal has a size");
        let name = ptsname(&terminal, Vec::new()).expect("it has a name").into_string().expect("text");
        let side = || -> Stdio {
            let side = File::options().read(true).write(true).open(&name).expect("the other side");
            OwnedFd::from(side).into()
        };
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("it runs");
        drop(command);
        let keyboard = File::from(terminal);
        let output = keyboard.try_clone().expect("a copy");
        let screen: Arc<Mutex<Vec<u8>>> = Arc::default();
        let kept = Arc::clone(&screen);
        std::thread::spawn(move || drain(output, &kept));
        Terminal { child, keyboard, screen }
    }

    /// Everything that the program has written to the terminal, for messages of failed tests.
    pub(crate) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Presses keys.
    pub(crate) fn press(&self, keys: &str) {
        (&self.keyboard).write_all(keys.as_bytes()).expect("it takes keys");
    }

    /// Types until the text has arrived: keys are lost until the program reads them. The last character of `text` is
    /// the key that sends it.
    #[track_caller]
    pub(crate) fn type_in(&self, text: &str, arrived: impl Fn() -> bool) {
        let (line, enter) = text.split_at(text.len() - 1);
        let mut typed_at = None::<Instant>;
        wait_until("what was typed has arrived", || {
            if typed_at.is_none_or(|at| at.elapsed() > Duration::from_secs(5)) && !arrived() {
                // Ctrl-U clears the line of an earlier attempt.
                for keys in ["\x15", line, enter] {
                    self.press(keys);
                    std::thread::sleep(Duration::from_millis(200));
                }
                typed_at = Some(Instant::now());
            }
            arrived()
        });
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let screen = self.screen();
            let end: String = screen.chars().rev().take(MAX_SHOWN).collect();
            let end: String = end.chars().rev().collect();
            let _ = writeln!(std::io::stderr(), "the end of the screen: {end}");
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Drains the screen, or the program would block, and answers its questions. Ends when the last process closes its
/// side.
fn drain(mut output: File, screen: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = output.read(&mut buffer) {
        let text = String::from_utf8_lossy(&buffer[..count]);
        for (question, answer) in ANSWERS {
            for _ in text.matches(question) {
                let _ = output.write_all(answer.as_bytes());
            }
        }
        let mut screen = screen.lock().unwrap_or_else(PoisonError::into_inner);
        screen.extend_from_slice(&buffer[..count]);
        let excess = screen.len().saturating_sub(MAX_SCREEN);
        screen.drain(..excess);
    }
}
