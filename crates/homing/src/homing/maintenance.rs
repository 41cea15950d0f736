//! Keeps a home in order, and reports what happened in it: updates of the ledger, recovery, retention, import, checks,
//! events.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "async")]
use futures_util::stream::Stream;
use homing_core::{Job, JobId};

use super::Homing;
use crate::Result;
#[cfg(feature = "async")]
use crate::asynchronous;
use crate::check::Check;
use crate::events::page::EventOptions;
use crate::events::watch::EventWatch;
use crate::executor::{CopiedProgram, ExecutorStatus};
use crate::index::import::FinishedJob;
use crate::index::prune::{PruneOptions, PruneReport};
use crate::index::recover::RecoverReport;
use crate::index::report::SyncReport;
use crate::ledger::EventPage;
use crate::store::recover::RecoverOptions;
use crate::store::unreadable::UnreadableJob;

impl Homing {
    /// Updates the ledger: ingests every job that has an inbox entry, and observes every job that has not finished.
    /// A job without a live supervisor becomes `lost` in the ledger; [`Homing::recover`] ends its processes and writes
    /// its record. Every operation that reads jobs calls this first.
    ///
    /// # Errors
    /// When the home cannot be read or the ledger cannot be written. A single job that cannot be read is
    /// not an error: it is in the report.
    pub fn sync(&self) -> Result<SyncReport> {
        self.context.sync()
    }

    /// Observes every job, with or without an inbox entry.
    ///
    /// # Errors
    /// As [`Homing::sync`].
    pub fn full_scan(&self) -> Result<SyncReport> {
        self.context.full_scan()
    }

    /// The jobs that could not be read when they were last observed, sorted by id. Observes nothing itself: call it after
    /// an operation that does, such as [`Homing::list`] or [`Homing::get`].
    pub fn unreadable_jobs(&self) -> Vec<UnreadableJob> {
        self.context.unreadable_jobs()
    }

    /// Deletes jobs that have finished and whose results are acknowledged or need no delivery, with their output. Returns
    /// the deleted jobs. Never ends a job.
    ///
    /// # Errors
    /// [`Error::NotRemovable`](crate::Error::NotRemovable) if one of them still runs, has an open follow-up or left
    /// processes; then none is deleted. When files cannot be deleted, those jobs that were deleted before stay deleted.
    pub fn remove(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        self.context.remove(ids)
    }

    /// Deletes every job that ended longer than `older_than` ago and whose result needs no delivery. Never deletes a job
    /// with an open follow-up.
    ///
    /// # Errors
    /// As [`Homing::prune_with`].
    pub fn prune(&self, older_than: Duration) -> Result<PruneReport> {
        self.context.prune(older_than)
    }

    /// As [`Homing::prune`], with options. First expires follow-ups that are undelivered for longer than
    /// `retention.undelivered` (30 days).
    ///
    /// # Errors
    /// When the ledger cannot be read or written, or the jobs' directory cannot be synced. Jobs that
    /// were deleted before stay deleted. A job whose files cannot be deleted is not an error: it is in the report.
    pub fn prune_with(&self, options: &PruneOptions) -> Result<PruneReport> {
        self.context.prune_with(options)
    }

    /// Recovers every job whose supervisor died: ends and reports its processes, and records the outcome `lost`. Ends every
    /// job that still runs after its directory was removed or renamed. Moves foreign files into `set-aside/`, and applies
    /// retention at most once a day. The monitor and long-running hosts call this; reading a home never does.
    ///
    /// For a job that ran in another pid namespace, such as another container, only the outcome is recorded. A process in
    /// that namespace must end the remaining processes later. A job of another host is not recovered unless `options`
    /// allow it.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// let report = homing.recover(homing::RecoverOptions::default())?;
    /// assert!(report.recovered.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the home or the ledger cannot be used. A single job that cannot be recovered is in the report.
    pub fn recover(&self, options: RecoverOptions) -> Result<RecoverReport> {
        self.context.recover(options)
    }

    /// Imports finished jobs of another program. They are durable when this returns, and then behave as other jobs: they
    /// are listed, followed up and pruned. Returns the ids that are new. A job whose id exists is not changed, so an
    /// interrupted import can be repeated.
    ///
    /// Each job appears by one rename, after all its files are on disk. Concurrent imports wait for each other.
    ///
    /// # Errors
    /// When a file cannot be written, or an output cannot be read (a missing output counts as empty). Then no job
    /// appears, unless the last step fails: repeat the import to complete it.
    pub fn import(&self, jobs: &[FinishedJob]) -> Result<Vec<JobId>> {
        self.context.import(jobs)
    }

