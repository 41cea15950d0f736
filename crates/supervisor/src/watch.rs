//! Watches over a running job: takes its output, keeps its time limit, hears requests to end it, and sees it end.
//! Waits in one poll(2) for whatever comes next, and for nothing else.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use homing_core::{KilledBy, Leftover, LeftoverFate, LeftoverPolicy, Outcome, as_millis};
use rustix::event::{PollFd, PollFlags, poll};

use crate::end_job::{JobTree, leftovers};
use crate::output::{Drained, OutputWriter};
use crate::platform::clock;
use crate::platform::signals::{Received, SignalQueue};
use crate::platform::wait::Reaped;
use crate::record::{EndedRecord, FinishedRecord, StartedRecord};
use crate::spec_file::SpecFile;
use crate::start_job::StartedJob;
use crate::supervision::Supervision;
use crate::{DiskError, crash_point};

/// How long processes that outlive the main process have to end by themselves: the `tee` of a pipeline needs a moment.
const DRAIN: Duration = Duration::from_millis(200);

/// Longest time that leftovers have between SIGTERM and SIGKILL: the result waits for them.
const LEFTOVER_GRACE: Duration = Duration::from_secs(1);

/// More pieces than the largest pipe has pages (1 MiB, pipe(7)).
const MAX_LAST_PIECES: usize = 4096;

/// Output that comes in one turn from a job that floods us.
const FLOOD_BYTES: u64 = 256 << 10;

/// How long such a job is left alone to fill its pipe. Taking each piece as it comes, we would both wait for the pipe's
/// lock more than we copy.
const FLOOD_PAUSE: Duration = Duration::from_micros(100);

/// How many pieces of output are taken before signals and the clock are looked at again.
const PIECES_AT_ONCE: usize = 64;

/// How far the job is towards its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The main process runs.
    Running,
    /// The whole tree was asked to end.
    Ending { why: Ending, kill_at: Duration },
    /// The main process ended by itself; others live on and may end by themselves too.
    Draining { until: Duration },
    /// The leftovers were asked to end.
    EndingLeftovers { kill_at: Duration },
    /// The job is recorded as over; its leftovers may live, and go on writing.
    Keeping,
}

/// Why a job is ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    TimedOut,
    Killed(KilledBy),
}

impl From<Ending> for Outcome {
    fn from(ending: Ending) -> Outcome {
        match ending {
            Ending::TimedOut => Outcome::TimedOut,
            Ending::Killed(by) => Outcome::Killed { by },
        }
    }
}

/// What was used by the processes that were reaped.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    cpu: Duration,
    peak_memory_bytes: u64,
}

/// A job that runs, and everything that is known of it so far.
#[derive(Debug)]
pub(crate) struct Watch {
    started: StartedRecord,
    started_clock: Duration,
    deadline: Option<Duration>,
    grace: Duration,
    policy: LeftoverPolicy,
    tree: JobTree,
    signals: SignalQueue,
    pipe: Option<OwnedFd>,
    output: OutputWriter,
    phase: Phase,
    ended: Option<EndedRecord>,
    usage: Usage,
    leftovers: Vec<Leftover>,
    is_flooded: bool,
}

impl Watch {
    pub(crate) fn new(job: StartedJob, signals: SignalQueue, output: OutputWriter, spec: &SpecFile) -> Watch {
        let limits = spec.limits();
        let started_clock = clock::monotonic();
        Watch {
            started: job.record,
            started_clock,
            deadline: limits.timeout.map(|timeout| started_clock.saturating_add(timeout)),
            grace: limits.grace,
            policy: spec.leftovers,
            tree: JobTree::new(job.cgroup),
            signals,
            pipe: Some(job.output),
            output,
            phase: Phase::Running,
            ended: None,
            usage: Usage::default(),
            leftovers: Vec::new(),
            is_flooded: false,
        }
    }

    /// Watches until the job is over and recorded, and nothing of it is left that was not to be kept.
    pub(crate) fn until_finished(mut self, supervision: &Supervision) -> Result<(), DiskError> {
        if supervision.is_removed() {
            self.end_tree(Ending::Killed(KilledBy::Outside), supervision);
        }
        while !self.is_finished(supervision) {
            self.wait();
        }
        self.take_last_output(supervision);
        if self.phase != Phase::Keeping {
            self.output.finish();
            // Before the end is recorded: nobody looks for the group of a job that is known to have finished.
            self.tree.release();
        }
        let finished = self.finished_record();
        crash_point("supervise/output_taken");
        let recorded = supervision.finish(&finished);
        if self.phase == Phase::Keeping {
            self.serve_kept(supervision);
        }
        self.tree.release();
        recorded
    }

