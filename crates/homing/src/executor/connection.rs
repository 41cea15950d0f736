//! A connection to an executor: ssh(1) with the program there. Closing it ends nothing there.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use homing_core::text::flatten;
use homing_supervisor::platform::clock::wall_millis;

use super::ended::Ended;
use super::protocol::{Answer, Frame, PROTOCOL, Request, read_frame, read_line, write_request};
use super::ssh::{program_there, ssh};
use crate::config::ExecutorConfig;
use crate::{Error, Result};

/// How long a connection may take until the program there has answered.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes that a shell there may print before the program answers.
const MAX_GREETING_BYTES: usize = 64 << 10;

/// The most bytes of standard error that are kept.
const MAX_STDERR_BYTES: usize = 4 << 10;

/// How long to wait for the end of standard error after the end of the output.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_millis(200);

/// How long ssh(1) may take to exit after its output has ended.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// What the program there said about itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hello {
    pub(crate) version: String,
    pub(crate) host_name: String,
    /// Its wall clock minus the one at home, in milliseconds, within the time of the answer.
    pub(crate) clock_ahead_ms: i64,
}

/// What arrives.
#[derive(Debug)]
pub(crate) enum Received {
    Frame(Box<Frame>),
    /// The connection has ended. Nothing arrives after it.
    Ended(Ended),
    /// Not from the executor: the holder of [`Connection::sender`] ends a wait.
    Nudge,
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    executor: String,
    destination: String,
    ssh: Child,
    stdin: Option<ChildStdin>,
    sender: Sender<Received>,
    received: Receiver<Received>,
    pub(crate) hello: Hello,
}

impl Connection {
    /// Opens a connection, and waits until the program there has answered. `program` is the copy that `homing setup-host` made.
    ///
    /// # Errors
    /// [`Error::ExecutorUnreachable`] if it does not answer within 30 s.
    pub(crate) fn open(executor: &str, config: &ExecutorConfig, program: Option<&str>) -> Result<Connection> {
        let unreachable = |ended: Ended| ended.into_error(executor, &config.ssh);
        let mut command = ssh(config, &program_there(config, program));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut ssh = command
            .spawn()
            .map_err(|error| unreachable(Ended::noticed(format!("cannot start ssh: {error}"))))?;
        let (stdin, stdout, stderr) = (ssh.stdin.take(), ssh.stdout.take(), ssh.stderr.take());
        let (Some(stdout), Some(stderr)) = (stdout, stderr) else {
            return Err(unreachable(Ended::noticed("ssh has no output")));
        };
        let (sender, received) = channel();
        let own_sender = sender.clone();
        let words = LastWords::of(stderr);
        // It ends with the output of ssh, which a process that ssh started may hold open: nobody waits for it.
        std::thread::spawn(move || {
            let noticed = read_frames(BufReader::new(stdout), |frame| {
                sender.send(Received::Frame(Box::new(frame))).is_ok()
            });
            let stderr = words.spoken();
            let noticed = noticed.err().filter(|error| error.kind() != io::ErrorKind::UnexpectedEof);
            let ended = Ended { status: None, stderr, noticed: noticed.map(|error| error.to_string()) };
            // Nobody listens any more if the connection was closed here.
            let _ = sender.send(Received::Ended(ended));
        });
        let mut connection = Connection {
            executor: executor.to_owned(),
            destination: config.ssh.clone(),
            ssh,
            stdin,
            sender: own_sender,
            received,
            hello: Hello::default(),
        };
        connection.hello = connection.await_hello()?;
        Ok(connection)
    }

    fn await_hello(&mut self) -> Result<Hello> {
        let frame = self.receive_within(CONNECT_TIMEOUT)?;
        let Answer::Hello { protocol, version, run_by, now_ms } = frame.answer else {
            return Err(self.error(Ended::noticed("the program there did not introduce itself")));
        };
        let version = flatten(&version);
        let host_name = flatten(&run_by.host_name);
        if protocol != PROTOCOL {
            let executor = self.executor.clone();
            return Err(Error::ExecutorRefused {
                message: format!("homing {version} there speaks another version of the protocol"),
                hint: Some(format!("run `homing setup-host {executor}` to copy this version there")),
                executor,
            });
        }
        let clock_ahead_ms = now_ms - wall_millis();
        Ok(Hello { version, host_name, clock_ahead_ms })
    }

    /// Sends a request.
    ///
    /// # Errors
    /// [`Error::ExecutorUnreachable`] if the connection has ended. Whether the request has arrived is then unknown.
    pub(crate) fn send(&mut self, request: &Request) -> Result<()> {
        let written = match &mut self.stdin {
            Some(stdin) => write_request(stdin, request),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        written.map_err(|error| {
            // What ssh says about it is better.
            match self.received.recv_timeout(EXIT_TIMEOUT) {
                Ok(Received::Ended(ended)) => self.error(ended),
                _ => self.error(Ended::noticed(format!("cannot write to ssh: {error}"))),
            }
        })
    }

    /// Waits for the next answer.
    ///
    /// # Errors
    /// [`Error::ExecutorUnreachable`] if the connection has ended, or nothing arrives in this time.
    pub(crate) fn receive_within(&mut self, limit: Duration) -> Result<Frame> {
        let until = Instant::now() + limit;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.poll(left)? {
                Some(frame) => return Ok(frame),
                None if Instant::now() < until => {}
                None => {
                    return Err(self.error(Ended::noticed(format!("no answer within {} s", limit.as_secs()))));
                }
            }
        }
    }

