//! Signals that ask a program in the foreground to end, or that concern its terminal.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::signals::{is_ignored, while_blocked};

/// Base of the exit status of a process ended by a signal, as shells report it: 128 + signal number.
const SIGNAL_STATUS: i32 = 128;

/// A request to end this process: a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt(i32);

impl Interrupt {
    /// Returns the status with which a process exits that the request ended.
    pub fn exit_status(self) -> i32 {
        SIGNAL_STATUS + self.0
    }

    /// Whether a user pressed Ctrl-C.
    pub fn is_from_keyboard(self) -> bool {
        self.0 == SIGINT
    }
}

/// An event that concerns a program that draws on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScreenEvent {
    /// The terminal has another size.
    Resized,
    /// This process is stopped: give the terminal back.
    Left,
    /// This process continues: draw again.
    Entered,
    /// This process must end: give the terminal back, then exit.
    Ended(Interrupt),
}

/// Calls `act` for Ctrl-C, SIGTERM and SIGHUP, in another thread. They have no other effect. A signal that the caller
/// ignores (`nohup`, a background command of a script) stays ignored.
pub fn on_end_request(mut act: impl FnMut(Interrupt) + Send + 'static) {
    let mut signals = vec![SIGHUP, SIGINT, SIGTERM];
    signals.retain(|signal| !is_ignored(*signal));
    on_signals(&signals, move |signal| act(Interrupt(signal)));
}

/// Calls `act` for Ctrl-C and SIGTERM, also if the caller ignores them, in another thread. They have no other effect.
pub fn on_stop_request(mut act: impl FnMut(Interrupt) + Send + 'static) {
    on_signals(&[SIGINT, SIGTERM], move |signal| act(Interrupt(signal)));
}

/// Calls `act` for signals that concern the terminal, in another thread. Ctrl-Z stops this process until it is
/// continued. A signal that the caller ignores stays ignored.
pub fn on_screen_event(mut act: impl FnMut(ScreenEvent) + Send + 'static) {
    let mut signals = vec![SIGHUP, SIGINT, SIGTERM, SIGTSTP];
    signals.retain(|signal| !is_ignored(*signal));
    signals.push(SIGWINCH);
    on_signals(&signals, move |signal| match signal {
        SIGWINCH => act(ScreenEvent::Resized),
        SIGTSTP => {
            act(ScreenEvent::Left);
            // Returns when this process is continued. It cannot fail for this signal.
            let _ = emulate_default_handler(SIGTSTP);
            act(ScreenEvent::Entered);
        }
        signal => act(ScreenEvent::Ended(Interrupt(signal))),
    });
}

/// Calls `act` for each of these signals. If no handler or thread can be created, the signals keep their default
/// effect.
fn on_signals(signals: &[i32], mut act: impl FnMut(i32) + Send + 'static) {
    let (signals_sender, signals_receiver) = std::sync::mpsc::sync_channel::<Signals>(1);
    let wait = move || {
        if let Ok(mut received) = signals_receiver.recv() {
            received.forever().for_each(&mut act);
        }
    };
    // signal-hook installs its handler just before it registers the action, and loses a signal that arrives in
    // between.
    while_blocked(|| {
        // Start the thread before the handler: without a thread, a caught signal would have no effect.
        let waiting = std::thread::Builder::new().name("homing-signals".to_owned()).spawn(wait);
        if waiting.is_ok()
            && let Ok(received) = Signals::new(signals)
        {
            // This fails only if the thread is gone.
            let _ = signals_sender.send(received);
        }
    });
}
