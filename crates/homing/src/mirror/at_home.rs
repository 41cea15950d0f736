//! The mirror of an executor: one process at home that keeps a connection open while the executor has unfinished jobs of this
//! home, and writes their starts and ends into their records. It reconnects for as long as it takes: an executor that is not
//! heard of is not lost.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::io::Write;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use homing_core::{JobId, LostReason, Outcome};
use homing_supervisor::layout::{Directory, notify_change};
use homing_supervisor::platform::wait::wait;
use homing_supervisor::{FinishedRecord, JobLock, SpecFile, StartedRecord, crash_point, injected_millis};

use crate::context::Context;
use crate::events::page::EventOptions;
use crate::events::watch::EventWatch;
use crate::executor::connection::{Connection, Received};
use crate::executor::health::ExecutorHealth;
use crate::executor::mirror_process::MirrorLock;
use crate::executor::protocol::{Answer, Frame, MAX_PIECE_BYTES, OutputFile, Request};
use crate::executor::record::HomeRecord;
use crate::store::observe::read_record;
use crate::{Error, Result};

/// The first and the longest pause before a connection is opened again.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How often a job is asked for that the executor may not have yet.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// How long to wait for anything at all.
const LONG: Duration = Duration::from_secs(3_600);

/// When a job that the executor does not know counts as never started: its launcher repeats the launch for a shorter time.
const UNANSWERED_AFTER: Duration = Duration::from_secs(120);

/// How long an executor may take to send a part of a file.
const PART_TIMEOUT: Duration = Duration::from_secs(60);

/// How much longer than the tail its file may be: it has a header.
const MAX_TAIL_HEADER: u64 = 64 << 10;

/// Runs until the executor has no unfinished job of this home. Returns at once if another mirror runs.
///
/// # Errors
/// If the home cannot be used, or the executor is no longer configured.
pub(crate) fn mirror(context: &Arc<Context>, executor: &str) -> Result<()> {
    let nudge: Nudge = Arc::default();
    watch_jobs(Arc::clone(context), Arc::clone(&nudge))?;
    loop {
        let Some(lock) = MirrorLock::try_acquire(&context.store.home.root, executor)? else { return Ok(()) };
        let mut mirror = Mirror {
            context: Arc::clone(context),
            executor: executor.to_owned(),
            waiting: VecDeque::new(),
            asked: HashMap::new(),
            health: ExecutorHealth { connected: false, heard_at: None, problem: None, version: None },
        };
        mirror.work(&nudge)?;
        drop(lock);
        // A launcher that saw the lock relies on this mirror.
        if mirror.unfinished()?.is_empty() {
            return Ok(());
        }
    }
}

/// Where to report that jobs have changed: the open connection.
type Nudge = Arc<Mutex<Option<Sender<Received>>>>;

/// Starts a thread that reports changes of jobs at home, such as new ones.
fn watch_jobs(context: Arc<Context>, nudge: Nudge) -> Result<()> {
    let mut watch = EventWatch::new(context, EventOptions::default())?;
    std::thread::spawn(move || {
        loop {
            let _ = wait(&[watch.readable()], None);
            if watch.next_page().is_err() {
                std::thread::sleep(PAUSES.0);
            }
            if let Some(connection) = &*nudge.lock().unwrap_or_else(PoisonError::into_inner) {
                // The connection may just have ended.
                let _ = connection.send(Received::Nudge);
            }
        }
    });
    Ok(())
}

struct Mirror {
    context: Arc<Context>,
    executor: String,
    /// Reports that arrived while a file was read.
    waiting: VecDeque<Frame>,
    /// The jobs that the executor was asked for over this connection.
    asked: HashMap<JobId, Question>,
    health: ExecutorHealth,
}

