//! Ends a waiting hook when its harness no longer reads its output.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};

/// Ends this process with status 0 as soon as the reader of standard output or standard error closes it.
///
/// # Errors
/// When the thread cannot be created.
pub(crate) fn exit_on_disconnect() -> io::Result<()> {
    let end = || {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        wait_for_disconnect([stdout.as_fd(), stderr.as_fd()]);
        std::process::exit(0);
    };
    std::thread::Builder::new().name("disconnect".to_owned()).spawn(end).map(drop)
}

/// Waits until the other end of one of these is closed. Never returns for regular files.
fn wait_for_disconnect(ends: [BorrowedFd<'_>; 2]) {
    let mut polled = ends.map(|end| PollFd::from_borrowed_fd(end, PollFlags::empty()));
    loop {
        // Without requested events, poll(2) reports only errors and hang-ups.
        match poll(&mut polled, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => std::thread::park(),
        }
        let closed = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        if polled.iter().any(|end| end.revents().intersects(closed)) {
            return;
        }
    }
}
