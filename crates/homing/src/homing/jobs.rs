//! Launches, lists, waits for, ends and reads jobs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "async")]
use futures_util::stream::Stream;
use homing_core::text::{OutputExcerpt, RESULT_LIMIT_CHARS};
use homing_core::{Job, JobId, JobIdPrefix, JobRef, KilledBy, SessionId, Timestamp};
use homing_supervisor::Streams;
use homing_supervisor::output::OutputChunk;

use super::Homing;
use crate::Result;
#[cfg(feature = "async")]
use crate::asynchronous::{self, output::OutputGrowth};
use crate::index::list_watch::ListWatch;
use crate::index::query::{ListOptions, Listing};
use crate::job_handle::JobHandle;
use crate::jobs::follow::OutputFollower;
use crate::jobs::launch::Launch;
use crate::jobs::usage::JobUsage;
use crate::jobs::wait::Waited;
use crate::ledger::SessionSummary;
use crate::store::kill::Killing;
use crate::store::service_warning::ServiceWarning;
use crate::store::spec::JobSpec;
use crate::store::wait::{Interruption, WaitFor, Waiting};
use crate::store::watch::JobWatch;

impl Homing {
    /// Launches a job and returns as soon as its command runs. From then on its result is delivered, even after crashes.
    ///
    /// If the command cannot be started, the job has finished with the outcome `failed_to_start` and the reason. If the
    /// supervisor does not answer within 10 s, for example because it was stopped, the job is returned as `starting`.
    /// A launch does not use the ledger, so a locked or damaged ledger does not delay it. The exception is a request
    /// with a [key](JobSpec::key) whose job has finished.
    ///
    /// # Errors
    /// When the request is invalid, the disk is full, or no supervisor can be started. Then the command did not run and no
    /// job exists. [`Error::KeyTaken`](crate::Error::KeyTaken) if the key belongs to a job that was launched with a different request.
    pub fn launch(&self, spec: JobSpec) -> Result<Job> {
        self.context.launch(&spec)
    }

    /// As [`Homing::launch`], and says whether the job is new or was launched before with the same
    /// [key](JobSpec::key).
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// let spec = homing::JobSpec::script("make deploy")?.key("message-17".parse()?);
    /// let first = homing.launch_or_find(spec.clone())?;
    /// let again = homing.launch_or_find(spec)?;
    /// assert_eq!((first.is_new, again.is_new, again.job.id), (true, false, first.job.id));
    /// # homing.wait(&[first.job.id], homing::WaitFor::All, None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Homing::launch`].
    pub fn launch_or_find(&self, spec: JobSpec) -> Result<Launch> {
        self.context.launch_or_find(&spec)
    }

    /// As [`Homing::launch`], and follows the output from its beginning. The follower is attached to the job: while it
    /// exists, the job waits before it overwrites output that the follower has not returned yet. Asking for the next piece
    /// confirms the one before. When the follower is dropped, the job continues without waiting. A job with a
    /// [key](JobSpec::key) that was launched before is followed without being attached.
    ///
    /// At least 512 KiB are kept from the end of the output, as room for the follower. [`OutputFollower::stream`] names the
    /// stream of each piece if the streams are kept apart.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// let spec = homing::JobSpec::script("echo one; echo two >&2")?;
    /// let (_job, mut output) = homing.launch_attached(spec, homing::Streams::Split)?;
    /// while let Some(piece) = output.next().transpose()? {
    ///     println!("{:?}: {:?}", output.stream(), piece.bytes);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Homing::launch`], and when the output cannot be read.
    pub fn launch_attached(&self, spec: JobSpec, streams: Streams) -> Result<(Job, OutputFollower)> {
        let spec = JobSpec { attached: Some(streams), ..spec };
        let (Launch { job, .. }, attachment) = self.context.launch_and_attach(&spec)?;
        let follower = OutputFollower::attached(Arc::clone(&self.context), job.id, attachment)?;
        Ok((job, follower))
    }