    /// Checks the home, the supervisor program, the ledger and the features of the kernel. Compares the ledger with
    /// the job directories.
    ///
    /// # Errors
    /// When the home cannot be read at all. All other problems are reported as checks.
    pub fn doctor(&self) -> Result<Vec<Check>> {
        self.context.doctor()
    }

    /// The configured executors, with what is known about the connections to them.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn executors(&self) -> Result<Vec<ExecutorStatus>> {
        self.context.sync()?;
        self.context.executors()
    }

    /// Checks an executor: reaches it, compares versions and clocks, and launches `true` there.
    ///
    /// # Errors
    /// [`Error::NoSuchExecutor`](crate::Error::NoSuchExecutor). All other problems are reported as checks.
    pub fn check_executor(&self, executor: &str) -> Result<Vec<Check>> {
        self.context.check_executor(executor)
    }

    /// Copies the [program](crate::OpenOptions::supervisor) that supervises jobs to an executor, below `~/.cache/homing`, and
    /// checks that it runs there. Launches then use this copy.
    ///
    /// # Errors
    /// [`Error::NoSuchExecutor`](crate::Error::NoSuchExecutor), [`Error::ExecutorUnreachable`](crate::Error::ExecutorUnreachable), and
    /// [`Error::ExecutorRefused`](crate::Error::ExecutorRefused) if the machine is of another kind.
    pub fn set_up_executor(&self, executor: &str) -> Result<CopiedProgram> {
        self.context.set_up_executor(executor)
    }

    /// Moves foreign files, directories, FIFOs and links from the places where homing keeps its own files into the
    /// directory `set-aside` of the home. Returns one check for each. Deletes nothing.
    ///
    /// # Errors
    /// When an entry cannot be moved.
    pub fn fix(&self) -> Result<Vec<Check>> {
        self.context.fix()
    }

    /// The events after [`EventOptions::since`], in the order in which the ledger recorded them. Without it, none: only
    /// [`EventPage::next`], where to continue. Updates the ledger first.
    ///
    /// The start and the end of a job are recorded when a monitor or a reader ingests them, so `occurred_at` may be
    /// earlier than that of the events before. The ledger keeps 100,000 events
    /// ([`Retention::events`](crate::Retention::events)).
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// use homing::{EventOptions, KilledBy};
    ///
    /// let begin = homing.events_since(&EventOptions::default())?.next;
    /// let job = homing.launch(homing::JobSpec::script("sleep 60")?)?;
    /// homing.sync()?;
    /// homing.kill(job.id, KilledBy::Operator)?;
    /// let page = homing.events_since(&EventOptions { since: Some(begin), ..EventOptions::default() })?;
    /// let types: Vec<&str> = page.events.iter().map(|event| event.event.name()).collect();
    /// assert_eq!(types, ["job.seen", "job.started", "job.kill_requested", "job.finished", "follow_up.pending"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the home or the ledger cannot be read. A cursor that is unknown or too old is not an error: see
    /// [`EventPage::truncated`].
    pub fn events_since(&self, options: &EventOptions) -> Result<EventPage> {
        self.context.events_since(options)
    }

    /// The newest events, the oldest of them first, at most [`EventOptions::limit`]. Ignores [`EventOptions::since`].
    /// [`EventPage::has_more`] says whether older ones match.
    ///
    /// # Errors
    /// As [`Homing::events_since`].
    pub fn newest_events(&self, options: &EventOptions) -> Result<EventPage> {
        self.context.newest_events(options)
    }

    /// Watches the events after [`EventOptions::since`], or from now on.
    ///
    /// # Errors
    /// As [`Homing::watch`]; without `since`, also as [`Homing::events_since`].
    pub fn watch_events(&self, options: EventOptions) -> Result<EventWatch> {
        EventWatch::new(Arc::clone(&self.context), options)
    }

    /// As [`Homing::watch_events`], in tokio: a stream of pages. The first page comes at once, even if it is empty. Later
    /// pages have events, or say that events are missing ([`EventPage::truncated`]). Ends only with an error; continue at
    /// [`EventPage::next`] of the last page.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// use futures_util::TryStreamExt;
    ///
    /// let mut events = std::pin::pin!(homing.event_stream(homing::EventOptions::default()));
    /// events.try_next().await?;
    /// let job = homing.launch(homing::JobSpec::script("true")?)?;
    /// let page = events.try_next().await?.expect("it does not end");
    /// assert_eq!(page.events[0].job, Some(job.id));
    /// # homing.wait_async(&[job.id], homing::WaitFor::All).await?;
    /// # Ok::<(), homing::Error>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "async")]
    pub fn event_stream(
        &self,
        options: EventOptions,
    ) -> impl Stream<Item = Result<EventPage>> + Send + use<> {
        asynchronous::events::event_stream(Arc::clone(&self.context), options)
    }
}
