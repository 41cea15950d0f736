//! Supervises a program from its start to its end: writes its input, reads its output, and enforces its timeout.
//! Waits for all events at once.

use std::io;
use std::process::Child;
use std::time::{Duration, Instant};

use homing_core::{Signal, WakeId};
use homing_supervisor::platform::errors;
use homing_supervisor::platform::pipe::PipeReader;
use homing_supervisor::platform::process::{self, ProcessGroup, ProcessHandle};
use homing_supervisor::platform::spawn::ending_signal;
use homing_supervisor::platform::wait::{AsWaitSource, wait};
use homing_supervisor::{crash_point, end_marked_processes};

use super::exit::{Exit, SinkExit};
use super::stale::{running_processes_of, wake_mark};
use super::stdin_writer::StdinWriter;

/// How much of the end of the output is kept, in bytes.
const STDOUT_BYTES: usize = 1 << 20;
const STDERR_BYTES: usize = 8 << 10;

/// How long output is read after the program has exited: a process that it left behind may hold its pipes.
const DRAIN: Duration = Duration::from_millis(200);

/// Pause between two checks for remaining processes while a program is being ended.
const TICK: Duration = Duration::from_millis(50);

/// How long to wait for SIGKILL to take effect. A process may hang in the kernel for longer.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// How many chunks of output are read at most before the clock is checked again.
const MAX_CHUNKS_AT_ONCE: usize = 16;

/// The phase of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It runs within its timeout.
    Running,
    /// It got SIGTERM.
    Ending { kill_at: Instant },
    /// It has exited by itself. The rest of its output is being read.
    Draining { until: Instant },
}

/// A running program, with its pipes and its deadlines.
#[derive(Debug)]
pub(crate) struct SinkProcess {
    /// Reaped last: until then the kernel cannot reuse its pid, which is also the id of its process group.
    child: Child,
    group: ProcessGroup,
    handle: ProcessHandle,
    wake: WakeId,
    timeout: Duration,
    /// `None` if the clock cannot represent it.
    deadline: Option<Instant>,
    grace: Duration,
    stdin: StdinWriter,
    stdout: Tail,
    stderr: Tail,
    buffer: Vec<u8>,
    phase: Phase,
}

impl SinkProcess {
    /// Supervises a program that was just started as the leader of its own process group.
    ///
    /// # Errors
    /// If the kernel gives no handle for it. The program is then ended.
    pub(crate) fn begin(
        mut child: Child,
        stdin: StdinWriter,
        wake: WakeId,
        timeout: Duration,
        grace: Duration,
    ) -> io::Result<SinkProcess> {
        let group = ProcessGroup::led_by(&child);
        let connect = |child: &mut Child| -> io::Result<_> {
            let stdout = Tail::new(child.stdout.take().map(PipeReader::from), STDOUT_BYTES)?;
            let stderr = Tail::new(child.stderr.take().map(PipeReader::from), STDERR_BYTES)?;
            Ok((ProcessHandle::of_child(child)?, stdout, stderr))
        };
        let connected = connect(&mut child);
        if connected.is_err() {
            let _ = group.signal(process::Signal::Kill);
            let _ = child.wait();
        }
        let (handle, stdout, stderr) = connected?;
        Ok(SinkProcess {
            child,
            group,
            handle,
            wake,
            timeout,
            deadline: Instant::now().checked_add(timeout),
            grace,
            stdin,
            stdout,
            stderr,
            buffer: vec![0; 64 << 10],
            phase: Phase::Running,
        })
    }

    /// Blocks until the program has ended.
    ///
    /// # Errors
    /// If its exit status is unknown.
    pub(crate) fn until_finished(mut self) -> io::Result<SinkExit> {
        while !self.is_finished() {
            self.wait();
        }
        crash_point("sink/ended");
        let exit = self.exit()?;
        Ok(SinkExit { exit, stdout: self.stdout.into_bytes(), stderr: self.stderr.into_bytes() })
    }

    /// Handles all pending events once. Returns whether the program is finished.
    fn is_finished(&mut self) -> bool {
        // Check before reading: output from before the exit is then complete.
        let has_ended = self.has_ended();
        self.stdin.write();
        self.stdout.read(&mut self.buffer);
        self.stderr.read(&mut self.buffer);
        let now = Instant::now();
        match self.phase {
            Phase::Running if has_ended => {
                self.phase = Phase::Draining { until: now + DRAIN };
                self.is_drained()
            }
            Phase::Running if self.deadline.is_some_and(|deadline| now >= deadline) => {
                self.terminate();
                self.phase = Phase::Ending { kill_at: now.checked_add(self.grace).unwrap_or(now) };
                false
            }
            Phase::Running => false,
            Phase::Draining { until } => now >= until || self.is_drained(),
            Phase::Ending { kill_at } => {
                let is_finished = now >= kill_at || (has_ended && running_processes_of(self.wake).is_empty());
                if is_finished {
                    self.end();
                }
                is_finished
            }
        }
    }

