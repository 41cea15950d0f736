//! What home and executor say to each other: lines of JSON in both directions, over the standard input and output of the
//! program there. Some answers are followed by bytes, whose number they say.

use std::io::{self, BufRead, Read, Write};

use homing_core::{JobCommand, JobId, JobKey, LeftoverPolicy, SessionId, Shell};
use homing_supervisor::layout::{OUTPUT_HEAD, OUTPUT_TAIL};
use homing_supervisor::{FinishedRecord, RunBy, SpecFile, StartedRecord};
use serde::{Deserialize, Serialize};

/// The version of the protocol. A program answers only requests of its own version.
pub(crate) const PROTOCOL: u32 = 1;

/// The longest line, in bytes. A script is at most as long as a spec.
const MAX_LINE_BYTES: u64 = 64 << 20;

/// The most bytes that follow one answer.
pub(crate) const MAX_PIECE_BYTES: u64 = 256 << 10;

/// A request of the home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub(crate) enum Request {
    /// Launch this job, or find it: answered with `launched` or `refused`.
    Launch(Box<LaunchRequest>),
    /// Report this job now and whenever it changes, until it has finished: `started`, `finished`, or `unknown` if it does not
    /// exist.
    Follow { job: JobId },
    /// End this job: answered with `asked`, `unknown` or `refused`.
    Kill { job: JobId, by_session: bool },
    /// Read output: answered with `output`, `unknown` or `refused`.
    Output { job: JobId, from: u64, limit: u64 },
    /// Read a file of the output of a finished job: answered with `part`, `unknown` or `refused`.
    Part { job: JobId, file: OutputFile, from: u64 },
}

/// A file of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OutputFile {
    Head,
    Tail,
}

impl OutputFile {
    /// Its name in the directory of a job.
    pub(crate) fn name(self) -> &'static str {
        match self {
            OutputFile::Head => OUTPUT_HEAD,
            OutputFile::Tail => OUTPUT_TAIL,
        }
    }
}

/// A job to launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LaunchRequest {
    /// The id that session and key give.
    pub(crate) job: JobId,
    pub(crate) session: SessionId,
    pub(crate) key: JobKey,
    pub(crate) name: Option<String>,
    pub(crate) command: JobCommand,
    pub(crate) shell: Shell,
    /// Relative to the home directory of the user there, or absolute.
    pub(crate) directory: String,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) grace_ms: u64,
    pub(crate) head_bytes: u64,
    pub(crate) tail_bytes: u64,
    pub(crate) leftovers: LeftoverPolicy,
}

impl LaunchRequest {
    /// The request for a job that is on disk at home. The values of its variables are not.
    pub(crate) fn of(spec: &SpecFile, key: &JobKey, environment: &[(String, String)]) -> LaunchRequest {
        let directory = spec.cwd.to_str().unwrap_or_default();
        LaunchRequest {
            job: spec.id,
            session: spec.session.clone(),
            key: key.clone(),
            name: spec.name.clone(),
            command: spec.command.clone(),
            shell: spec.shell,
            directory: directory.strip_prefix("~/").unwrap_or(directory.trim_start_matches('~')).to_owned(),
            environment: environment.to_vec(),
            timeout_ms: spec.timeout_ms,
            grace_ms: spec.grace_ms,
            head_bytes: spec.head_bytes,
            tail_bytes: spec.tail_bytes,
            leftovers: spec.leftovers,
        }
    }
}

/// An answer of the executor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The first answer, without a request.
    Hello { protocol: u32, version: String, run_by: RunBy, now_ms: i64 },
    /// The job exists. Of one that has finished, the output is only reported to followers.
    Launched { job: JobId, started: Option<StartedRecord>, finished: Option<FinishedRecord> },
    /// It has started.
    Started { job: JobId, started: StartedRecord },
    /// It has finished. The first `inline` bytes of its head follow.
    Finished {
        job: JobId,
        started: Option<StartedRecord>,
        finished: FinishedRecord,
        /// The length of the file of the head.
        head_bytes: u64,
        /// The length of the file of the tail.
        tail_bytes: u64,
        inline: u64,
    },
    /// It was asked to end.
    Asked { job: JobId },
    /// Output from `offset` on: `length` bytes follow. `end` is the offset behind all output so far.
    Output { job: JobId, offset: u64, length: u64, end: u64 },
    /// A part of a file: `length` bytes follow; 0 at its end.
    Part { job: JobId, file: OutputFile, from: u64, length: u64 },
    /// There is no such job.
    Unknown { job: JobId },
    /// The request failed.
    Refused { job: JobId, code: String, message: String, hint: Option<String> },
}