    /// Looks at everything once. Answers whether nothing more is to be waited for before the end is recorded.
    fn is_finished(&mut self, supervision: &Supervision) -> bool {
        self.take_output(supervision);
        let child_ended = self.handle_signals(supervision);
        if child_ended {
            if self.reap_tree() {
                return true;
            }
            if matches!(self.phase, Phase::Ending { .. } | Phase::EndingLeftovers { .. }) {
                self.tree.terminate_new_orphans();
            }
        }
        let now = clock::monotonic();
        match self.phase {
            Phase::Running if self.ended.is_some() => {
                crash_point("supervise/main_ended");
                self.record_end(supervision);
                crash_point("supervise/end_recorded");
                self.phase = Phase::Draining { until: now + DRAIN };
                false
            }
            Phase::Running if self.deadline.is_some_and(|deadline| now >= deadline) => {
                self.end_tree(Ending::TimedOut, supervision);
                false
            }
            Phase::Draining { until } if now >= until => match self.policy {
                LeftoverPolicy::Kill => {
                    self.end_leftovers();
                    false
                }
                LeftoverPolicy::Keep => {
                    self.leftovers = leftovers(&self.tree.members(), LeftoverFate::Kept);
                    self.phase = Phase::Keeping;
                    true
                }
            },
            Phase::Ending { kill_at, .. } | Phase::EndingLeftovers { kill_at } if now >= kill_at => {
                self.kill_tree();
                crash_point("supervise/tree_killed");
                true
            }
            Phase::Running
            | Phase::Draining { .. }
            | Phase::Ending { .. }
            | Phase::EndingLeftovers { .. }
            | Phase::Keeping => false,
        }
    }

    /// Goes on taking the output of what was kept, which would otherwise die of a broken pipe at its next word, until
    /// it is gone, or has let go of its output, or somebody asks for its end.
    fn serve_kept(&mut self, supervision: &Supervision) {
        loop {
            self.take_output(supervision);
            let mut child_ended = false;
            while let Some(signal) = self.signals.next() {
                match signal {
                    Received::ChildEnded => child_ended = true,
                    Received::KillRequested(_) => return self.kill_tree(),
                    Received::DirectoryChanged if supervision.is_removed() => return self.kill_tree(),
                    Received::DirectoryChanged => {}
                }
            }
            if (child_ended && self.reap_tree()) || self.pipe.is_none() {
                self.take_last_output(supervision);
                return self.output.finish();
            }
            self.wait();
        }
    }

    /// Asks the whole tree to end, and sets the time for SIGKILL. Why it is ended is written first: should we be killed
    /// meanwhile, that is the outcome.
    fn end_tree(&mut self, why: Ending, supervision: &Supervision) {
        self.started.decided = Some(why.into());
        // Where this fails, so will the final record, and that is reported.
        let _ = supervision.record.write_started(&self.started);
        crash_point("supervise/end_decided");
        self.phase = Phase::Ending { why, kill_at: clock::monotonic().saturating_add(self.grace) };
        self.tree.terminate();
    }

    /// Asks what outlived the main process to end, and names it.
    fn end_leftovers(&mut self) {
        self.leftovers = leftovers(&self.tree.members(), LeftoverFate::Ended);
        let kill_at = clock::monotonic() + self.grace.min(LEFTOVER_GRACE);
        self.phase = Phase::EndingLeftovers { kill_at };
        self.tree.terminate();
    }

    /// Ends the whole tree now. What survives even that is named.
    fn kill_tree(&mut self) {
        let mut reaped = Vec::new();
        let survivors = self.tree.kill_all(|child| reaped.push(child));
        reaped.into_iter().for_each(|child| self.account_for(child));
        self.leftovers.retain(|leftover| survivors.iter().all(|survivor| survivor.pid != leftover.pid));
        self.leftovers.extend(survivors);
    }

    /// Takes all signals that have come. Answers whether a child ended.
    fn handle_signals(&mut self, supervision: &Supervision) -> bool {
        let mut child_ended = false;
        while let Some(signal) = self.signals.next() {
            let signal = match signal {
                // Nobody can ask for its end any more, and nothing of it can be read.
                Received::DirectoryChanged if supervision.is_removed() => {
                    Received::KillRequested(KilledBy::Outside)
                }
                signal => signal,
            };
            match (signal, self.phase) {
                (Received::ChildEnded, _) => child_ended = true,
                (Received::DirectoryChanged, _) => {}
                (Received::KillRequested(by), Phase::Running) => {
                    self.end_tree(Ending::Killed(by), supervision);
                }
                // The outcome stands already; what is left need not wait.
                (Received::KillRequested(_), Phase::Draining { .. }) => self.end_leftovers(),
                (
                    Received::KillRequested(_),
                    Phase::Ending { .. } | Phase::EndingLeftovers { .. } | Phase::Keeping,
                ) => {}
            }
        }
        child_ended
    }

