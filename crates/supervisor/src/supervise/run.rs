//! Supervises a running job: stores its output, enforces its timeout, handles requests to end it, and records its
//! end. One poll(2) waits for output, signals and the next deadline.

use std::time::Duration;

use homing_core::{KilledBy, Leftover, LeftoverFate, Outcome, as_millis};

use crate::disk::documents::{EndedRecord, FinishedRecord, StartedRecord};
use crate::disk::error::DiskError;
use crate::disk::output::{Drained, OutputWriter};
use crate::disk::spec::SpecFile;
use crate::failpoints::crash_point;
use crate::platform::clock;
use crate::platform::events::{Received, SupervisorEvents};
use crate::platform::pipe::PipeReader;
use crate::platform::process::Stat;
use crate::platform::tree::{JobTree, Reaped};
use crate::platform::wait::{AsWaitSource, wait};
use crate::supervise::attached::{AttachedReader, OutputStream};
use crate::supervise::finish::Supervision;
use crate::supervise::phase::{Ending, Limits, Phase, Step};
use crate::supervise::start::StartedJob;

/// More pieces than the largest pipe (1 MiB, pipe(7)) has pages.
const MAX_LAST_PIECES: usize = 4096;

/// A job that writes this much in one iteration is flooding.
const FLOOD_BYTES: u64 = 256 << 10;

/// The most things that a supervisor waits for: its events, two pipes of the job, and two of the attached reader.
const MAX_SOURCES: usize = 5;

/// Pause in which a flooding job fills its pipe. Without it, job and supervisor contend for the lock of the pipe.
const FLOOD_PAUSE: Duration = Duration::from_micros(100);

/// Maximum number of pieces of output to store before signals and deadlines are checked again.
const PIECES_AT_ONCE: usize = 64;

/// Resource usage of the processes that were reaped.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    cpu: Duration,
    peak_memory_bytes: u64,
}

/// A running job and its data so far.
#[derive(Debug)]
pub(crate) struct RunningJob {
    started: StartedRecord,
    started_clock: Duration,
    limits: Limits,
    tree: JobTree,
    events: SupervisorEvents,
    /// The pipes that the job may still write to.
    pipes: Vec<(OutputStream, PipeReader)>,
    output: OutputWriter,
    reader: Option<AttachedReader>,
    /// Whether the job has written bytes that wait for the attached reader.
    is_blocked: bool,
    phase: Phase,
    ended: Option<EndedRecord>,
    usage: Usage,
    leftovers: Vec<Leftover>,
    is_flooded: bool,
}

impl RunningJob {
    pub(crate) fn new(
        job: StartedJob,
        events: SupervisorEvents,
        output: OutputWriter,
        reader: Option<AttachedReader>,
        spec: &SpecFile,
    ) -> RunningJob {
        let limits = spec.limits();
        let started_clock = clock::monotonic();
        RunningJob {
            started: job.record,
            started_clock,
            limits: Limits {
                deadline: limits.timeout.map(|timeout| started_clock.saturating_add(timeout)),
                grace: limits.grace,
                leftovers: spec.leftovers,
            },
            tree: job.tree,
            events,
            pipes: job.pipes,
            output,
            reader,
            is_blocked: false,
            phase: Phase::Running,
            ended: None,
            usage: Usage::default(),
            leftovers: Vec::new(),
            is_flooded: false,
        }
    }

    /// Supervises until the job has finished and is recorded, and no processes are left except kept ones.
    pub(crate) fn until_finished(mut self, supervision: &Supervision) -> Result<(), DiskError> {
        if supervision.is_removed() {
            self.end_tree(Ending::Killed(KilledBy::Outside), supervision);
        }
        while !self.is_finished(supervision) {
            self.wait();
        }
        self.store_last_output(supervision);
        if self.phase != Phase::Keeping {
            self.output.finish();
            // Before the end is recorded: recovery does not search for the group of a finished job.
            self.tree.release();
        }
        let finished = self.finished_record();
        crash_point("supervise/output_stored");
        let recorded = supervision.finish(&finished);
        if self.phase == Phase::Keeping {
            self.reader = None;
            self.serve_kept(supervision);
        }
        self.serve_reader();
        self.tree.release();
        recorded
    }

    /// Handles output, signals and deadlines once. Returns whether the end can be recorded now.
    fn is_finished(&mut self, supervision: &Supervision) -> bool {
        self.store_output(supervision);
        let child_ended = self.handle_events(supervision);
        if child_ended {
            if self.reap_tree() {
                return true;
            }
            if self.phase.is_ending() {
                self.tree.terminate_new_orphans();
            }
        }
        let now = clock::monotonic();
        if self.is_blocked {
            self.phase = self.phase.while_blocked(now);
        }
        self.carry_out(self.phase.step(self.ended.is_some(), now, &self.limits), now, supervision)
    }

