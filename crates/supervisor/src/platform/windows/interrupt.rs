//! Requests that a console sends to a program in the foreground, and changes of its window (SetConsoleCtrlHandler).
#![allow(unsafe_code, reason = "SetConsoleCtrlHandler and GetConsoleScreenBufferInfo")]

use std::io;
use std::os::windows::io::AsRawHandle;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder};
use std::time::Duration;

use windows_sys::Win32::System::Console::{
    CONSOLE_SCREEN_BUFFER_INFO, CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT, GetConsoleScreenBufferInfo,
    SMALL_RECT, SetConsoleCtrlHandler,
};
use windows_sys::core::BOOL;

/// How often the size of the console is compared. Windows reports it only among the keys that were pressed, which belong
/// to the program that reads them.
const COMPARE_EVERY: Duration = Duration::from_millis(250);

/// Statuses that programs have on other systems for the same reasons: 128 + signal number of SIGINT, SIGHUP, SIGTERM.
const INTERRUPTED: i32 = 130;
const CLOSED: i32 = 129;
const TERMINATED: i32 = 143;

/// A request to end this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// The event of the console (HandlerRoutine).
    event: u32,
}

impl Interrupt {
    /// Returns the status with which a process exits that the request ended: as on other systems, so that scripts need
    /// not distinguish them.
    pub fn exit_status(self) -> i32 {
        match self.event {
            CTRL_C_EVENT | CTRL_BREAK_EVENT => INTERRUPTED,
            CTRL_CLOSE_EVENT => CLOSED,
            // The user logs off, or the system shuts down.
            _ => TERMINATED,
        }
    }

    /// Whether a user pressed Ctrl-C or Ctrl-Break.
    pub fn is_from_keyboard(self) -> bool {
        matches!(self.event, CTRL_C_EVENT | CTRL_BREAK_EVENT)
    }
}

/// An event that concerns a program that draws on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScreenEvent {
    /// The terminal has another size.
    Resized,
    /// This process is stopped: give the terminal back. Never on Windows.
    Left,
    /// This process continues: draw again. Never on Windows.
    Entered,
    /// This process must end: give the terminal back, then exit.
    Ended(Interrupt),
}

type Act = Box<dyn FnMut(Interrupt) + Send>;

/// What to do about a request. One at a time: the system calls each handler in a thread of its own.
static ACT: Mutex<Option<Act>> = Mutex::new(None);

/// Calls `act` for Ctrl-C and Ctrl-Break, when the console is closed, and when the user logs off or the system shuts down;
/// in another thread. They have no other effect, but Windows ends this process a few seconds after all except the first
/// two. Ctrl-C stays ignored if the caller ignores it.
///
/// A later call of this or of the other functions replaces `act`.
pub fn on_end_request(act: impl FnMut(Interrupt) + Send + 'static) {
    *ACT.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(act));
    // A function that is added twice is called twice.
    static IS_ADDED: AtomicBool = AtomicBool::new(false);
    if !IS_ADDED.swap(true, Ordering::Relaxed) {
        // SAFETY: the function may be called in any thread at any time. If the call fails, the requests keep their default effect.
        unsafe { SetConsoleCtrlHandler(Some(handle), 1) };
    }
}

/// As [`on_end_request`], also if the caller ignores Ctrl-C.
pub fn on_stop_request(act: impl FnMut(Interrupt) + Send + 'static) {
    // SAFETY: without a function, the call only makes this process receive Ctrl-C. A process that was started in a group
    // of its own does not until then.
    unsafe { SetConsoleCtrlHandler(None, 0) };
    on_end_request(act);
}

/// Calls `act` for events that concern the terminal, in another thread.
pub fn on_screen_event(act: impl FnMut(ScreenEvent) + Send + 'static) {
    let act = Arc::new(Mutex::new(act));
    let ended = Arc::clone(&act);
    on_end_request(move |interrupt| call(&ended, ScreenEvent::Ended(interrupt)));
    let compare = move || {
        let mut size = screen_size();
        loop {
            thread::sleep(COMPARE_EVERY);
            let now = screen_size();
            if now != size {
                size = now;
                call(&act, ScreenEvent::Resized);
            }
        }
    };
    if screen_size().is_some() {
        // Without the thread, changes of the size are noticed at the next drawing.
        let _ = Builder::new().name("homing-screen".to_owned()).spawn(compare);
    }
}

fn call(act: &Mutex<impl FnMut(ScreenEvent)>, event: ScreenEvent) {
    let mut act = act.lock().unwrap_or_else(PoisonError::into_inner);
    act(event);
}

/// Columns and rows of the console's window; `None` if standard output is not a console.
fn screen_size() -> Option<(i16, i16)> {
    let mut screen = CONSOLE_SCREEN_BUFFER_INFO::default();
    // SAFETY: the handle is open or null, and the answer is written to a live local.
    let result = unsafe { GetConsoleScreenBufferInfo(io::stdout().as_raw_handle(), &mut screen) };
    let SMALL_RECT { Left: left, Top: top, Right: right, Bottom: bottom } = screen.srWindow;
    (result != 0).then(|| (right - left, bottom - top))
}

/// The system calls this in a new thread for each event of the console.
unsafe extern "system" fn handle(event: u32) -> BOOL {
    let interrupt = Interrupt { event };
    if let Some(act) = &mut *ACT.lock().unwrap_or_else(PoisonError::into_inner) {
        act(interrupt);
    }
    if !interrupt.is_from_keyboard() {
        // Windows ends this process as soon as this returns. Until then it waits a few seconds, in which this process can
        // finish.
        loop {
            thread::park();
        }
    }
    1
}