    /// Reaps what has ended. Answers whether the whole tree is gone.
    fn reap_tree(&mut self) -> bool {
        let mut reaped = Vec::new();
        let is_empty = self.tree.is_empty(|child| reaped.push(child));
        reaped.into_iter().for_each(|child| self.account_for(child));
        is_empty
    }

    fn account_for(&mut self, child: Reaped) {
        self.usage.cpu += child.cpu;
        self.usage.peak_memory_bytes = self.usage.peak_memory_bytes.max(child.peak_memory_bytes);
        if child.pid == self.started.main.pid && self.ended.is_none() {
            self.ended = Some(self.end_now(child.end.into()));
        }
    }

    /// The end of the main process, now: by itself, unless it was asked to end before.
    fn end_now(&self, by_itself: Outcome) -> EndedRecord {
        let outcome = match self.phase {
            Phase::Ending { why, .. } => why.into(),
            Phase::Running | Phase::Draining { .. } | Phase::EndingLeftovers { .. } | Phase::Keeping => {
                by_itself
            }
        };
        let duration = clock::monotonic().saturating_sub(self.started_clock);
        EndedRecord { outcome, ended_at_ms: clock::wall_millis(), duration_ms: Some(as_millis(duration)) }
    }

    /// Fixes the outcome while the rest of the tree is being ended: should we be killed meanwhile, it stands.
    fn record_end(&mut self, supervision: &Supervision) {
        self.started.ended = self.ended.clone();
        // Where this fails, so will the final record, and that is reported.
        let _ = supervision.record.write_started(&self.started);
    }

    fn finished_record(&mut self) -> FinishedRecord {
        // A main process that even SIGKILL did not end has no end of its own.
        let end = self.ended.take().unwrap_or_else(|| {
            self.end_now(Outcome::Signaled { signal: homing_core::Signal::from_number(9) })
        });
        let mut leftovers = std::mem::take(&mut self.leftovers);
        leftovers.extend(crate::end_job::leftovers(&self.tree.spared(), LeftoverFate::Spared));
        FinishedRecord {
            end,
            cpu_ms: Some(as_millis(self.usage.cpu)),
            peak_memory_bytes: Some(self.usage.peak_memory_bytes),
            leftovers,
            leftovers_omitted: 0,
            output_total_bytes: self.output.total_bytes(),
            output_dropped_bytes: self.output.dropped_bytes(),
            recovery: None,
        }
    }

    /// Takes the output that is there, up to a bound.
    fn take_output(&mut self, supervision: &Supervision) {
        let before = self.output.total_bytes();
        self.take_pieces(PIECES_AT_ONCE, supervision);
        self.is_flooded = self.output.total_bytes() - before >= FLOOD_BYTES;
    }

    /// Takes all the output of a job that is over: as much as its pipe can hold, in the smallest pieces. Should a
    /// stranger have got hold of the pipe and go on writing, that is where it ends.
    fn take_last_output(&mut self, supervision: &Supervision) {
        self.take_pieces(MAX_LAST_PIECES, supervision);
    }

    fn take_pieces(&mut self, count: usize, supervision: &Supervision) {
        for _ in 0..count {
            let Some(pipe) = &self.pipe else { return };
            match self.output.drain(pipe.as_fd(), &supervision.directory) {
                Drained::Data => {}
                Drained::Empty => return,
                Drained::Closed => self.pipe = None,
            }
        }
    }

    /// Waits for output, a signal, or the next moment at which something is due.
    fn wait(&self) {
        let due = match self.phase {
            Phase::Running => self.deadline,
            Phase::Draining { until } => Some(until),
            Phase::Ending { kill_at, .. } | Phase::EndingLeftovers { kill_at } => Some(kill_at),
            Phase::Keeping => None,
        };
        let timeout = due.map(|due| clock::timespec(due.saturating_sub(clock::monotonic())));
        let mut polled = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if let Some(pipe) = &self.pipe {
            polled.push(PollFd::new(pipe, PollFlags::IN));
        }
        if self.is_flooded {
            std::thread::sleep(FLOOD_PAUSE);
        }
        // Interrupted or not, everything is looked at afterwards.
        let _ = poll(&mut polled, timeout.as_ref());
    }
}