    /// Carries out a step. Returns whether the end can be recorded now.
    fn carry_out(&mut self, step: Step, now: Duration, supervision: &Supervision) -> bool {
        match step {
            Step::Wait => false,
            Step::Drain => {
                crash_point("supervise/main_ended");
                self.record_end(supervision);
                crash_point("supervise/end_recorded");
                self.phase = Phase::draining(now);
                false
            }
            Step::EndTree(why) => {
                self.end_tree(why, supervision);
                false
            }
            Step::EndLeftovers => {
                self.end_leftovers();
                false
            }
            Step::KeepLeftovers => {
                self.leftovers = named(&self.tree.members(), LeftoverFate::Kept);
                self.phase = Phase::Keeping;
                true
            }
            Step::KillTree => {
                self.kill_tree();
                crash_point("supervise/tree_killed");
                true
            }
        }
    }

    /// Continues to store the output of kept processes, which would otherwise get SIGPIPE at their next write.
    /// Returns when they have ended or closed their output, or on a request to end the job.
    fn serve_kept(&mut self, supervision: &Supervision) {
        loop {
            self.store_output(supervision);
            let mut child_ended = false;
            while let Some(event) = self.events.next() {
                match event {
                    Received::ChildEnded => child_ended = true,
                    Received::KillRequested(_) => return self.kill_tree(),
                    Received::DirectoryChanged if supervision.is_removed() => return self.kill_tree(),
                    Received::DirectoryChanged => {}
                }
            }
            if (child_ended && self.reap_tree()) || self.pipes.is_empty() {
                self.store_last_output(supervision);
                return self.output.finish();
            }
            self.wait();
        }
    }

    /// Writes the segments that the attached reader has not received, after the end of the job is recorded. Returns when
    /// it has them or has ended, or on a request to end the job.
    fn serve_reader(&mut self) {
        // No deadline applies any more, and no output.
        self.phase = Phase::Keeping;
        self.pipes.clear();
        while let Some(reader) = &mut self.reader {
            let is_requested = std::iter::from_fn(|| self.events.next())
                .any(|event| matches!(event, Received::KillRequested(_)));
            if is_requested || reader.update().is_none() || !reader.has_pending() {
                self.reader = None;
            } else {
                self.wait();
            }
        }
    }

    /// Sends SIGTERM to the whole tree and sets the time for SIGKILL. Records the reason first: if the supervisor is
    /// killed meanwhile, the reason is the outcome.
    fn end_tree(&mut self, why: Ending, supervision: &Supervision) {
        self.started.decided = Some(why.into());
        // If this fails, writing the final record fails too, and that error is reported.
        let _ = supervision.record.write_started(&self.started);
        crash_point("supervise/end_decided");
        self.phase = Phase::ending(why, clock::monotonic(), &self.limits);
        self.tree.terminate();
    }

    /// Sends SIGTERM to the processes that survived the main process, and lists them as leftovers.
    fn end_leftovers(&mut self) {
        self.leftovers = named(&self.tree.members(), LeftoverFate::Ended);
        self.phase = Phase::ending_leftovers(clock::monotonic(), &self.limits);
        self.tree.terminate();
    }

    /// Kills the whole tree now. Lists survivors as leftovers.
    fn kill_tree(&mut self) {
        let mut reaped = Vec::new();
        let survivors = self.tree.kill_all(|child| reaped.push(child));
        let survivors = named(&survivors, LeftoverFate::Survived);
        reaped.into_iter().for_each(|child| self.account_for(child));
        self.leftovers.retain(|leftover| survivors.iter().all(|survivor| survivor.pid != leftover.pid));
        self.leftovers.extend(survivors);
    }

    /// Handles all pending events. Returns whether a child ended.
    fn handle_events(&mut self, supervision: &Supervision) -> bool {
        let mut child_ended = false;
        while let Some(event) = self.events.next() {
            let event = match event {
                // Without its directory, the job cannot be read, and cannot be killed by its id.
                Received::DirectoryChanged if supervision.is_removed() => {
                    Received::KillRequested(KilledBy::Outside)
                }
                event => event,
            };
            match event {
                Received::ChildEnded => child_ended = true,
                Received::DirectoryChanged => {}
                Received::KillRequested(by) => {
                    self.carry_out(self.phase.step_on_request(by), clock::monotonic(), supervision);
                }
            }
        }
        child_ended
    }

    /// Reaps children that have ended. Returns whether the whole tree has ended.
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

