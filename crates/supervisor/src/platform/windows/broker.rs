//! Asks the supervisor of a job to start a program outside of the job, and the format of that request. A process cannot
//! leave the job object of its job, but jobs that it launches must outlive it.
//!
//! A request has a length and a version, the three standard handles as numbers of the asking process, and four texts in
//! UTF-16, each with its length. An answer has a kind, an error, and a handle of the new process as a number of the asking
//! process. All numbers are little-endian.
#![allow(unsafe_code, reason = "takes ownership of a handle that the supervisor has put into this process")]

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};
use std::sync::Arc;
use std::time::Duration;

use homing_core::JobId;
use windows_sys::Win32::Foundation::ERROR_PIPE_BUSY;
use windows_sys::Win32::Storage::FileSystem::{FILE_FLAG_OVERLAPPED, SECURITY_IDENTIFICATION};
use windows_sys::Win32::System::Pipes::{GetNamedPipeServerProcessId, WaitNamedPipeW};

use super::super::start_refused::StartRefused;
use super::event::Event;
use super::operation::Operation;
use super::process::is_own_user;
use super::win32::{check, is_signaled_within, owned, raw, wide};

/// The version of the format.
const VERSION: u32 = 1;

/// The longest request, in bytes.
pub(super) const MAX_REQUEST: usize = 1 << 20;

/// The size of an answer, in bytes.
pub(super) const ANSWER_BYTES: usize = 16;

/// How long to wait for the other process.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);

/// How often to try to connect while the supervisor serves another process.
const CONNECT_ATTEMPTS: u32 = 20;

/// What the user can do about a request that is too long.
const SIZE_HINT: &str = "remove variables that the new job does not need, or pass their contents in files";

/// What the user can do about a job that is ending.
const ENDING_HINT: &str = "launch jobs before this one ends, or from outside of it";

/// A program to start, in the form that CreateProcessW takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StartRequest {
    /// The file of the program.
    pub(super) program: OsString,
    /// Its command line.
    pub(super) command_line: Vec<u16>,
    /// Its environment.
    pub(super) environment: Vec<u16>,
    /// Its working directory; empty for that of the supervisor.
    pub(super) directory: OsString,
}

/// What the supervisor answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It started the program: a handle of it in the asking process.
    Started(u64),
    /// It is ending its job.
    IsEnding,
    /// It failed with this error of the system.
    Failed(i32),
}

impl Answer {
    pub(super) fn encode(self) -> [u8; ANSWER_BYTES] {
        let (kind, error, handle) = match self {
            Answer::Started(handle) => (0, 0, handle),
            Answer::IsEnding => (1, 0, 0),
            Answer::Failed(error) => (2, error, 0),
        };
        let mut bytes = [0; ANSWER_BYTES];
        bytes[..4].copy_from_slice(&u32::to_le_bytes(kind));
        bytes[4..8].copy_from_slice(&i32::to_le_bytes(error));
        bytes[8..].copy_from_slice(&u64::to_le_bytes(handle));
        bytes
    }

    fn decode(bytes: [u8; ANSWER_BYTES]) -> Option<Answer> {
        let [a, b, c, d, e, f, g, h, handle @ ..] = bytes;
        match u32::from_le_bytes([a, b, c, d]) {
            0 => Some(Answer::Started(u64::from_le_bytes(handle))),
            1 => Some(Answer::IsEnding),
            2 => Some(Answer::Failed(i32::from_le_bytes([e, f, g, h]))),
            _ => None,
        }
    }
}

impl StartRequest {
    /// Returns the bytes of the request, without their length.
    pub(super) fn encode(&self, standard: [u64; 3]) -> Vec<u8> {
        let mut bytes = u32::to_le_bytes(VERSION).to_vec();
        bytes.extend(standard.into_iter().flat_map(u64::to_le_bytes));
        let mut append = |text: &mut dyn Iterator<Item = u16>| {
            let text: Vec<u8> = text.flat_map(u16::to_le_bytes).collect();
            bytes.extend(u32::to_le_bytes(u32::try_from(text.len() / 2).unwrap_or(u32::MAX)));
            bytes.extend(text);
        };
        append(&mut self.program.encode_wide());
        append(&mut self.command_line.iter().copied());
        append(&mut self.environment.iter().copied());
        append(&mut self.directory.encode_wide());
        bytes
    }

    /// Reads a request; `None` if it is not valid.
    pub(super) fn decode(bytes: &[u8]) -> Option<(StartRequest, [u64; 3])> {
        let mut rest = bytes;
        if number(&mut rest)? != VERSION {
            return None;
        }
        let mut standard = [0; 3];
        for handle in &mut standard {
            let (first, others) = rest.split_first_chunk::<8>()?;
            *handle = u64::from_le_bytes(*first);
            rest = others;
        }
        let request = StartRequest {
            program: OsString::from_wide(&text(&mut rest)?),
            command_line: text(&mut rest)?,
            environment: text(&mut rest)?,
            directory: OsString::from_wide(&text(&mut rest)?),
        };
        // CreateProcessW reads the environment up to an empty entry.
        let is_valid = rest.is_empty() && request.environment.ends_with(&[0, 0]);
        is_valid.then_some((request, standard))
    }
}

fn number(bytes: &mut &[u8]) -> Option<u32> {
    let (first, others) = bytes.split_first_chunk::<4>()?;
    *bytes = others;
    Some(u32::from_le_bytes(*first))
}

