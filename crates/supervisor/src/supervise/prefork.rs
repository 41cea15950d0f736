//! A supervisor that a launcher forks before the job exists, so that both get ready at the same time and no program is
//! started. It is a copy of the launcher, which has one thread and has not used much memory yet. It waits for a request,
//! and then takes the arguments and the environment of any other supervisor: those of the launcher may contain secrets.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::failpoints::crash_point;
use crate::names::{LATE_ARGUMENT, SUPERVISE_ARGUMENT};
use crate::platform::detach::{Forked, ForkedChild, fork, leave_parent};
use crate::platform::own_start::{Change, OwnStart, os_string, start_again};
use crate::platform::pipe::{PipeReader, PipeWriter, pipe};
use crate::platform::wait::{AsWaitSource, is_ready_within};
use crate::supervise::life::{START_TIMEOUT, Start, supervise_when_ready};
use crate::supervise::readiness::Readiness;

/// The name of a supervisor in lists of processes, its first argument.
pub const PROCESS_NAME: &str = "homing";

/// A forked supervisor that waits for a job. It exits when this is dropped.
#[derive(Debug)]
pub struct Preforked {
    process: ForkedChild,
    request: PipeWriter,
    answer: PipeReader,
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
/// If this process has several threads, or the limit of processes or descriptors is reached. Then start a supervisor when
/// the job exists.
pub fn prefork() -> io::Result<Preforked> {
    let (request_reader, request) = pipe()?;
    let (answer, answer_writer) = pipe()?;
    match fork()? {
        Forked::Parent(process) => Ok(Preforked { process, request, answer }),
        Forked::Child => {
            drop((request, answer));
            let done = wait_and_supervise(request_reader, answer_writer);
            // A supervisor reports by its record and its exit status.
            std::process::exit(i32::from(!done));
        }
    }
}

impl Preforked {
    /// Lets it supervise a job. Returns the process, and the pipe with its answer.
    ///
    /// # Errors
    /// The process, if it has died: it does not supervise the job then.
    pub fn supervise(self, request: &SuperviseRequest<'_>) -> Result<(ForkedChild, PipeReader), ForkedChild> {
        match self.request.write_all(&request.encoded()) {
            Ok(()) => Ok((self.process, self.answer)),
            Err(_) => Err(self.process),
        }
    }

    /// Lets it exit. Returns the process, which this process has to reap.
    pub fn dismiss(self) -> ForkedChild {
        self.process
    }
}

/// The request as it was received.
struct Received {
    directory: PathBuf,
    start: Start,
    changes: Vec<Change>,
}

impl SuperviseRequest<'_> {
    /// Returns the length in 8 bytes, then parts that end with NUL, which none of them contains: whether the job may start
    /// late, the directory, and a part for each variable, without `=` if it is removed.
    fn encoded(&self) -> Vec<u8> {
        let mut parts = vec![0; size_of::<u64>()];
        let mut add = |part: &[&[u8]]| {
            part.iter().for_each(|bytes| parts.extend_from_slice(bytes));
            parts.push(0);
        };
        add(&[match self.start {
            Start::InTime => b"",
            Start::Late => LATE_ARGUMENT.as_bytes(),
        }]);
        add(&[self.directory.as_os_str().as_encoded_bytes()]);
        for (name, value) in self.variables {
            match value {
                Some(value) => add(&[name.as_bytes(), b"=", value.as_encoded_bytes()]),
                None => add(&[name.as_bytes()]),
            }
        }
        let length = (parts.len() - size_of::<u64>()) as u64;
        parts[..size_of::<u64>()].copy_from_slice(&length.to_ne_bytes());
        parts
    }
}

