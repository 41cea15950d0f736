//! Stays with a program from its start to its end: fills its input, takes its output, keeps its time. Waits in one
//! poll(2) for whatever comes next.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::Child;
use std::time::{Duration, Instant};

use homing_core::{Signal, WakeId};
use homing_supervisor::platform::clock::timespec;
use homing_supervisor::{crash_point, end_marked_processes};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal as KernelSignal, getpgid, kill_process_group, pidfd_open};

use super::exit::{Exit, SinkExit};
use super::stale::{carried, ends_within, still_at_work};
use super::stdin_writer::StdinWriter;

/// What is kept of the output, its last bytes.
const STDOUT_BYTES: usize = 1 << 20;
const STDERR_BYTES: usize = 8 << 10;

/// How long the output is taken after the program itself has ended: a process it left behind may hold its pipes.
const DRAIN: Duration = Duration::from_millis(200);

/// While a program is being ended: between two looks for what is left of it.
const TICK: Duration = Duration::from_millis(50);

/// How long SIGKILL has to take effect. A process that hangs in the kernel for longer is not waited for.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Pieces of output that are taken before the clock is looked at again.
const PIECES_AT_ONCE: usize = 16;

/// How far the program is towards its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It runs, and has time.
    Running,
    /// It was asked to end.
    Ending { kill_at: Instant },
    /// It has ended by itself; its last words are taken.
    Draining { until: Instant },
}

/// A program that runs, with everything that connects it to us.
#[derive(Debug)]
pub(crate) struct SinkProcess {
    /// Not reaped before the very end: until then its pid, which is the name of its group, cannot become a stranger's.
    child: Child,
    pid: Pid,
    handle: OwnedFd,
    wake: WakeId,
    timeout: Duration,
    /// `None` where the clock does not reach that far.
    deadline: Option<Instant>,
    grace: Duration,
    feed: StdinWriter,
    stdout: Tail,
    stderr: Tail,
    buffer: Vec<u8>,
    phase: Phase,
}

impl SinkProcess {
    /// Takes over a program that was just started, the leader of its own process group.
    ///
    /// # Errors
    /// When the kernel gives no handle for it; then it is ended.
    pub(crate) fn begin(
        mut child: Child,
        feed: StdinWriter,
        wake: WakeId,
        timeout: Duration,
        grace: Duration,
    ) -> io::Result<SinkProcess> {
        let pid = Pid::from_child(&child);
        let connect = |child: &mut Child| -> io::Result<_> {
            let stdout = Tail::new(child.stdout.take().map(OwnedFd::from), STDOUT_BYTES)?;
            let stderr = Tail::new(child.stderr.take().map(OwnedFd::from), STDERR_BYTES)?;
            Ok((pidfd_open(pid, PidfdFlags::empty())?, stdout, stderr))
        };
        let connected = connect(&mut child);
        if connected.is_err() {
            let _ = kill_process_group(pid, KernelSignal::KILL);
            let _ = child.wait();
        }
        let (handle, stdout, stderr) = connected?;
        Ok(SinkProcess {
            child,
            pid,
            handle,
            wake,
            timeout,
            deadline: Instant::now().checked_add(timeout),
            grace,
            feed,
            stdout,
            stderr,
            buffer: vec![0; 64 << 10],
            phase: Phase::Running,
        })
    }

    /// Stays until the program has ended, or was ended.
    ///
    /// # Errors
    /// When its status cannot be learnt.
    pub(crate) fn until_finished(mut self) -> io::Result<SinkExit> {
        while !self.is_finished() {
            self.wait();
        }
        crash_point("sink/ended");
        let exit = self.exit()?;
        Ok(SinkExit { exit, stdout: self.stdout.into_bytes(), stderr: self.stderr.into_bytes() })
    }

