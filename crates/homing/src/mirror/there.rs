//! The program on the machine of an executor. It serves one connection, over standard input and output. Jobs do not depend on
//! it: it launches them as any front end does, and ends with the connection.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use homing_core::{FollowUpPolicy, JobId, KilledBy, Recovery};
use homing_supervisor::platform::wait::wait;
use homing_supervisor::platform::{clock, paths};
use homing_supervisor::{FinishedRecord, StartedRecord, crash_point};

use crate::context::Context;
use crate::events::page::EventOptions;
use crate::events::watch::EventWatch;
use crate::executor::protocol::{
    Answer, Frame, LaunchRequest, MAX_PIECE_BYTES, OutputFile, PROTOCOL, Request, read_request, write_frame,
};
use crate::store::observe::{JobSnapshot, observe};
use crate::store::recover::RecoverOptions;
use crate::store::spec::{JobSpec, Timeout};
use crate::{Error, Result};

/// The most bytes of a head that come with the report of the end. Longer ones are asked for.
const MAX_INLINE_BYTES: u64 = 64 << 10;

/// A connection.
struct Served {
    context: Arc<Context>,
    output: Mutex<io::Stdout>,
    /// The jobs to report, each with whether its start was reported.
    followed: Mutex<BTreeMap<JobId, bool>>,
}

/// Serves the connection of this process until it ends.
///
/// # Errors
/// If the home cannot be used, or a request is malformed.
pub(crate) fn serve_executor(context: Arc<Context>) -> Result<()> {
    let served = Arc::new(Served {
        output: Mutex::new(io::stdout()),
        followed: Mutex::default(),
        context: Arc::clone(&context),
    });
    let run_by = context.store.here()?.clone();
    let version = env!("CARGO_PKG_VERSION").to_owned();
    served.send(Answer::Hello { protocol: PROTOCOL, version, run_by, now_ms: clock::wall_millis() });
    let mut is_watching = false;
    let mut input = io::stdin().lock();
    loop {
        match read_request(&mut input) {
            Ok(Some(request)) => {
                // Watch before the first report, so that no change in between is missed. Launches need no watch.
                if matches!(request, Request::Follow { .. }) && !is_watching {
                    let watch = EventWatch::new(Arc::clone(&context), EventOptions::default())?;
                    let reporter = Arc::clone(&served);
                    std::thread::spawn(move || reporter.report_changes(watch));
                    is_watching = true;
                }
                served.answer(request);
            }
            // The other side has closed the connection, or it was cut.
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(Error::InvalidRequest(format!("malformed request: {error}"))),
        }
    }
}

impl Served {
    fn answer(&self, request: Request) {
        let (job, answered) = match request {
            Request::Launch(launch) => {
                let answered = (launch.job, self.launch(*launch).map(Frame::new));
                crash_point("executor/launched_there");
                answered
            }
            Request::Follow { job } => {
                self.followed().insert(job, false);
                self.report(job);
                return;
            }
            Request::Kill { job, by_session } => {
                let by = if by_session { KilledBy::Session } else { KilledBy::Operator };
                (job, self.context.request_kill(job, by).map(|()| Frame::new(Answer::Asked { job })))
            }
            Request::Output { job, from, limit } => (job, self.output_of(job, from, limit)),
            Request::Part { job, file, from } => (job, self.part(job, file, from)),
        };
        self.send_frame(&answered.unwrap_or_else(|error| Frame::new(refusal(job, &error))));
    }

    fn launch(&self, launch: LaunchRequest) -> Result<Answer> {
        let job = launch.job;
        let launched = self.context.launch_or_find(&spec_of(launch))?.job.id;
        if launched != job {
            return Err(Error::InvalidRequest(format!("the job has the id {launched}, not {job}")));
        }
        let seen = observe(&self.context.store.home.jobs, job, self.context.store.here()?)?;
        let (started, finished) = seen.map_or((None, None), |seen| (seen.started, seen.finished));
        Ok(Answer::Launched {
            job,
            started,
            finished: finished.filter(|finished| finished.recovery.is_none()),
        })
    }

    fn output_of(&self, job: JobId, from: u64, limit: u64) -> Result<Frame> {
        let end = self.context.output_end(job)?;
        let limit = usize::try_from(limit.min(MAX_PIECE_BYTES)).unwrap_or(0);
        let chunk = self.context.output(job, from.min(end), limit)?;
        let length = chunk.bytes.len() as u64;
        Ok(Frame { answer: Answer::Output { job, offset: chunk.offset, length, end }, bytes: chunk.bytes })
    }

    fn part(&self, job: JobId, file: OutputFile, from: u64) -> Result<Frame> {
        let bytes = self.read_file(job, file, from, MAX_PIECE_BYTES)?.unwrap_or_default().1;
        Ok(Frame { answer: Answer::Part { job, file, from, length: bytes.len() as u64 }, bytes })
    }

