//! A hook that waits is of use only as long as its harness listens.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};

/// Ends this process, with status 0, as soon as nobody is at the other end of standard output and standard error.
///
/// # Errors
/// When no thread can be made that looks for that.
pub(crate) fn end_when_nobody_listens() -> io::Result<()> {
    let end = || {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        wait_for_hang_up([stdout.as_fd(), stderr.as_fd()]);
        std::process::exit(0);
    };
    std::thread::Builder::new().name("homing-hang-up".to_owned()).spawn(end).map(drop)
}

/// Waits until one of these has nobody at its other end. For a file this never comes.
fn wait_for_hang_up(ends: [BorrowedFd<'_>; 2]) {
    let mut polled = ends.map(|end| PollFd::from_borrowed_fd(end, PollFlags::empty()));
    loop {
        // Asked for nothing, it answers with errors and hang-ups only.
        match poll(&mut polled, None) {
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => std::thread::park(),
        }
        let gone = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        if polled.iter().any(|end| end.revents().intersects(gone)) {
            return;
        }
    }
}