    /// Looks at everything once. Answers whether nothing more is to be waited for.
    fn is_finished(&mut self) -> bool {
        // Asked before the last output is taken: what was written before the end is then there to be taken.
        let has_ended = self.has_ended();
        self.feed.write();
        self.stdout.take(&mut self.buffer);
        self.stderr.take(&mut self.buffer);
        let now = Instant::now();
        match self.phase {
            Phase::Running if has_ended => {
                self.phase = Phase::Draining { until: now + DRAIN };
                self.is_drained()
            }
            Phase::Running if self.deadline.is_some_and(|deadline| now >= deadline) => {
                self.ask_to_end();
                self.phase = Phase::Ending { kill_at: now.checked_add(self.grace).unwrap_or(now) };
                false
            }
            Phase::Running => false,
            Phase::Draining { until } => now >= until || self.is_drained(),
            Phase::Ending { kill_at } => {
                let is_finished = now >= kill_at || (has_ended && still_at_work(self.wake).is_empty());
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

    /// Waits for room, for output, for the end, or for the next moment at which something is due.
    fn wait(&self) {
        let now = Instant::now();
        let due = match self.phase {
            Phase::Running => self.deadline,
            Phase::Draining { until } => Some(until),
            Phase::Ending { kill_at } => Some(kill_at.min(now + TICK)),
        };
        let mut polled = Vec::with_capacity(4);
        if self.phase == Phase::Running {
            polled.push(PollFd::new(&self.handle, PollFlags::IN));
        }
        polled.extend(self.feed.pipe().map(|pipe| PollFd::new(pipe, PollFlags::OUT)));
        let outputs = [&self.stdout, &self.stderr].into_iter().filter_map(|tail| tail.pipe.as_ref());
        polled.extend(outputs.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        // Interrupted or not, everything is looked at afterwards.
        let _ = poll(&mut polled, due.map(|due| timespec(due.saturating_duration_since(now))).as_ref());
    }

    fn has_ended(&self) -> bool {
        ends_within(self.handle.as_fd(), Duration::ZERO)
    }

    /// Asks the whole group to end, and whatever has left it. One that was stopped is continued, or it could not hear.
    fn ask_to_end(&self) {
        for signal in [KernelSignal::TERM, KernelSignal::CONT] {
            let _ = kill_process_group(self.pid, signal);
        }
        for process in still_at_work(self.wake) {
            let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
            // Nobody is asked twice: many take a second SIGTERM for impatience, and drop everything.
            if pid.is_none_or(|pid| getpgid(Some(pid)) != Ok(self.pid)) {
                let _ = process.signal(KernelSignal::TERM);
                let _ = process.signal(KernelSignal::CONT);
            }
        }
    }

    /// Ends the group, and whatever has left it. The jobs that were launched by it live on.
    fn end(&mut self) {
        let _ = kill_process_group(self.pid, KernelSignal::KILL);
        let _ = end_marked_processes(&carried(self.wake));
        ends_within(self.handle.as_fd(), KILL_TIMEOUT);
        self.stdout.take(&mut self.buffer);
        self.stderr.take(&mut self.buffer);
    }

    /// Reaps the program, except where it hangs in the kernel and would hold us up.
    fn exit(&mut self) -> io::Result<Exit> {
        let status = if self.has_ended() { Some(self.child.wait()) } else { None };
        if let Phase::Ending { .. } = self.phase {
            return Ok(Exit::TimedOut { after: self.timeout });
        }
        let status = status.unwrap_or_else(|| Err(Errno::SRCH.into()))?;
        Ok(match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, signal) => Exit::Signal(Signal::from_number(signal.unwrap_or_default())),
        })
    }
}

/// A pipe of the program, and the last that came out of it.
#[derive(Debug)]
struct Tail {
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
    limit: usize,
}

impl Tail {
    fn new(pipe: Option<OwnedFd>, limit: usize) -> io::Result<Tail> {
        if let Some(pipe) = &pipe {
            fcntl_setfl(pipe, OFlags::NONBLOCK)?;
        }
        Ok(Tail { pipe, bytes: Vec::new(), limit })
    }

    /// Takes what is there, up to a bound.
    fn take(&mut self, buffer: &mut [u8]) {
        for _ in 0..PIECES_AT_ONCE {
            let Some(pipe) = &self.pipe else { return };
            match rustix::io::read(pipe, &mut *buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.push(&buffer[..count]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        // Not at every piece, or each would move all the others.
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