    /// As [`Homing::launch`], and returns a handle to the job.
    ///
    /// # Errors
    /// As [`Homing::launch`].
    pub fn spawn(&self, spec: JobSpec) -> Result<JobHandle> {
        let job = self.launch(spec)?;
        Ok(JobHandle::new(Arc::clone(&self.context), job.id))
    }

    /// A handle to a job.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) if it does not exist.
    pub fn job(&self, id: JobId) -> Result<JobHandle> {
        self.context.get(id)?;
        Ok(JobHandle::new(Arc::clone(&self.context), id))
    }

    /// Returns the current state of a job.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) if it does not exist.
    pub fn get(&self, id: JobId) -> Result<Job> {
        self.context.get(id)
    }

    /// Returns the current state of several jobs with one sync, in the order of `ids`.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) for the first that does not exist.
    pub fn get_all(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        self.context.get_all(ids)
    }

    /// The jobs that match, newest first.
    ///
    /// # Errors
    /// When the home or the ledger cannot be read.
    pub fn list(&self, options: &ListOptions) -> Result<Vec<Job>> {
        Ok(self.listing(options)?.jobs)
    }

    /// As [`Homing::list`]. Also says whether the limit left out jobs and where the next page begins, and returns those that
    /// a newer program wrote in a format that this one does not support.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # let mut ids = Vec::new();
    /// # for _ in 0..3 { ids.push(homing.launch(homing::JobSpec::script("true")?)?.id); }
    /// let mut options = homing::ListOptions { limit: Some(2), ..homing::ListOptions::default() };
    /// let newest = homing.listing(&options)?;
    /// options.before = newest.next;
    /// let older = homing.listing(&options)?;
    /// assert_eq!((newest.jobs.len(), older.jobs.len(), older.next), (2, 1, None));
    /// # homing.wait(&ids, homing::WaitFor::All, None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Homing::list`].
    pub fn listing(&self, options: &ListOptions) -> Result<Listing> {
        self.context.listing(options)
    }

    /// The sessions that have jobs, each with the counts of its jobs, the one with the newest launch first. One query: it
    /// counts the jobs in an index, so its time grows with the number of kept jobs (docs/benchmarks.md).
    ///
    /// # Errors
    /// When the home or the ledger cannot be read.
    pub fn sessions(&self) -> Result<Vec<SessionSummary>> {
        self.context.sessions()
    }

    /// Finds the only job whose id has this prefix.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) and [`Error::AmbiguousJob`](crate::Error::AmbiguousJob).
    pub fn resolve(&self, prefix: &JobIdPrefix) -> Result<JobId> {
        self.context.resolve(prefix)
    }

    /// As [`Homing::resolve`], among the jobs of one session.
    ///
    /// # Errors
    /// As [`Homing::resolve`]. The error does not reveal jobs of other sessions.
    pub fn resolve_in(&self, prefix: &JobIdPrefix, session: &SessionId) -> Result<JobId> {
        self.context.resolve_in(prefix, session)
    }

    /// Finds the job that a reference means to a session: by its id or a unique prefix of it, whichever session it belongs
    /// to, else the newest job of this session that has the name, or the newest job of this session.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// let chat: homing::SessionId = "chat-1".parse()?;
    /// let job = homing.launch(homing::JobSpec::script("true")?.session(chat.clone()).name("nightly"))?;
    /// assert_eq!(homing.find(&"nightly".parse()?, &chat)?, job.id);
    /// assert_eq!(homing.find(&"last".parse()?, &chat)?, job.id);
    /// # homing.wait(&[job.id], homing::WaitFor::All, None)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob), [`Error::NoSuchJobInSession`](crate::Error::NoSuchJobInSession) and
    /// [`Error::AmbiguousJob`](crate::Error::AmbiguousJob).
    pub fn find(&self, reference: &JobRef, session: &SessionId) -> Result<JobId> {
        self.context.find(reference, session)
    }

    /// As [`Homing::find`], for several references with at most one sync. Returns each job once, in their order.
    ///
    /// # Errors
    /// As [`Homing::find`], for the first reference that does not mean exactly one job.
    pub fn find_all(&self, references: &[JobRef], session: &SessionId) -> Result<Vec<JobId>> {
        self.context.find_all(references, session)
    }

