//! A supervisor that a launcher forks before the job exists, so that both get ready at the same time and no program is
//! started. It is a copy of the launcher, which has one thread and has not used much memory yet.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use crate::failpoints::crash_point;
use crate::names::{LATE_ARGUMENT, SUPERVISE_ARGUMENT};
use crate::platform::pipe::PipeReader;
use crate::platform::prefork::{self, ForkedChild};
use crate::supervise::life::{START_TIMEOUT, Start, supervise_when_ready};
use crate::supervise::readiness::Readiness;

/// The name of a supervisor in lists of processes, its first argument.
pub const PROCESS_NAME: &str = "homing";

/// A forked supervisor that waits for a job. It exits when this is dropped.
#[derive(Debug)]
pub struct Preforked {
    process: prefork::Preforked,
}

/// What a supervisor needs to know about its job.
#[derive(Debug)]
pub struct SuperviseRequest<'a> {
    /// The directory of the job.
    pub directory: &'a Path,
    /// When the job may start.
    pub start: Start,
    /// Changes of the environment, in this order: a variable is set to a value, or removed.
    pub variables: &'a [(&'a str, Option<&'a OsStr>)],
}

/// Forks a supervisor. In the child, this does not return.
///
/// # Errors
/// If this process has several threads, the limit of processes or descriptors is reached, or the system does not fork
/// ([`io::ErrorKind::Unsupported`]). Then start a supervisor when the job exists.
pub fn prefork() -> io::Result<Preforked> {
    let prepare = || {
        crash_point("prefork/waiting");
        Readiness::of_this_process()
    };
    Ok(Preforked { process: prefork::prefork(START_TIMEOUT, prepare, supervise_requested)? })
}

impl Preforked {
    /// Lets it supervise a job. Returns the process, and the pipe with its answer.
    ///
    /// # Errors
    /// The process, if it has died: it does not supervise the job then.
    pub fn supervise(self, request: &SuperviseRequest<'_>) -> Result<(ForkedChild, PipeReader), ForkedChild> {
        let mut arguments =
            vec![OsStr::new(PROCESS_NAME), OsStr::new(SUPERVISE_ARGUMENT), request.directory.as_os_str()];
        arguments.extend((request.start == Start::Late).then_some(OsStr::new(LATE_ARGUMENT)));
        self.process.start(&arguments, request.variables)
    }

    /// Lets it exit. Returns the process, which this process has to reap.
    pub fn dismiss(self) -> ForkedChild {
        self.process.dismiss()
    }
}

/// Supervises the job that these arguments name. Returns whether its outcome is recorded.
fn supervise_requested(readiness: Readiness, arguments: &[OsString]) -> bool {
    let [_, _, directory, rest @ ..] = arguments else { return false };
    let start =
        if rest.iter().any(|argument| argument == LATE_ARGUMENT) { Start::Late } else { Start::InTime };
    supervise_when_ready(Path::new(directory), start, None, readiness).is_ok()
}