    /// Ends a wait of [`Connection::poll`] with [`Received::Nudge`].
    pub(crate) fn sender(&self) -> Sender<Received> {
        self.sender.clone()
    }

    /// The next answer; `None` if nothing arrives in this time, or something else ended the wait.
    ///
    /// # Errors
    /// [`Error::ExecutorUnreachable`] if the connection has ended.
    pub(crate) fn poll(&mut self, limit: Duration) -> Result<Option<Frame>> {
        match self.received.recv_timeout(limit) {
            Ok(Received::Frame(frame)) => Ok(Some(*frame)),
            Ok(Received::Ended(ended)) => Err(self.error(ended)),
            Ok(Received::Nudge) | Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(self.error(Ended::default())),
        }
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// [`Error::ExecutorUnreachable`], and [`Error::ExecutorRefused`] with the words of the program there.
    pub(crate) fn call(&mut self, request: &Request, limit: Duration) -> Result<Frame> {
        self.send(request)?;
        let frame = self.receive_within(limit)?;
        match frame.answer {
            Answer::Refused { message, hint, .. } => {
                // Words of another machine.
                let (message, hint) = (flatten(&message), hint.map(|hint| flatten(&hint)));
                Err(Error::ExecutorRefused { executor: self.executor.clone(), message, hint })
            }
            _ => Ok(frame),
        }
    }

    /// The error for an answer that does not belong to the request.
    pub(crate) fn unexpected(&self) -> Error {
        Ended::noticed("the program there answered something else")
            .into_error(&self.executor, &self.destination)
    }

    /// Adds the status of ssh(1), if it exits soon, and makes an error of it.
    fn error(&mut self, ended: Ended) -> Error {
        let until = Instant::now() + EXIT_TIMEOUT;
        let status = loop {
            match self.ssh.try_wait() {
                Ok(None) if ended.noticed.is_none() && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(status) => break status,
                Err(_) => break None,
            }
        };
        ended.with_status(status).into_error(&self.executor, &self.destination)
    }
}

impl Drop for Connection {
    /// Closes the connection. The program there ends when its input ends.
    fn drop(&mut self) {
        self.stdin = None;
        let until = Instant::now() + EXIT_TIMEOUT;
        while matches!(self.ssh.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        // It has exited already, or does not answer.
        let _ = self.ssh.kill();
        let _ = self.ssh.wait();
    }
}

/// Skips what a shell prints before the first answer, then passes on all answers while `pass` returns true.
fn read_frames(mut from: impl BufRead, mut pass: impl FnMut(Frame) -> bool) -> io::Result<()> {
    const HELLO: &[u8] = b"{\"answer\":\"hello\"";
    let mut skipped = 0;
    loop {
        let Some(line) = read_line(&mut from)? else { return Ok(()) };
        if line.starts_with(HELLO) {
            if !pass(Frame::new(serde_json::from_slice(&line)?)) {
                return Ok(());
            }
            break;
        }
        skipped += line.len() + 1;
        if skipped > MAX_GREETING_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a shell there prints without end"));
        }
    }
    while let Some(frame) = read_frame(&mut from)? {
        if !pass(frame) {
            break;
        }
    }
    Ok(())
}

/// The end of a stream that is read in the background.
struct LastWords {
    kept: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl LastWords {
    fn of(mut stream: impl Read + Send + 'static) -> LastWords {
        let kept = Arc::<Mutex<Vec<u8>>>::default();
        let writer = Arc::clone(&kept);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let mut kept = writer.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(&buffer[..count]);
                let surplus = kept.len().saturating_sub(MAX_STDERR_BYTES);
                kept.drain(..surplus);
            }
        });
        LastWords { kept, reader }
    }

    /// What was said until now. The stream may stay open: a ControlMaster that ssh(1) has started keeps it.
    fn spoken(&self) -> String {
        let until = Instant::now() + LAST_WORDS_TIMEOUT;
        while !self.reader.is_finished() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        String::from_utf8_lossy(&self.kept.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use homing_supervisor::RunBy;

    use super::*;

    #[test]
    fn what_a_shell_prints_first_is_skipped() {
        let run_by = RunBy::this_process().unwrap();
        let hello = Answer::Hello { protocol: 1, version: "1".to_owned(), run_by, now_ms: 0 };
        let mut text = b"Welcome!\n{\"x\":1}\n".to_vec();
        super::super::protocol::write_frame(&mut text, &Frame::new(hello.clone())).unwrap();
        let mut frames = Vec::new();
        read_frames(&text[..], |frame| {
            frames.push(frame.answer);
            true
        })
        .unwrap();
        assert_eq!(frames, [hello]);
        let endless = vec![b'\n'; MAX_GREETING_BYTES + 2];
        assert!(read_frames(&endless[..], |_| true).is_err());
    }
}
