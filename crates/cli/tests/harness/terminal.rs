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

/// Pause after keys. Some programs take a key that follows at once for a part of a pasted text.
const KEY_PAUSE: Duration = Duration::from_millis(200);

/// How long a program has to show a line or to send it before the keys are pressed again, and how often the key that
/// sends it is pressed before the line is typed again.
const KEYS_AGAIN: Duration = Duration::from_secs(5);
const ENTERS: usize = 8;

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

    /// Types a line and sends it, until it has arrived. The last character of `text` is the key that sends it. Keys are lost
    /// until the program reads them, so the line is typed again until the program shows it. The key that sends it is then
    /// pressed again: on an empty line it does nothing. A program that starts may also forget its line, so it is typed again
    /// at last; a slow program has long to send it before, because a line that is typed twice arrives twice.
    #[track_caller]
    pub(crate) fn type_in(&self, text: &str, arrived: impl Fn() -> bool) {
        let (line, enter) = text.split_at(text.len() - 1);
        wait_until("what was typed has arrived", || {
            let shown_before = self.count_shown(line);
            // Ctrl-U clears the line of an earlier attempt.
            self.press_key("\x15");
            self.press_key(line);
            if !holds_within(KEYS_AGAIN, || arrived() || self.count_shown(line) > shown_before) {
                return false;
            }
            (0..ENTERS).any(|_| {
                if !arrived() {
                    self.press_key(enter);
                }
                holds_within(KEYS_AGAIN, &arrived)
            })
        });
    }

    /// Presses keys, and waits until a program takes the next keys for other ones, not for the same pasted text.
    fn press_key(&self, keys: &str) {
        self.press(keys);
        std::thread::sleep(KEY_PAUSE);
    }

    /// How often the program has shown a line, without regard to blanks: programs skip them with the cursor.
    fn count_shown(&self, line: &str) -> usize {
        let without_blanks = |text: &str| text.split_whitespace().collect::<String>();
        without_blanks(&without_control_codes(&self.screen())).matches(&without_blanks(line)).count()
    }
}

/// Whether a condition becomes true within a time.
fn holds_within(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let give_up_at = Instant::now() + limit;
    while !condition() {
        if Instant::now() >= give_up_at {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Removes the control codes of a terminal: CSI and OSC sequences, and other escape sequences of two characters.
fn without_control_codes(screen: &str) -> String {
    let mut text = String::with_capacity(screen.len());
    let mut rest = screen.chars();
    while let Some(character) = rest.next() {
        if character != '\x1b' {
            text.push(character);
            continue;
        }
        match rest.next() {
            Some('[') => drop(rest.find(|end| ('@'..='~').contains(end))),
            Some(']') => drop(rest.find(|end| matches!(end, '\x07' | '\x1b'))),
            Some(_) | None => {}
        }
    }
    text
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