    /// Reads at most `limit` bytes of a file of the output from `from` on, and its length; `None` if it does not exist.
    fn read_file(
        &self,
        job: JobId,
        file: OutputFile,
        from: u64,
        limit: u64,
    ) -> Result<Option<(u64, Vec<u8>)>> {
        let name = file.name();
        let Some(directory) = self.context.store.find_job(job)? else {
            return Err(Error::NoSuchJob(job.to_string()));
        };
        let Some(mut open) = directory.open_to_read(name)? else { return Ok(None) };
        let failed = |error| directory.error("read", name, error);
        let length = open.metadata().map_err(failed)?.len();
        open.seek(SeekFrom::Start(from)).map_err(failed)?;
        let mut bytes = Vec::new();
        open.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some((length, bytes)))
    }

    /// Reports changes of followed jobs, without polling.
    fn report_changes(&self, mut watch: EventWatch) {
        loop {
            match watch.next_page() {
                Ok(page) => {
                    let changed: Vec<JobId> = page.events.iter().filter_map(|event| event.job).collect();
                    let followed: Vec<JobId> = self.followed().keys().copied().collect();
                    for job in followed.into_iter().filter(|job| changed.contains(job)) {
                        self.report(job);
                    }
                    if page.has_more {
                        continue;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot read events");
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
            let _ = wait(&[watch.readable()], None);
        }
    }

    /// Reports the state of a job, if there is something new.
    fn report(&self, job: JobId) {
        match self.observe(job) {
            Ok(None) => {
                self.followed().remove(&job);
                self.send(Answer::Unknown { job });
            }
            Ok(Some(JobSnapshot { finished: Some(finished), started, .. })) => {
                // A concluded end that cannot be recorded yet may still change.
                if finished.recovery != Some(Recovery::NotRecorded) && self.followed().remove(&job).is_some()
                {
                    match self.end_of(job, started, finished) {
                        Ok(frame) => self.send_frame(&frame),
                        Err(error) => self.send(refusal(job, &error)),
                    }
                }
            }
            Ok(Some(JobSnapshot { started: Some(started), .. })) => {
                let was_reported = self.followed().insert(job, true);
                if was_reported != Some(true) {
                    self.send(Answer::Started { job, started });
                }
            }
            // It is being started.
            Ok(Some(_)) => {}
            Err(error) => self.send(refusal(job, &error)),
        }
    }

    /// Observes a job. If its supervisor has died, records its end first.
    fn observe(&self, job: JobId) -> Result<Option<JobSnapshot>> {
        let (jobs, here) = (&self.context.store.home.jobs, self.context.store.here()?);
        let seen = observe(jobs, job, here)?;
        if seen.as_ref().is_some_and(|seen| seen.recovery().is_some()) {
            self.context.recover_jobs(&[job], RecoverOptions::default())?;
            return Ok(observe(jobs, job, here)?);
        }
        Ok(seen)
    }

    fn end_of(&self, job: JobId, started: Option<StartedRecord>, finished: FinishedRecord) -> Result<Frame> {
        let head = self.read_file(job, OutputFile::Head, 0, MAX_INLINE_BYTES)?;
        let tail = self.read_file(job, OutputFile::Tail, 0, 0)?;
        let (head_bytes, bytes) = head.unwrap_or_default();
        let tail_bytes = tail.map_or(0, |(length, _)| length);
        let inline = bytes.len() as u64;
        Ok(Frame {
            answer: Answer::Finished { job, started, finished, head_bytes, tail_bytes, inline },
            bytes,
        })
    }

    fn followed(&self) -> MutexGuard<'_, BTreeMap<JobId, bool>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, answer: Answer) {
        self.send_frame(&Frame::new(answer));
    }

    /// Sends an answer. If the connection has ended, so does this process: its jobs go on.
    fn send_frame(&self, frame: &Frame) {
        let output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        if write_frame(&*output, frame).is_err() {
            std::process::exit(0);
        }
    }
}

fn refusal(job: JobId, error: &Error) -> Answer {
    match error {
        Error::NoSuchJob(_) => Answer::Unknown { job },
        _ => Answer::Refused {
            job,
            code: error.code().to_owned(),
            message: error.to_string(),
            hint: error.hint().map(|hint| hint.to_string()),
        },
    }
}

/// The job as it is launched here. Its session is notified at home.
fn spec_of(launch: LaunchRequest) -> JobSpec {
    let home = paths::home_directory().unwrap_or_default();
    let mut spec = JobSpec::new(launch.command)
        .session(launch.session)
        .key(launch.key)
        .current_dir(home.join(launch.directory))
        .timeout(launch.timeout_ms.map_or(Timeout::None, |ms| Timeout::After(Duration::from_millis(ms))))
        .grace(Duration::from_millis(launch.grace_ms))
        .output_head_bytes(launch.head_bytes)
        .output_tail_bytes(launch.tail_bytes)
        .leftovers(launch.leftovers)
        .follow_up(FollowUpPolicy::Never);
    if !launch.shell.is_bash() {
        spec = spec.shell(launch.shell);
    }
    if let Some(name) = launch.name {
        spec = spec.name(name);
    }
    for (name, value) in launch.environment {
        spec = spec.env(name, value);
    }
    spec
}