fn text(bytes: &mut &[u8]) -> Option<Vec<u16>> {
    let length = usize::try_from(number(bytes)?).ok()?.checked_mul(2)?;
    let (text, others) = bytes.split_at_checked(length)?;
    *bytes = others;
    Some(text.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect())
}

/// Returns the name of the pipe at which the supervisor of a job serves requests.
pub(super) fn pipe_name(job: JobId) -> String {
    format!(r"\\.\pipe\homing-{job}-start")
}

/// Asks the supervisor of `job`, to which this process belongs, to start a program. Returns a handle of it, or why the
/// supervisor did not start it. `None` if no supervisor answers: then another way may work.
pub(super) fn ask(
    job: JobId,
    request: &StartRequest,
    standard: [BorrowedHandle<'_>; 3],
) -> Option<io::Result<OwnedHandle>> {
    let handles = standard.map(|handle| handle.as_raw_handle().addr() as u64);
    let bytes = request.encode(handles);
    if bytes.len() > MAX_REQUEST {
        let reason = format!(
            "the supervisor of job {job}, which this process belongs to, starts programs with at most 1 MiB of arguments \
             and environment, and these have {} KiB",
            bytes.len().div_ceil(1024)
        );
        return Some(Err(StartRefused::error(io::ErrorKind::InvalidInput, reason, SIZE_HINT)));
    }
    let pipe = connect(job).ok()?;
    let answer = exchange(&pipe, bytes).ok().and_then(Answer::decode)?;
    Some(match answer {
        // SAFETY: the supervisor has put this handle into this process, and nothing else knows it.
        Answer::Started(handle) => unsafe {
            owned(std::ptr::without_provenance_mut(usize::try_from(handle).unwrap_or(0)))
        },
        Answer::IsEnding => {
            let reason =
                format!("job {job}, which this process belongs to, is ending and launches no further jobs");
            Err(StartRefused::error(io::ErrorKind::ResourceBusy, reason, ENDING_HINT))
        }
        Answer::Failed(error) => Err(io::Error::from_raw_os_error(error)),
    })
}

fn connect(job: JobId) -> io::Result<OwnedHandle> {
    let name = pipe_name(job);
    let mut options = OpenOptions::new();
    // The server may learn who this process is, but not act in its name.
    options
        .read(true)
        .write(true)
        .custom_flags(FILE_FLAG_OVERLAPPED)
        .security_qos_flags(SECURITY_IDENTIFICATION);
    let mut attempts = 0;
    let pipe: OwnedHandle = loop {
        match options.open(&name) {
            Ok(pipe) => break pipe.into(),
            Err(error)
                if error.raw_os_error() == Some(ERROR_PIPE_BUSY.cast_signed())
                    && attempts < CONNECT_ATTEMPTS =>
            {
                attempts += 1;
                // SAFETY: the name lives during the call. After the wait, another process may be faster.
                unsafe { WaitNamedPipeW(wide(&name)?.as_ptr(), 500) };
            }
            Err(error) => return Err(error),
        }
    };
    let mut server = 0;
    // SAFETY: the handle is open, and the call writes to a live local.
    unsafe { check(GetNamedPipeServerProcessId(raw(&pipe), &mut server))? };
    if is_own_user(server) { Ok(pipe) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

fn exchange(pipe: &OwnedHandle, request: Vec<u8>) -> io::Result<[u8; ANSWER_BYTES]> {
    let length = u32::try_from(request.len()).unwrap_or(u32::MAX);
    write_all(pipe, &u32::to_le_bytes(length))?;
    write_all(pipe, &request)?;
    let mut answer = [0; ANSWER_BYTES];
    read_exactly(pipe, &mut answer)?;
    Ok(answer)
}

/// Fills the buffer. Waits for at most [`TIMEOUT`] for each part. The pipe is open for overlapped operations.
pub(super) fn read_exactly(pipe: &OwnedHandle, buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        let mut read = new_operation()?;
        // SAFETY: pipe and buffer live longer than the operation, which is dropped at the end of this block.
        unsafe { read.read(pipe.as_handle(), &raw mut buffer[filled..])? };
        match finish(&mut read)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(())
}

/// Writes all bytes. Waits as [`read_exactly`].
pub(super) fn write_all(pipe: &OwnedHandle, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let mut write = new_operation()?;
        // SAFETY: pipe and bytes live longer than the operation, which is dropped at the end of this block.
        unsafe { write.write(pipe.as_handle(), &raw const *bytes)? };
        bytes = &bytes[finish(&mut write)?..];
    }
    Ok(())
}

fn new_operation() -> io::Result<Operation> {
    let event = Arc::new(Event::new()?);
    event.set();
    Ok(Operation::new(&event))
}

fn finish(operation: &mut Operation) -> io::Result<usize> {
    if !is_signaled_within(operation.event(), TIMEOUT) {
        operation.cancel();
        return Err(io::ErrorKind::TimedOut.into());
    }
    operation.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_survive_their_format() {
        let request = StartRequest {
            program: r"C:\Programs ü\homing.exe".into(),
            command_line: "homing __supervise".encode_utf16().collect(),
            environment: "A=1\0B=2\0\0".encode_utf16().collect(),
            directory: OsString::new(),
        };
        let bytes = request.encode([4, 8, u64::MAX]);
        assert_eq!(StartRequest::decode(&bytes), Some((request, [4, 8, u64::MAX])));
        for length in 0..bytes.len() {
            assert_eq!(StartRequest::decode(&bytes[..length]), None);
        }
        for answer in [Answer::Started(0x1234), Answer::IsEnding, Answer::Failed(-5)] {
            assert_eq!(Answer::decode(answer.encode()), Some(answer));
        }
    }
}