    /// Returns the end of the main process, which is now: `by_itself`, unless the supervisor was already ending it.
    fn end_now(&self, by_itself: Outcome) -> EndedRecord {
        let outcome = self.phase.outcome(by_itself);
        let duration = clock::monotonic().saturating_sub(self.started_clock);
        EndedRecord { outcome, ended_at_ms: clock::wall_millis(), duration_ms: Some(as_millis(duration)) }
    }

    /// Records the outcome before the rest of the tree has ended, so that it is kept if the supervisor is killed
    /// meanwhile.
    fn record_end(&mut self, supervision: &Supervision) {
        self.started.ended = self.ended.clone();
        // If this fails, writing the final record fails too, and that error is reported.
        let _ = supervision.record.write_started(&self.started);
    }

    fn finished_record(&mut self) -> FinishedRecord {
        // The main process survived SIGKILL, so its end was not observed.
        let end = self.ended.take().unwrap_or_else(|| {
            self.end_now(Outcome::Signaled { signal: homing_core::Signal::from_number(9) })
        });
        let mut leftovers = std::mem::take(&mut self.leftovers);
        leftovers.extend(named(&self.tree.spared(), LeftoverFate::Spared));
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

    /// Stores available output, up to a bound.
    fn store_output(&mut self, supervision: &Supervision) {
        self.listen_to_reader();
        let before = self.output.total_bytes();
        self.store_pieces(PIECES_AT_ONCE, supervision, true);
        self.is_flooded = self.output.total_bytes() - before >= FLOOD_BYTES;
    }

    /// Stores the remaining output of a finished job: at most the content of a full pipe in the smallest pieces. The
    /// bound matters if a process outside the job has the pipe open and continues to write.
    fn store_last_output(&mut self, supervision: &Supervision) {
        // The ring has room for it, also if the attached reader is slow.
        self.output.protect_from(None);
        self.is_blocked = false;
        self.store_pieces(MAX_LAST_PIECES, supervision, false);
    }

    /// Learns how far the attached reader has read, and whether it has ended.
    fn listen_to_reader(&mut self) {
        let read_to = self.reader.as_mut().and_then(AttachedReader::update);
        if read_to.is_none() {
            self.reader = None;
        }
        self.output.protect_from(read_to);
        self.is_blocked = self.reader.as_ref().is_some_and(AttachedReader::has_pending);
    }

    /// Stores up to `count` pieces of each pipe, in turns. With `waits`, stops when the attached reader is behind.
    fn store_pieces(&mut self, count: usize, supervision: &Supervision, waits: bool) {
        for _ in 0..count {
            let mut has_stored = false;
            let mut index = 0;
            while let Some((stream, pipe)) = self.pipes.get(index).filter(|_| !self.is_blocked) {
                match self.output.drain(pipe, &supervision.directory) {
                    Drained::Data => {
                        has_stored = true;
                        let stream = *stream;
                        let is_announced = self.announce(stream);
                        self.is_blocked = waits && !is_announced;
                        index += 1;
                    }
                    Drained::Empty => index += 1,
                    Drained::Full => self.is_blocked = true,
                    Drained::Closed => drop(self.pipes.remove(index)),
                }
            }
            if !has_stored {
                return;
            }
        }
    }

    /// Reports to the attached reader which stream the newest bytes came from. Returns whether the report is written.
    fn announce(&mut self, stream: OutputStream) -> bool {
        self.reader.as_mut().is_none_or(|reader| {
            reader.announce(stream, self.output.total_bytes());
            !reader.has_pending()
        })
    }

    /// Waits for output, a signal, or the next deadline.
    fn wait(&self) {
        let due = self.phase.due(&self.limits);
        let timeout = due.map(|due| due.saturating_sub(clock::monotonic()));
        if self.is_flooded {
            std::thread::sleep(FLOOD_PAUSE);
        }
        let pipes = if self.is_blocked { &[] } else { &self.pipes[..] };
        let pipes = pipes.iter().map(|(_, pipe)| pipe.as_wait_source());
        let reader = self.reader.iter().flat_map(AttachedReader::wait_sources);
        let mut sources = [self.events.as_wait_source(); MAX_SOURCES];
        let mut count = 1;
        for (place, source) in sources[1..].iter_mut().zip(pipes.chain(reader)) {
            *place = source;
            count += 1;
        }
        // The caller handles everything afterwards, even if this was interrupted.
        let _ = wait(&sources[..count], timeout);
    }
}

/// Names processes for the result.
fn named(processes: &[(u32, Stat)], fate: LeftoverFate) -> Vec<Leftover> {
    processes.iter().map(|(pid, stat)| Leftover { pid: *pid, name: stat.name.clone(), fate }).collect()
}
