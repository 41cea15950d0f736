//! Ends a waiting hook when its harness no longer reads its output.

use std::io;

use homing_supervisor::platform::wait::{AsWaitSource, WaitEnd, WaitSource, wait};

/// Ends this process with status 0 as soon as the reader of standard output or standard error closes it.
///
/// # Errors
/// When the thread cannot be created.
pub(crate) fn exit_on_disconnect() -> io::Result<()> {
    let end = || {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        wait_for_disconnect([stdout.as_wait_source(), stderr.as_wait_source()]);
        std::process::exit(0);
    };
    std::thread::Builder::new().name("disconnect".to_owned()).spawn(end).map(drop)
}

/// Waits until the other end of one of these is closed. Never returns for regular files.
fn wait_for_disconnect(ends: [WaitSource<'_>; 2]) {
    let ends = ends.map(WaitSource::disconnected);
    loop {
        match wait(&ends, None) {
            Ok(WaitEnd::Ready) => return,
            Ok(WaitEnd::TimedOut | WaitEnd::Interrupted) => {}
            Err(_) => std::thread::park(),
        }
    }
}