    fn is_drained(&self) -> bool {
        self.stdout.pipe.is_none() && self.stderr.pipe.is_none()
    }

    /// Waits for room in the input pipe, for output, for the exit, or for the next deadline.
    fn wait(&self) {
        let now = Instant::now();
        let due = match self.phase {
            Phase::Running => self.deadline,
            Phase::Draining { until } => Some(until),
            Phase::Ending { kill_at } => Some(kill_at.min(now + TICK)),
        };
        let mut sources = Vec::with_capacity(4);
        if self.phase == Phase::Running {
            sources.push(self.handle.as_wait_source());
        }
        sources.extend(self.stdin.pipe().map(|pipe| pipe.as_wait_source().writable()));
        let outputs = [&self.stdout, &self.stderr].into_iter().filter_map(|tail| tail.pipe.as_ref());
        sources.extend(outputs.map(AsWaitSource::as_wait_source));
        // The caller checks everything afterwards, interrupted or not.
        let _ = wait(&sources, due.map(|due| due.saturating_duration_since(now)));
    }

    fn has_ended(&self) -> bool {
        self.has_ended_within(Duration::ZERO)
    }

    fn has_ended_within(&self, timeout: Duration) -> bool {
        self.handle.has_ended_within(timeout).unwrap_or(false)
    }

    /// Sends SIGTERM to the group and to marked processes outside it. Continues stopped processes, so that they
    /// receive it.
    fn terminate(&self) {
        for signal in [process::Signal::Terminate, process::Signal::Continue] {
            let _ = self.group.signal(signal);
        }
        for process in running_processes_of(self.wake) {
            // Signal each process once: many programs abort their cleanup at a second SIGTERM.
            if !self.group.contains(process.pid) {
                let _ = process.signal(process::Signal::Terminate);
                let _ = process.signal(process::Signal::Continue);
            }
        }
    }

    /// Kills the group and marked processes outside it. Jobs that they launched keep running.
    fn end(&mut self) {
        let _ = self.group.signal(process::Signal::Kill);
        let _ = end_marked_processes(&wake_mark(self.wake));
        self.has_ended_within(KILL_TIMEOUT);
        self.stdout.read(&mut self.buffer);
        self.stderr.read(&mut self.buffer);
    }

    /// Reaps the program, unless it hangs in the kernel and would block.
    fn exit(&mut self) -> io::Result<Exit> {
        let status = if self.has_ended() { Some(self.child.wait()) } else { None };
        if let Phase::Ending { .. } = self.phase {
            return Ok(Exit::TimedOut { after: self.timeout });
        }
        let status = status.unwrap_or_else(|| Err(errors::no_such_process()))?;
        Ok(match (status.code(), ending_signal(status)) {
            (Some(code), _) => Exit::Code(code),
            (None, signal) => Exit::Signal(Signal::from_number(signal.unwrap_or_default())),
        })
    }
}

/// An output pipe of the program, and the end of its output.
#[derive(Debug)]
struct Tail {
    pipe: Option<PipeReader>,
    bytes: Vec<u8>,
    limit: usize,
}

impl Tail {
    fn new(pipe: Option<PipeReader>, limit: usize) -> io::Result<Tail> {
        if let Some(pipe) = &pipe {
            pipe.set_nonblocking()?;
        }
        Ok(Tail { pipe, bytes: Vec::new(), limit })
    }

    /// Reads the available output, up to a bound.
    fn read(&mut self, buffer: &mut [u8]) {
        for _ in 0..MAX_CHUNKS_AT_ONCE {
            let Some(pipe) = &self.pipe else { return };
            match pipe.read(buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.push(&buffer[..count]),
                Err(error) if errors::would_block(&error) => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        // Cutting after every chunk would move all bytes each time.
        if self.bytes.len() > 4 * self.limit {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.bytes.drain(..self.bytes.len().saturating_sub(self.limit));
    }

    fn into_bytes(mut self) -> Vec<u8> {
        self.cut();
        self.bytes
    }
}