impl Answer {
    /// How many bytes follow it.
    fn following(&self) -> u64 {
        match self {
            Answer::Finished { inline, .. } => *inline,
            Answer::Output { length, .. } | Answer::Part { length, .. } => *length,
            Answer::Hello { .. }
            | Answer::Launched { .. }
            | Answer::Started { .. }
            | Answer::Asked { .. }
            | Answer::Unknown { .. }
            | Answer::Refused { .. } => 0,
        }
    }
}

/// An answer with the bytes that follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) answer: Answer,
    pub(crate) bytes: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(answer: Answer) -> Frame {
        Frame { answer, bytes: Vec::new() }
    }
}

/// Writes a request.
///
/// # Errors
/// If the connection has ended.
pub(crate) fn write_request(mut to: impl Write, request: &Request) -> io::Result<()> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

/// Reads the next request; `None` at the end.
///
/// # Errors
/// If it is not a request of this version, or the connection is cut.
pub(crate) fn read_request(from: &mut impl BufRead) -> io::Result<Option<Request>> {
    let Some(line) = read_line(from)? else { return Ok(None) };
    Ok(Some(serde_json::from_slice(&line)?))
}

/// Writes an answer and its bytes.
///
/// # Errors
/// If the connection has ended.
pub(crate) fn write_frame(mut to: impl Write, frame: &Frame) -> io::Result<()> {
    let mut line = serde_json::to_vec(&frame.answer)?;
    line.push(b'\n');
    line.extend_from_slice(&frame.bytes);
    to.write_all(&line)?;
    to.flush()
}

/// Reads the next answer and its bytes; `None` at the end.
///
/// # Errors
/// If it is not an answer of this version, or the connection is cut.
pub(crate) fn read_frame(from: &mut impl BufRead) -> io::Result<Option<Frame>> {
    let Some(line) = read_line(from)? else { return Ok(None) };
    let answer: Answer = serde_json::from_slice(&line)?;
    let length = answer.following();
    if length > MAX_PIECE_BYTES {
        return Err(invalid(format!("an answer is followed by {length} bytes")));
    }
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    from.read_exact(&mut bytes)?;
    Ok(Some(Frame { answer, bytes }))
}

/// Reads a line without its end; `None` at the end of the stream.
pub(crate) fn read_line(from: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    from.take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() as u64 + 1 == MAX_LINE_BYTES => Err(invalid("a line is too long".to_owned())),
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> JobId {
        "3f9c0a1b2c4d".parse().unwrap()
    }

    #[test]
    fn answers_with_bytes_are_read_one_after_the_other() {
        let frames = [
            Frame {
                answer: Answer::Output { job: job(), offset: 4, length: 3, end: 7 },
                bytes: b"\n{\n".to_vec(),
            },
            Frame::new(Answer::Unknown { job: job() }),
        ];
        let mut written = Vec::new();
        for frame in &frames {
            write_frame(&mut written, frame).unwrap();
        }
        let mut rest = &written[..];
        for frame in frames {
            assert_eq!(read_frame(&mut rest).unwrap(), Some(frame));
        }
        assert_eq!(read_frame(&mut rest).unwrap(), None);
        let cut = &written[..written.len() - 2];
        let mut rest = cut;
        read_frame(&mut rest).unwrap();
        assert!(read_frame(&mut rest).is_err());
    }

    #[test]
    fn an_answer_that_promises_too_many_bytes_is_refused() {
        let mut line = Vec::new();
        let answer = Answer::Output { job: job(), offset: 0, length: MAX_PIECE_BYTES + 1, end: 0 };
        write_frame(&mut line, &Frame::new(answer)).unwrap();
        assert!(read_frame(&mut &line[..]).is_err());
    }

    #[test]
    fn damaged_frames_are_read_without_panic() {
        let frame = Frame {
            answer: Answer::Part { job: job(), file: OutputFile::Tail, from: 1 << 40, length: 3 },
            bytes: vec![0, 10, 255],
        };
        let mut good = Vec::new();
        write_frame(&mut good, &frame).unwrap();
        for index in 0..good.len() {
            for value in [0, b'"', b'{', b'9', b'\n', 0xff, good[index] ^ 1] {
                let mut bad = good.clone();
                bad[index] = value;
                let mut rest = &bad[..];
                while let Ok(Some(read)) = read_frame(&mut rest) {
                    assert!(read.bytes.len() <= bad.len());
                }
                let mut rest = &bad[..index];
                assert!(!matches!(read_frame(&mut rest), Ok(Some(read)) if read == frame));
            }
        }
    }
}