    /// Waits until jobs have finished, or until `timeout` expires. Acknowledges nothing: a caller that reads the results
    /// for the session calls [`Homing::acknowledge`].
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) if one of them does not exist.
    pub fn wait(&self, ids: &[JobId], wait_for: WaitFor, timeout: Option<Duration>) -> Result<Waited> {
        self.context.wait(ids, wait_for, timeout, None)
    }

    /// As [`Homing::wait`], but returns early when it is interrupted.
    ///
    /// # Errors
    /// As [`Homing::wait`].
    pub fn wait_unless(
        &self,
        ids: &[JobId],
        wait_for: WaitFor,
        timeout: Option<Duration>,
        interruption: &mut Interruption<'_>,
    ) -> Result<Waited> {
        self.context.wait(ids, wait_for, timeout, Some(interruption))
    }

    /// Begins a wait without a thread, for a host with its own event loop. Call [`Homing::is_satisfied`] first, and again
    /// whenever [`Waiting::readable`] is readable.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// let job = homing.launch(homing::JobSpec::script("sleep 0.1")?)?;
    /// let mut waiting = homing.begin_waiting(&[job.id], homing::WaitFor::All);
    /// while !homing.is_satisfied(&mut waiting)? {
    ///     // An event loop waits for `waiting.readable()` here.
    ///     std::thread::sleep(std::time::Duration::from_millis(5));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn begin_waiting(&self, ids: &[JobId], wait_for: WaitFor) -> Waiting {
        Waiting::new(&self.context.store.home, ids, wait_for)
    }

    /// Whether the condition of the wait is met. Does not wait for jobs.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) if one of the jobs does not exist.
    pub fn is_satisfied(&self, waiting: &mut Waiting) -> Result<bool> {
        self.context.is_satisfied(waiting)
    }

    /// Whether a job has finished. Observes the job itself, not the ledger.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) if it does not exist.
    pub fn is_finished(&self, id: JobId) -> Result<bool> {
        self.context.is_finished(id)
    }

    /// Ends a job, and returns when it has finished and none of its processes is left. If the job has finished already,
    /// ends the processes that it left running. A job that its own session ends has no follow-up.
    ///
    /// Continues a supervisor that is stopped. Kills supervisor and job directly if the supervisor does not end the job
    /// within its grace time and five seconds because it is stopped or traced, or within 20 seconds for another reason.
    /// The outcome is `killed` in each case.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob); [`Error::NotFinishedInTime`](crate::Error::NotFinishedInTime) if it does not end in time; [`Error::CannotSignal`](crate::Error::CannotSignal) if its
    /// supervisor cannot be signalled.
    pub fn kill(&self, id: JobId, by: KilledBy) -> Result<Job> {
        Ok(self.kill_all(&[(id, by)])?.remove(0))
    }

    /// As [`Homing::kill`], for several jobs in parallel. Returns them in the requested order.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// let ids = [homing.launch(homing::JobSpec::script("sleep 60")?)?.id, homing.launch(homing::JobSpec::script("sleep 60")?)?.id];
    /// let killed = homing.kill_all(&ids.map(|id| (id, homing::KilledBy::Operator)))?;
    /// assert!(killed.iter().all(|job| job.outcome().is_some()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Homing::kill`]. Returns the first error after all other jobs were ended.
    pub fn kill_all(&self, jobs: &[(JobId, KilledBy)]) -> Result<Vec<Job>> {
        self.context.kill(jobs, None)
    }

    /// As [`Homing::kill_all`], but stops waiting when it is interrupted. The jobs were asked to end and may still run.
    ///
    /// # Errors
    /// As [`Homing::kill_all`].
    pub fn kill_all_unless(
        &self,
        jobs: &[(JobId, KilledBy)],
        interruption: &mut Interruption<'_>,
    ) -> Result<Vec<Job>> {
        self.context.kill(jobs, Some(interruption))
    }

    /// Begins to end jobs without a thread, for a host with its own event loop. Call [`Homing::has_killed`] first, which
    /// asks all supervisors, and again whenever [`Killing::readable`] is readable.
    pub fn begin_killing(&self, jobs: &[(JobId, KilledBy)]) -> Killing {
        self.context.store.begin_killing(jobs)
    }

    /// Does the next step. Returns whether all jobs have finished and none of their processes is left. Does not wait,
    /// except when it kills a job whose supervisor cannot do so: up to 10 seconds.
    ///
    /// # Errors
    /// As [`Homing::kill_all`].
    pub fn has_killed(&self, killing: &mut Killing) -> Result<bool> {
        self.context.has_killed(killing)
    }

    /// Asks a job to end, and returns at once. If the job has finished already, asks the processes that it left running.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob); [`Error::NotFinishedInTime`](crate::Error::NotFinishedInTime) if no supervisor appears in time.
    pub fn request_kill(&self, id: JobId, by: KilledBy) -> Result<()> {
        self.context.request_kill(id, by)
    }

    /// Reads at most `limit` bytes of a job's output, from the first offset at or behind `from` that was kept. To go
    /// on, pass [`OutputChunk::end`] as the next `from`.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # let job = homing.launch(homing::JobSpec::script("printf 'one two'")?)?;
    /// # homing.wait(&[job.id], homing::WaitFor::All, None)?;
    /// let chunk = homing.output(job.id, 4, 100)?;
    /// assert_eq!((chunk.offset, &chunk.bytes[..]), (4, &b"two"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob), or when the output cannot be read. The output of a job whose directory is gone is empty.
    pub fn output(&self, id: JobId, from: u64, limit: usize) -> Result<OutputChunk> {
        self.context.output(id, from, limit)
    }

    /// The offset behind the last byte of output that is there.
    ///
    /// # Errors
    /// As [`Homing::output`].
    pub fn output_end(&self, id: JobId) -> Result<u64> {
        self.context.output_end(id)
    }

    /// Follows a job's output from `from` on, until the job has finished.
    ///
    /// # Errors
    /// As [`Homing::output`].
    pub fn follow(&self, id: JobId, from: u64) -> Result<OutputFollower> {
        OutputFollower::new(Arc::clone(&self.context), id, from)
    }

    /// When a job last wrote output, by the wall clock; `None` if it has no output.
    ///
    /// # Errors
    /// As [`Homing::output`].
    pub fn last_output_at(&self, id: JobId) -> Result<Option<Timestamp>> {
        self.context.last_output_at(id)
    }

    /// What all processes of a running job use now; `None` if it does not run, or not where this process can see it: on another
    /// machine or in another pid namespace. Looks at each process once, so ask at most every second.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// let job = homing.launch(homing::JobSpec::script("sleep 60")?)?;
    /// let used = homing.usage(job.id)?.expect("it runs here");
    /// assert!(used.processes >= 1 && used.memory_bytes > 0);
    /// homing.kill(job.id, homing::KilledBy::Operator)?;
    /// assert_eq!(homing.usage(job.id)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob) if it does not exist.
    pub fn usage(&self, id: JobId) -> Result<Option<JobUsage>> {
        self.context.usage(id)
    }

    /// The beginning and the end of a job's output, for callers that write their own text about the job
    /// ([`core::text::shown_output`](crate::core::text::shown_output)). At most 64,000 bytes each. Empty if the job's
    /// directory is gone.
    ///
    /// # Errors
    /// As [`Homing::output`].
    pub fn output_excerpt(&self, id: JobId) -> Result<OutputExcerpt> {
        self.context.excerpt(id)
    }

    /// What the agent reads about a job: how it ended, its command, and its output within 16,000 characters.
    ///
    /// # Errors
    /// As [`Homing::output`].
    pub fn result_text(&self, id: JobId) -> Result<String> {
        self.context.result_text(id, RESULT_LIMIT_CHARS)
    }

    /// As [`Homing::result_text`], within fewer characters, for several results in one text.
    ///
    /// # Errors
    /// As [`Homing::output`].
    pub fn result_text_within(&self, id: JobId, limit_chars: usize) -> Result<String> {
        self.context.result_text(id, limit_chars)
    }

    /// Creates a watch without jobs.
    ///
    /// # Errors
    /// When the kernel has no inotify instance left (`fs.inotify.max_user_instances`, inotify(7)).
    pub fn watch(&self) -> io::Result<JobWatch> {
        self.context.store.watch()
    }

    /// Watches a list of jobs, for a front end that shows it.
    ///
    /// # Errors
    /// As [`Homing::watch`].
    pub fn watch_list(&self, options: ListOptions) -> Result<ListWatch> {
        ListWatch::new(Arc::clone(&self.context), options)
    }

    /// Returns the warning about jobs that this process launched, once per home. Front ends show it to the user.
    pub fn take_service_warning(&self) -> Option<ServiceWarning> {
        self.context.store.take_service_warning()
    }

    /// As [`Homing::wait`], in tokio. Use `tokio::time::timeout` for a limit. Dropping the future ends the wait, not the
    /// jobs.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let job = homing.launch(homing::JobSpec::script("exit 3")?)?;
    /// let finished = homing.wait_async(&[job.id], homing::WaitFor::All).await?;
    /// assert_eq!(finished[0].outcome().map(|outcome| outcome.as_exit_status()), Some(3));
    /// # Ok::<(), homing::Error>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Homing::wait`].
    #[cfg(feature = "async")]
    pub async fn wait_async(&self, ids: &[JobId], wait_for: WaitFor) -> Result<Vec<Job>> {
        asynchronous::wait::wait(Arc::clone(&self.context), ids.to_vec(), wait_for).await
    }

    /// As [`Homing::kill_all`], in tokio. If the future is dropped after its first poll, the jobs were asked to end.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let job = homing.launch(homing::JobSpec::script("sleep 60")?)?;
    /// let killed = homing.kill_async(&[(job.id, homing::KilledBy::Session)]).await?;
    /// assert!(killed[0].outcome().is_some());
    /// # Ok::<(), homing::Error>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Homing::kill_all`].
    #[cfg(feature = "async")]
    pub async fn kill_async(&self, jobs: &[(JobId, KilledBy)]) -> Result<Vec<Job>> {
        asynchronous::wait::kill(Arc::clone(&self.context), jobs.to_vec()).await
    }

    /// As [`Homing::follow`], in tokio: a stream of the output from `from` on, until the job has finished.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// use futures_util::TryStreamExt;
    ///
    /// let job = homing.launch(homing::JobSpec::script("echo one; echo two")?)?;
    /// let chunks: Vec<_> = homing.output_stream(job.id, 0)?.try_collect().await?;
    /// let bytes: Vec<u8> = chunks.into_iter().flat_map(|chunk| chunk.bytes).collect();
    /// assert_eq!(bytes, b"one\ntwo\n");
    /// # Ok::<(), homing::Error>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Homing::output`].
    #[cfg(feature = "async")]
    pub fn output_stream(
        &self,
        id: JobId,
        from: u64,
    ) -> Result<impl Stream<Item = Result<OutputChunk>> + Send + use<>> {
        asynchronous::output::output_stream(Arc::clone(&self.context), id, from)
    }

    /// How much output these jobs have written, in tokio: all of them first, later those whose output has grown, at most once
    /// a second. Sleeps while no job writes. Never ends.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// use futures_util::StreamExt;
    ///
    /// let job = homing.launch(homing::JobSpec::script("echo one")?)?;
    /// homing.wait_async(&[job.id], homing::WaitFor::All).await?;
    /// let mut sizes = std::pin::pin!(homing.output_sizes(&[job.id]));
    /// let first = sizes.next().await.expect("it never ends");
    /// assert_eq!((first[0].job, first[0].total_bytes), (job.id, 4));
    /// # Ok::<(), homing::Error>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "async")]
    pub fn output_sizes(&self, ids: &[JobId]) -> impl Stream<Item = Vec<OutputGrowth>> + Send + use<> {
        asynchronous::output::output_sizes(Arc::clone(&self.context), ids.to_vec())
    }
}
