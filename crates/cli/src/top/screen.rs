//! The terminal: its alternate screen and its keys. Gives it back however this process ends: by itself, by a signal, or by
//! a panic.

use std::io::{self, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use homing_supervisor::platform::interrupt::{ScreenEvent, on_screen_event};
use homing_supervisor::platform::keyboard::Keyboard;
use homing_supervisor::platform::notifier::Notifier;
use homing_supervisor::platform::wait::{AsWaitSource, WaitSource};
use ratatui_core::layout::Size;

/// Shows the alternate screen without a cursor, does not continue lines at its edge, and marks pasted text (xterm control
/// sequences: private modes 1049, 25, 7 and 2004).
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[?2004h";
/// The reverse of [`ENTER`].
const LEAVE: &str = "\x1b[0m\x1b[?2004l\x1b[?7h\x1b[?25h\x1b[?1049l";

/// How long the end of this process waits for a frame that is being written. A terminal may have stopped to take bytes.
const WRITE_TIMEOUT: Duration = Duration::from_millis(500);
const WRITE_PAUSE: Duration = Duration::from_millis(5);

/// The size of a terminal that does not report one.
const UNKNOWN_SIZE: Size = Size { width: 80, height: 24 };

/// Who has the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// This process shows the alternate screen.
    Shown,
    /// The terminal is as before: this process is stopped, or has not taken it yet.
    Left,
    /// The terminal is as before, and stays so.
    Ended,
}

/// The terminal. Frames and the sequences that leave the screen never mix.
#[derive(Debug)]
pub(super) struct Screen {
    keyboard: Keyboard,
    state: Mutex<State>,
    /// Whether what is on the screen is unknown.
    is_unknown: AtomicBool,
    /// Ready when the size may have changed, or the screen is shown again.
    changed: Notifier,
}

impl Screen {
    /// Opens the terminal, and changes nothing yet.
    ///
    /// # Errors
    /// If standard input is not a terminal, or a limit of the system is reached.
    pub(super) fn open() -> io::Result<Screen> {
        Ok(Screen {
            keyboard: Keyboard::open()?,
            state: Mutex::new(State::Left),
            is_unknown: AtomicBool::new(true),
            changed: Notifier::new()?,
        })
    }

    /// Takes the terminal, until the result is dropped, a signal ends this process, or it panics.
    ///
    /// # Errors
    /// If the terminal is closed.
    pub(super) fn take(self) -> io::Result<TakenScreen> {
        let screen = Arc::new(self);
        leave_on_panic(Arc::clone(&screen));
        let of_signals = Arc::clone(&screen);
        on_screen_event(move |event| of_signals.on_event(event));
        let taken = TakenScreen(screen);
        taken.0.change(State::Shown)?;
        Ok(taken)
    }

    fn on_event(&self, event: ScreenEvent) {
        match event {
            ScreenEvent::Ended(interrupt) => {
                self.end_in_time();
                std::process::exit(interrupt.exit_status());
            }
            // Terminals rearrange what they show.
            ScreenEvent::Resized => self.is_unknown.store(true, Ordering::Relaxed),
            // If the terminal is gone, the next frame finds out.
            ScreenEvent::Left => drop(self.change(State::Left)),
            ScreenEvent::Entered => drop(self.change(State::Shown)),
        }
        self.changed.notify();
    }

    /// Takes the terminal or gives it back.
    fn change(&self, to: State) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.change_from(&mut state, to)
    }

    fn change_from(&self, state: &mut State, to: State) -> io::Result<()> {
        let from = *state;
        if from == State::Ended || from == to {
            return Ok(());
        }
        *state = to;
        match (from, to) {
            (_, State::Shown) => {
                self.is_unknown.store(true, Ordering::Relaxed);
                // A process in the background stops here.
                self.keyboard.start()?;
                write_now(ENTER)
            }
            (State::Shown, State::Left | State::Ended) => {
                let restored = self.keyboard.stop();
                write_now(LEAVE).and(restored)
            }
            (State::Left | State::Ended, State::Left | State::Ended) => Ok(()),
        }
    }

    /// Gives the terminal back for good, although another thread may be writing a frame that the terminal does not take.
    fn end_in_time(&self) {
        let give_up_at = Instant::now() + WRITE_TIMEOUT;
        loop {
            match self.try_state() {
                Some(mut state) => return drop(self.change_from(&mut state, State::Ended)),
                None if Instant::now() < give_up_at => std::thread::sleep(WRITE_PAUSE),
                None => return drop(self.keyboard.stop()),
            }
        }
    }

    /// Gives the terminal back in a thread that panics. It may have been writing itself.
    fn end_in_panic(&self) {
        let _ = match self.try_state() {
            Some(mut state) => self.change_from(&mut state, State::Ended),
            None => self.change_from(&mut State::Shown, State::Ended),
        };
    }

    fn try_state(&self) -> Option<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(state)) => Some(state.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// The terminal while it shows the alternate screen.
#[derive(Debug)]
pub(super) struct TakenScreen(Arc<Screen>);

impl TakenScreen {
    /// Writes to the screen, unless it was left.
    ///
    /// # Errors
    /// If the terminal is closed.
    pub(super) fn draw(&self, text: &str) -> io::Result<()> {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state == State::Shown && !text.is_empty() { write_now(text) } else { Ok(()) }
    }

    /// Whether what is on the screen is unknown, so that everything must be drawn. Only the first call after a change says
    /// so.
    pub(super) fn take_unknown(&self) -> bool {
        self.0.is_unknown.swap(false, Ordering::Relaxed)
    }

    /// The size of the screen.
    pub(super) fn size(&self) -> Size {
        let size = terminal_size::terminal_size_of(io::stdout());
        size.map(|(width, height)| Size { width: width.0, height: height.0 })
            .filter(|size| size.width > 0 && size.height > 0)
            .unwrap_or(UNKNOWN_SIZE)
    }

    /// Ready when the size may have changed, or the screen is shown again, until [`TakenScreen::clear_changed`].
    pub(super) fn changed(&self) -> WaitSource<'_> {
        self.0.changed.as_wait_source()
    }

    pub(super) fn clear_changed(&self) {
        self.0.changed.clear();
    }

    /// Ready when keys were pressed, and when the terminal is closed.
    pub(super) fn keys(&self) -> WaitSource<'_> {
        self.0.keyboard.as_wait_source()
    }

    /// Appends the keys that were pressed. Returns `false` if the terminal is closed.
    ///
    /// # Errors
    /// If the terminal cannot be read.
    pub(super) fn read_keys(&self, keys: &mut Vec<u8>) -> io::Result<bool> {
        self.0.keyboard.read(keys)
    }
}

impl Drop for TakenScreen {
    fn drop(&mut self) {
        // If the terminal is gone, there is nothing to give back.
        let _ = self.0.change(State::Ended);
    }
}

/// Gives the terminal back before the message of a panic is printed: a release build aborts right after it.
fn leave_on_panic(screen: Arc<Screen>) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        screen.end_in_panic();
        before(info);
    }));
}

fn write_now(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