impl Mirror {
    fn work(&mut self, nudge: &Nudge) -> Result<()> {
        let (first, longest) = match injected_millis("mirror_pause") {
            Some(pause) => (pause, pause),
            None => PAUSES,
        };
        let mut pause = first;
        loop {
            match self.follow_until_cut(nudge) {
                Ok(()) => {
                    self.note_gone(None);
                    return Ok(());
                }
                Err(error @ (Error::HomeReplaced { .. } | Error::NoSuchExecutor { .. })) => {
                    return Err(error);
                }
                Err(error) => {
                    if self.health.connected {
                        pause = first;
                    }
                    self.note_gone(Some(&error));
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }

    /// Follows the unfinished jobs over one connection.
    ///
    /// # Errors
    /// [`Error::ExecutorUnreachable`] if there is none, or when it ends; and if the ledger is locked for long.
    fn follow_until_cut(&mut self, nudge: &Nudge) -> Result<()> {
        if self.unfinished()?.is_empty() {
            return Ok(());
        }
        self.waiting.clear();
        let mut connection = self.context.connect(&self.executor)?;
        self.note_connected(&connection);
        *nudge.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection.sender());
        let followed = self.follow(&mut connection);
        *nudge.lock().unwrap_or_else(PoisonError::into_inner) = None;
        followed
    }

    /// The unfinished jobs of this executor.
    fn unfinished(&self) -> Result<BTreeSet<JobId>> {
        self.context.sync()?;
        let unfinished = self.context.with_ledger(|ledger| ledger.unfinished_on_executors())?;
        Ok(unfinished
            .into_iter()
            .filter(|(_, executor)| *executor == self.executor)
            .map(|(job, _)| job)
            .collect())
    }

    /// Records what the executor reports until it has no unfinished job.
    ///
    /// # Errors
    /// [`Error::ExecutorUnreachable`] when the connection ends.
    fn follow(&mut self, connection: &mut Connection) -> Result<()> {
        self.asked.clear();
        // Jobs to ask for later: they are just being launched, or the answer did not settle them.
        let mut later = HashSet::new();
        loop {
            let unfinished = self.unfinished()?;
            if unfinished.is_empty() {
                return Ok(());
            }
            self.asked.retain(|job, _| unfinished.contains(job));
            later.retain(|job| unfinished.contains(job));
            for job in unfinished {
                if self.asked.contains_key(&job) || later.contains(&job) {
                    continue;
                }
                match self.question(job)? {
                    Some(question) => {
                        connection.send(&Request::Follow { job })?;
                        self.asked.insert(job, question);
                    }
                    None => drop(later.insert(job)),
                }
            }
            let limit = if later.is_empty() { LONG } else { ASK_EVERY };
            let next = match self.waiting.pop_front() {
                Some(frame) => Some(frame),
                None => connection.poll(limit)?,
            };
            match next {
                // Something has changed at home, or it is time to ask again.
                None => later.clear(),
                Some(frame) => {
                    if let Some(job) = self.take(frame, connection)? {
                        self.asked.remove(&job);
                        later.insert(job);
                    }
                }
            }
        }
    }

    /// What is known about a job before the executor is asked for it. `None` while it is being launched.
    fn question(&self, job: JobId) -> Result<Option<Question>> {
        let Some((directory, spec)) = self.own_job(job)? else {
            return Ok(Some(Question { if_unknown: None }));
        };
        if read_record(&directory)?.started.valid().is_some() {
            return Ok(Some(Question { if_unknown: Some(LostReason::Removed) }));
        }
        if JobLock::is_held(&directory)? {
            return Ok(None);
        }
        let age = self.context.now().as_unix_millis().saturating_sub(spec.created_at_ms);
        let limit = injected_millis("mirror_unanswered").unwrap_or(UNANSWERED_AFTER);
        let is_old = u128::try_from(age).unwrap_or(0) >= limit.as_millis();
        Ok(Some(Question { if_unknown: is_old.then_some(LostReason::NeverStarted) }))
    }

    /// Records one report. Returns the job if it has to be asked for again.
    ///
    /// # Errors
    /// [`Error::ExecutorUnreachable`] when the connection ends.
    fn take(&mut self, frame: Frame, connection: &mut Connection) -> Result<Option<JobId>> {
        let (job, settled) = match frame.answer {
            Answer::Started { job, started } => (job, self.record_start(job, &started)),
            Answer::Finished { job, started, finished, head_bytes, tail_bytes, .. } => {
                let end = End { job, started, finished, head_bytes, tail_bytes, inline: frame.bytes };
                (job, self.record_end(end, connection))
            }
            Answer::Unknown { job } => (job, self.record_unknown(job)),
            Answer::Refused { job, message, .. } => {
                tracing::warn!(%job, %message, "the executor cannot report a job");
                (job, Ok(false))
            }
            Answer::Hello { .. }
            | Answer::Launched { .. }
            | Answer::Asked { .. }
            | Answer::Output { .. }
            | Answer::Part { .. } => return Ok(None),
        };
        match settled {
            Ok(settled) => Ok((!settled).then_some(job)),
            // The disk may be full now.
            Err(Error::Disk(error)) => {
                tracing::warn!(%job, %error, "a report cannot be recorded");
                Ok(Some(job))
            }
            Err(error) => Err(error),
        }
    }

    /// The directory and the spec of a job of this executor. What it reports about other jobs is ignored.
    fn own_job(&self, job: JobId) -> Result<Option<(Directory, SpecFile)>> {
        let Some(directory) = self.context.store.find_job(job)? else { return Ok(None) };
        let spec = SpecFile::read(&directory)?;
        let own = spec.filter(|spec| spec.executor.as_deref() == Some(self.executor.as_str()));
        Ok(own.map(|spec| (directory, spec)))
    }

    fn record_start(&self, job: JobId, started: &StartedRecord) -> Result<bool> {
        let Some((directory, _)) = self.own_job(job)? else { return Ok(true) };
        if read_record(&directory)?.started.valid().is_some() {
            return Ok(true);
        }
        let Some(record) = HomeRecord::try_open(&directory)? else { return Ok(false) };
        record.write_started(started)?;
        drop(record);
        notify_change(&self.context.store.home.inbox, job)?;
        Ok(true)
    }

    fn record_end(&mut self, end: End, connection: &mut Connection) -> Result<bool> {
        let Some((directory, spec)) = self.own_job(end.job)? else { return Ok(true) };
        let Some(record) = HomeRecord::try_open(&directory)? else { return Ok(false) };
        if record.is_finished()? {
            return Ok(true);
        }
        if let Some(started) = &end.started {
            record.write_started(started)?;
        }
        let length = end.head_bytes.min(spec.head_bytes);
        let head = OutputCopy { job: end.job, file: OutputFile::Head, length, first: &end.inline };
        self.copy(&directory, &head, connection)?;
        let length = end.tail_bytes.min(spec.tail_bytes.saturating_add(MAX_TAIL_HEADER));
        let tail = OutputCopy { job: end.job, file: OutputFile::Tail, length, first: &[] };
        self.copy(&directory, &tail, connection)?;
        crash_point("mirror/output_copied");
        record.write_finished(&FinishedRecord { recovery: None, ..end.finished })?;
        crash_point("mirror/end_recorded");
        drop(record);
        notify_change(&self.context.store.home.inbox, end.job)?;
        Ok(true)
    }

    /// Copies a file of the output. Replaces an earlier copy that was not completed.
    fn copy(
        &mut self,
        directory: &Directory,
        output: &OutputCopy<'_>,
        connection: &mut Connection,
    ) -> Result<()> {
        let OutputCopy { length, first, .. } = *output;
        if length == 0 {
            return Ok(());
        }
        let name = output.file.name();
        let mut copy = directory.open_or_create(name)?;
        let failed = |error| directory.error("write", name, error);
        copy.set_len(0).map_err(failed)?;
        let kept = usize::try_from(length).unwrap_or(usize::MAX).min(first.len());
        copy.write_all(&first[..kept]).map_err(failed)?;
        let mut copied = kept as u64;
        while copied < length {
            connection.send(&Request::Part { job: output.job, file: output.file, from: copied })?;
            let bytes = self.receive_part(output, copied, connection)?;
            if bytes.is_empty() {
                break;
            }
            let kept = usize::try_from(length - copied).unwrap_or(usize::MAX).min(bytes.len());
            copy.write_all(&bytes[..kept]).map_err(failed)?;
            copied += kept as u64;
        }
        Ok(())
    }

    /// Waits for a part of a file, and keeps the reports about other jobs that arrive before it.
    fn receive_part(
        &mut self,
        asked: &OutputCopy<'_>,
        offset: u64,
        connection: &mut Connection,
    ) -> Result<Vec<u8>> {
        loop {
            let frame = connection.receive_within(PART_TIMEOUT)?;
            match &frame.answer {
                Answer::Part { job, file: answered, from, length }
                    if (*job, *answered, *from) == (asked.job, asked.file, offset)
                        && *length <= MAX_PIECE_BYTES =>
                {
                    return Ok(frame.bytes);
                }
                // Its directory was removed meanwhile: what was copied stays.
                Answer::Unknown { job } | Answer::Refused { job, .. } if *job == asked.job => {
                    return Ok(Vec::new());
                }
                _ => self.waiting.push_back(frame),
            }
        }
    }

    /// Concludes what became of a job that the executor does not know. Only what was known when it was asked counts: the job
    /// may have been launched between the question and the answer.
    fn record_unknown(&self, job: JobId) -> Result<bool> {
        let Some((directory, _)) = self.own_job(job)? else { return Ok(true) };
        let Some(Question { if_unknown: Some(reason) }) = self.asked.get(&job) else { return Ok(false) };
        let Some(record) = HomeRecord::try_open(&directory)? else { return Ok(false) };
        if record.is_finished()? {
            return Ok(true);
        }
        if *reason == LostReason::NeverStarted && read_record(&directory)?.started.valid().is_some() {
            return Ok(false);
        }
        record.write_outcome(Outcome::Lost { reason: *reason })?;
        drop(record);
        notify_change(&self.context.store.home.inbox, job)?;
        Ok(true)
    }

    fn note_connected(&mut self, connection: &Connection) {
        self.health.connected = true;
        self.health.heard_at = Some(self.context.now());
        self.health.problem = None;
        self.health.version = Some(connection.hello.version.clone());
        self.write_health();
    }

    fn note_gone(&mut self, problem: Option<&Error>) {
        if self.health.connected {
            self.health.heard_at = Some(self.context.now());
        }
        self.health.connected = false;
        self.health.problem = problem.map(ToString::to_string);
        self.write_health();
    }

    /// Failures are ignored: it is only shown.
    fn write_health(&self) {
        let _ = self.health.write(&self.context.store.home.root, &self.executor);
    }
}

/// What was known about a job when the executor was asked for it.
#[derive(Clone, Copy, Debug)]
struct Question {
    /// What it means if the executor does not know the job; `None` if it means nothing yet.
    if_unknown: Option<LostReason>,
}

/// The reported end of a job.
struct End {
    job: JobId,
    started: Option<StartedRecord>,
    finished: FinishedRecord,
    head_bytes: u64,
    tail_bytes: u64,
    /// The first bytes of the head.
    inline: Vec<u8>,
}

/// A file of the output to copy.
struct OutputCopy<'a> {
    job: JobId,
    file: OutputFile,
    length: u64,
    /// Its first bytes, which are known already.
    first: &'a [u8],
}
