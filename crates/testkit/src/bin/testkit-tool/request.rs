//! The polite request to end: SIGTERM, or CTRL_BREAK on Windows.

use std::io;
use std::sync::mpsc::{Receiver, channel};

/// Ignores the request from now on.
///
/// # Errors
/// If the system refuses the handler.
pub(crate) fn ignore() -> io::Result<()> {
    // The handler's sends fail, which is ignored.
    handle().map(drop)
}

/// Waits for the request. Creates the file `ready` as soon as the request would be noticed.
///
/// # Errors
/// If the system refuses the handler, or the file cannot be created.
pub(crate) fn wait(ready: &str) -> io::Result<()> {
    let requests = handle()?;
    std::fs::File::create(ready)?;
    requests.recv().map_err(io::Error::other)
}

#[cfg(unix)]
fn handle() -> io::Result<Receiver<()>> {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM])?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            let _ = sender.send(());
        }
    });
    Ok(receiver)
}

#[cfg(windows)]
fn handle() -> io::Result<Receiver<()>> {
    let (sender, receiver) = channel();
    let handler = move || {
        let _ = sender.send(());
    };
    ctrlc::set_handler(handler).map_err(io::Error::other)?;
    Ok(receiver)
}