impl Received {
    /// Waits for the request; `None` if the launcher has died, needs no supervisor, or sends none within
    /// [`START_TIMEOUT`]: another process may have inherited the launcher's end of the pipe.
    fn read(pipe: &PipeReader) -> Option<Received> {
        is_ready_within(pipe.as_wait_source(), START_TIMEOUT).ok().filter(|is_ready| *is_ready)?;
        let mut length = [0; size_of::<u64>()];
        pipe.fill(&mut length).ok().filter(|is_full| *is_full)?;
        let mut parts = vec![0; usize::try_from(u64::from_ne_bytes(length)).ok()?];
        pipe.fill(&mut parts).ok().filter(|is_full| *is_full)?;
        let mut parts = parts.strip_suffix(&[0])?.split(|byte| *byte == 0);
        let start = if parts.next()?.is_empty() { Start::InTime } else { Start::Late };
        let directory = PathBuf::from(os_string(parts.next()?));
        let changes = parts.map(|part| match part.iter().position(|byte| *byte == b'=') {
            Some(at) => (os_string(&part[..at]), Some(os_string(&part[at + 1..]))),
            None => (os_string(part), None),
        });
        Some(Received { directory, start, changes: changes.collect() })
    }

    fn arguments(&self) -> Vec<&OsStr> {
        let mut arguments =
            vec![OsStr::new(PROCESS_NAME), OsStr::new(SUPERVISE_ARGUMENT), self.directory.as_os_str()];
        arguments.extend((self.start == Start::Late).then_some(OsStr::new(LATE_ARGUMENT)));
        arguments
    }
}

/// Runs the child: waits for a request, and supervises its job. Returns whether the outcome is recorded, or there was
/// nothing to do.
#[allow(unsafe_code, reason = "closes descriptors without owners, and replaces the environment")]
fn wait_and_supervise(request: PipeReader, answer: PipeWriter) -> bool {
    // SAFETY: this process is a child just forked, and uses no descriptor of its parent except these two.
    let Ok(request) = (unsafe { leave_parent(request, answer) }) else { return false };
    crash_point("prefork/waiting");
    let readiness = Readiness::of_this_process();
    let own_start = OwnStart::read();
    let Some(received) = Received::read(&request) else { return true };
    drop(request);
    let arguments = received.arguments();
    let is_replaced = own_start.is_some_and(|own_start| {
        // SAFETY: this process has one thread, which uses no value of the environment here.
        unsafe { own_start.replace(&arguments, &received.changes) }.is_ok()
    });
    if !is_replaced {
        let _ = start_again(&arguments, &received.changes);
        return false;
    }
    drop(arguments);
    let Received { directory, start, changes } = received;
    drop(changes);
    supervise_when_ready(&directory, start, None, readiness).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_received_as_it_was_sent() {
        let (reader, writer) = pipe().unwrap();
        let request = SuperviseRequest {
            directory: Path::new("/home/jobs/0123456789ab"),
            start: Start::Late,
            variables: &[
                ("A", Some(OsStr::new("first"))),
                ("EMPTY", Some(OsStr::new(""))),
                ("GONE", None),
                ("A", Some(OsStr::new("b=c\nd"))),
            ],
        };
        writer.write_all(&request.encoded()).unwrap();
        let received = Received::read(&reader).unwrap();
        let words = ["homing", "__supervise", "/home/jobs/0123456789ab", "late"].map(OsStr::new);
        assert_eq!((received.arguments(), received.start), (words.to_vec(), Start::Late));
        let changes: Vec<(&str, Option<&str>)> = received
            .changes
            .iter()
            .map(|(name, value)| {
                (name.to_str().unwrap(), value.as_ref().map(|value| value.to_str().unwrap()))
            })
            .collect();
        let expected = [("A", Some("first")), ("EMPTY", Some("")), ("GONE", None), ("A", Some("b=c\nd"))];
        assert_eq!(changes, expected);
    }

    #[test]
    fn half_a_request_is_none() {
        let request =
            SuperviseRequest { directory: Path::new("/jobs/0"), start: Start::InTime, variables: &[] };
        let encoded = request.encoded();
        for length in 0..encoded.len() {
            let (reader, writer) = pipe().unwrap();
            writer.write_all(&encoded[..length]).unwrap();
            drop(writer);
            assert!(Received::read(&reader).is_none(), "{length} bytes");
        }
    }
}
