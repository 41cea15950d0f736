//! Delivers results to sessions: follow-ups, claims, holds, wakes, monitors.

#[cfg(feature = "async")]
use std::sync::Arc;
#[cfg(feature = "async")]
use std::time::Duration;

use homing_core::{Delivery, Job, JobId, LeaseId, LeasedWake, SessionId, Wake, WakeId};

use super::Homing;
use crate::Result;
#[cfg(feature = "async")]
use crate::asynchronous;
#[cfg(feature = "async")]
use crate::asynchronous::wakes::WakeStream;
use crate::check::Check;
use crate::delivery::claim::Claimant;
use crate::delivery::history::{WakeListing, WakeOptions};
use crate::delivery::hold::DeliveryHold;
use crate::delivery::lease::LeaseOptions;
use crate::delivery::listen::{ListenOptions, Listened};
use crate::delivery::monitor::{Monitor, MonitorOptions};
use crate::delivery::prospects::Prospect;
use crate::delivery::reader::{DeliveryArrangement, ReadResults, ResultReader};
use crate::harness::origin::Origin;
use crate::index::query::{FollowUpOptions, Listing};
use crate::ledger::WakeRecord;

impl Homing {
    /// Acknowledges the results of these jobs: they were delivered, or the session has read them. They are not delivered
    /// again.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob); [`Error::FollowUpConflict`](crate::Error::FollowUpConflict) if a job has not finished. Then no job is acknowledged.
    pub fn acknowledge(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        self.context.acknowledge(ids)
    }

    /// Acknowledges the results among `jobs` that the session `reader` has read: finished jobs of its own. Results of
    /// other sessions stay as they are.
    ///
    /// # Errors
    /// As [`Homing::acknowledge`].
    pub fn acknowledge_read(&self, jobs: &[Job], reader: &SessionId) -> Result<ReadResults> {
        self.context.acknowledge_read(jobs, reader)
    }

    /// Arranges who reads the result of a job that was just launched. If the caller waits for it, delivery is held while
    /// the returned hold exists. Starts a monitor if the session has a route to a sink and no monitor is active: see
    /// [`Homing::start_monitor_if_needed`]. The job runs in each case, so a monitor that cannot be started is not an
    /// error: it is in the arrangement.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// let job = homing.launch(homing::JobSpec::script("true")?)?;
    /// let delivery = homing.arrange_delivery(&job, homing::ResultReader::Caller);
    /// let waited = homing.wait(&[job.id], homing::WaitFor::All, None)?;
    /// homing.acknowledge_read(&waited.jobs, &job.session)?;
    /// drop(delivery);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn arrange_delivery(&self, job: &Job, reader: ResultReader) -> DeliveryArrangement {
        self.context.arrange_delivery(job, reader)
    }

    /// Makes follow-ups pending again, including dead and acknowledged ones.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob); [`Error::FollowUpConflict`](crate::Error::FollowUpConflict) if a job has not finished. Then no follow-up is retried.
    pub fn retry(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        self.context.retry(ids)
    }

    /// Drops follow-ups: the results are not delivered. Also works for jobs that still run.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob); then no follow-up is dropped.
    pub fn drop_follow_ups(&self, ids: &[JobId]) -> Result<Vec<Job>> {
        self.context.drop_follow_ups(ids)
    }

    /// Claims the next wake of a session for a caller that shows it to the agent. No sink or other hook can deliver
    /// it meanwhile. Returns `None` if nothing is undelivered, if a sink delivers it, or if the session has used up
    /// its wakes of this hour. Waits up to 2 seconds for a delivery in flight: most sinks find out by then that the
    /// session is open here.
    ///
    /// The claimed wake is handed off. [Confirm](Homing::confirm_wake) it once the agent has it. Otherwise a hook or
    /// the monitor delivers it again after 15 minutes. Costs one query of the ledger if nothing is undelivered.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # let job = homing.launch(homing::JobSpec::script("true")?.session("chat-1".parse()?))?;
    /// # homing.wait(&[job.id], homing::WaitFor::All, None)?;
    /// let claimant = homing::Claimant { session: "chat-1".parse()?, harness: Some("codex".to_owned()) };
    /// let wake = homing.claim_wake(&claimant)?.expect("a job has finished");
    /// assert!(homing.claim_wake(&claimant)?.is_none());
    /// println!("{}", wake.content.text);
    /// homing.confirm_wake(&wake)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the home or the ledger cannot be used.
    pub fn claim_wake(&self, claimant: &Claimant) -> Result<Option<Wake>> {
        self.context.for_session(&claimant.session).claim_wake(claimant)
    }

    /// The wakes of a session that are [claimed](Homing::claim_wake) and not confirmed, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn claimed_wakes(&self, session: &SessionId) -> Result<Vec<Wake>> {
        self.context.claimed_wakes(session)
    }

    /// Confirms that the agent has a [claimed](Homing::claim_wake) wake. It is not delivered again.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn confirm_wake(&self, wake: &Wake) -> Result<()> {
        self.context.for_session(&wake.session).confirm_wake(wake)
    }

    /// Releases a claimed wake that the caller could not show. It becomes due at once.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn give_back(&self, wake: &Wake) -> Result<()> {
        self.context.for_session(&wake.session).give_back(wake)
    }

    /// Waits until it can [claim](Homing::claim_wake) a wake, as long as jobs of the session run. Returns `None` if
    /// no job runs and nothing is undelivered, if `may_claim` returns false, or if another process already waits for
    /// the same session. Sleeps while nothing happens.
    ///
    /// # Errors
    /// As [`Homing::claim_wake`].
    pub fn wait_to_claim(&self, claimant: &Claimant, may_claim: impl Fn() -> bool) -> Result<Option<Wake>> {
        self.context.for_session(&claimant.session).wait_to_claim(claimant, may_claim)
    }

    /// Waits for results of a session, for a process that the agent started itself as a background command of its harness.
    /// Returns when results are due, all of them together; when no job of the session runs and no result is undelivered;
    /// and as `options` say. Sleeps while nothing happens. Needs no monitor.
    ///
    /// The results are handed off. No sink, hook or other listener delivers them within 15 minutes. Print them with the
    /// command that [acknowledges](Homing::acknowledge) them; unlike [claimed](Homing::claim_wake) wakes, no hook confirms
    /// them. If they are not acknowledged, they are delivered again. If the caller dies before it returns, they stay due.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// let job = homing.launch(homing::JobSpec::script("echo hello")?.session("chat-1".parse()?))?;
    /// let listener = homing::Origin { session: job.session.clone(), harness: None };
    /// match homing.listen(&listener, homing::ListenOptions::default())? {
    ///     homing::Listened::Results { wakes, .. } => assert!(wakes[0].content.text.contains("hello")),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Homing::claim_wake`].
    pub fn listen(&self, listener: &Origin, options: ListenOptions<'_>) -> Result<Listened> {
        self.context.for_session(&listener.session).listen(listener, options)
    }

    /// Leases the next wake of a session to a host that delivers it itself. Meanwhile no sink, hook or other host delivers
    /// it, and no other wake of the session is sent. Waits up to [`LeaseOptions::wait`] for a wake; while it waits, the
    /// monitor leaves jobs that finish to this caller. Returns `None` if no wake is due by then: nothing is undelivered,
    /// the last attempt was too recent, or the session has used up its wakes of this hour. The session needs neither a
    /// route nor a sink. Sleeps while nothing happens.
    ///
    /// [Answer](Homing::answer_lease) before the lease expires. An expired lease counts as a failed attempt: the wake is
    /// delivered again after a delay, under the same id, and is dead after as many attempts as the configuration allows
    /// (`monitor.retries`). The lease is in the ledger, so it also ends if this process or the monitor is killed, and it is
    /// never prolonged. After the wall clock was set back behind the beginning of a lease, the lease has expired.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// use homing::{Delivery, LeaseOptions};
    /// use std::time::Duration;
    ///
    /// let job = homing.launch(homing::JobSpec::script("echo hello")?.session("chat-1".parse()?))?;
    /// let options = LeaseOptions { wait: Duration::from_secs(30), ..LeaseOptions::new("my-host") };
    /// let leased = homing.lease_wake(&job.session, &options)?.expect("the job finishes");
    /// assert!(leased.wake.content.text.contains("hello"));
    /// // … the agent reads the text …
    /// homing.answer_lease(leased.wake.id, leased.lease.id, Delivery::Delivered)?;
    /// assert!(!homing.get(job.id)?.is_unread());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidRequest`](crate::Error::InvalidRequest) if the options are outside their ranges; when the home or
    /// the ledger cannot be used.
    pub fn lease_wake(&self, session: &SessionId, options: &LeaseOptions) -> Result<Option<LeasedWake>> {
        self.context.lease_wake(session, options)
    }

    /// As [`Homing::lease_wake`], in tokio. Occupies no thread while it waits. A wake that was leased when the future is
    /// dropped is given back: the attempt does not count.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// use homing::{Delivery, LeaseOptions};
    ///
    /// let chat: homing::SessionId = "chat-1".parse()?;
    /// let wait = std::time::Duration::from_secs(30);
    /// let options = LeaseOptions { wait, ..LeaseOptions::new("my-host") };
    /// let launch = homing.launch(homing::JobSpec::script("sleep 0.1; echo hello")?.session(chat.clone()))?;
    /// let leased = homing.lease_wake_async(&chat, &options).await?.expect("the job finishes");
    /// assert_eq!(leased.wake.content.job_ids, [launch.id]);
    /// homing.answer_lease(leased.wake.id, leased.lease.id, Delivery::Delivered)?;
    /// # Ok::<(), homing::Error>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Homing::lease_wake`].
    #[cfg(feature = "async")]
    pub async fn lease_wake_async(
        &self,
        session: &SessionId,
        options: &LeaseOptions,
    ) -> Result<Option<LeasedWake>> {
        asynchronous::lease::lease_wake(Arc::clone(&self.context), session.clone(), options.clone()).await
    }

    /// Records the result of a delivery by the host that has the lease.
    ///
    /// | answer | result |
    /// |---|---|
    /// | [`Delivered`](Delivery::Delivered) | the results are acknowledged |
    /// | [`HandedOff`](Delivery::HandedOff) | delivered again unless the agent [acknowledges](Homing::acknowledge) the results within 15 minutes |
    /// | [`Busy`](Delivery::Busy) | tried again later; no attempt is used up. A `retry_after` of zero gives the wake back at once |
    /// | [`Failed`](Delivery::Failed) | the attempt has failed; tried again after a delay |
    /// | [`Gone`](Delivery::Gone) | the wake is dead |
    ///
    /// Repeating the same answer changes nothing and succeeds, so a host can repeat a call whose result it has not seen.
    ///
    /// # Errors
    /// [`Error::LeaseLost`](crate::Error::LeaseLost) if the lease has expired, or if the wake is not held under it: drop
    /// the wake, because another attempt delivers it. [`Error::NoSuchWake`](crate::Error::NoSuchWake). When the ledger
    /// cannot be written; then nothing is recorded.
    pub fn answer_lease(&self, wake: WakeId, lease: LeaseId, answer: Delivery) -> Result<()> {
        self.context.answer_lease(wake, lease, &answer)
    }

    /// Whether an ancestor of this process has the session open, according to its harness. The harness may have
    /// switched to another session since it started this process.
    pub fn is_open_here(&self, claimant: &Claimant) -> bool {
        self.context.is_open_here(claimant)
    }

    /// All kept wakes that contain a job, newest first.
    ///
    /// # Errors
    /// [`Error::NoSuchJob`](crate::Error::NoSuchJob), or if the ledger cannot be read.
    pub fn wakes_of(&self, job: JobId) -> Result<Vec<WakeRecord>> {
        self.context.wakes_of(job)
    }

    /// One wake with its attempts.
    ///
    /// # Errors
    /// [`Error::NoSuchWake`](crate::Error::NoSuchWake), or if the ledger cannot be read.
    pub fn wake(&self, id: WakeId) -> Result<WakeRecord> {
        self.context.wake(id)
    }

    /// The wakes that need attention, newest first: open ones (scheduled, in flight, handed off) and dead ones, as far as
    /// they carry results that are still undelivered. A dead wake whose results were acknowledged, dropped or retried is not
    /// among them. Reads the open follow-ups by their index.
    ///
    /// # Errors
    /// When the home or the ledger cannot be read.
    pub fn open_wakes(&self, options: &WakeOptions) -> Result<WakeListing> {
        self.context.open_wakes(options)
    }

    /// The newest wake that the sink with this name has received, with its attempts. Searches the newest 10,000 wakes of
    /// the home.
    ///
    /// # Errors
    /// When the home or the ledger cannot be read.
    pub fn last_wake_of(&self, sink: &str) -> Result<Option<WakeRecord>> {
        self.context.last_wake_of(sink)
    }

    /// Sends a test wake without jobs through the route of a session, and returns the result of every step. Does not
    /// write the ledger, and does not acknowledge anything.
    ///
    /// # Errors
    /// If the home or the ledger cannot be read. The checks contain errors of the route.
    pub fn try_route(&self, origin: &Origin) -> Result<Vec<Check>> {
        self.context.try_route(origin)
    }

    /// Holds the wakes of `reader` for these jobs, if the jobs are its own. Acknowledge the jobs before you drop the
    /// returned hold.
    ///
    /// ```
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # let job = homing.launch(homing::JobSpec::script("true")?)?;
    /// let hold = homing.hold_delivery(&[job.id], &job.session);
    /// homing.wait(&[job.id], homing::WaitFor::All, None)?;
    /// println!("{}", homing.result_text(job.id)?);
    /// homing.acknowledge(&[job.id])?;
    /// drop(hold);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn hold_delivery(&self, jobs: &[JobId], reader: &SessionId) -> DeliveryHold {
        self.context.hold_delivery(jobs, reader)
    }

    /// Starts a monitor in the background for a launched job. Does so only if the job has a follow-up, its session
    /// has a route to a sink, no monitor is running, and `monitor.autostart` is true. Returns whether it started one.
    /// A home that was opened with a configuration of the host's own starts none: the host runs its own monitor.
    ///
    /// # Errors
    /// If the home cannot be read, or the program cannot be started.
    pub fn start_monitor_if_needed(&self, job: &Job) -> Result<bool> {
        self.context.start_monitor_if_needed(job)
    }

    /// Whether the session of `reader` will be notified of the result of this job: it has a route to a sink that reaches
    /// the agent, and a monitor is active or starts on demand. Does not know routes of other processes, such as those of
    /// `homing monitor --command`.
    ///
    /// `is_hook_installed` says whether the hook that notifies an open, idle session of the harness is configured
    /// ([`IdleNotification::WaitingHook`](crate::harness::IdleNotification::WaitingHook)). It is called only if the answer
    /// depends on it. Call this in a process of the session: its environment says whether the harness runs in a terminal.
    ///
    /// ```
    /// use homing::{NotNotified, Origin, Prospect};
    ///
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let open = homing::OpenOptions::new().home(folder.path().join("home"));
    /// # let homing = open.config(homing::Config::default()).open()?;
    /// let job = homing.launch(homing::JobSpec::script("true")?.session("chat-1".parse()?))?;
    /// let reader = Origin { session: job.session.clone(), harness: None };
    /// // No sink is configured.
    /// let prospect = homing.prospect(&job, &reader, || false)?;
    /// assert_eq!(prospect, Prospect::NotNotified { reason: NotNotified::NoRoute });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the home cannot be read.
    pub fn prospect(
        &self,
        job: &Job,
        reader: &Origin,
        is_hook_installed: impl FnOnce() -> bool,
    ) -> Result<Prospect> {
        self.context.prospect(job, reader, is_hook_installed)
    }

    /// The preset that wakes a session of that origin if the configuration does not mention waking at all. Front ends
    /// that the user set up in a harness use it to get results delivered. `None` if the configuration has any such
    /// setting, including `monitor.autostart = false`.
    pub fn preset_unless_configured(&self, origin: &Origin) -> Option<&'static str> {
        self.context.preset_unless_configured(origin)
    }

    /// Prepares a monitor with the sinks and routes of the configuration and of `options`.
    ///
    /// # Errors
    /// If a sink cannot be created: a file it names cannot be read or is not safe.
    /// [`Error::ConfigRefused`](crate::Error::ConfigRefused) if other users can write the configuration.
    pub fn monitor(&self, options: MonitorOptions) -> Result<Monitor> {
        self.context.monitor(options)
    }

    /// The process id of the active monitor of this home, or 0 if it is unknown. `None` if no monitor is active.
    ///
    /// # Errors
    /// When the home cannot be read.
    pub fn active_monitor(&self) -> Result<Option<u32>> {
        self.context.active_monitor()
    }

    /// The jobs whose follow-ups match, newest first.
    ///
    /// # Errors
    /// When the home or the ledger cannot be read.
    pub fn follow_ups(&self, options: &FollowUpOptions) -> Result<Vec<Job>> {
        Ok(self.follow_up_listing(options)?.jobs)
    }

    /// As [`Homing::follow_ups`]. Also says whether the limit left out jobs, and returns those that a newer program wrote
    /// in a format that this one does not support.
    ///
    /// # Errors
    /// As [`Homing::follow_ups`].
    pub fn follow_up_listing(&self, options: &FollowUpOptions) -> Result<Listing> {
        self.context.follow_up_listing(options)
    }

    /// Becomes the monitor of this home, and offers the wakes of sessions that match `sessions` (`*` is any text, `?` any
    /// character) as a stream, in tokio. An attempt that is not answered within `timeout` has failed and is repeated
    /// later.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # homing::supervise_if_asked();
    /// # let folder = tempfile::tempdir()?;
    /// # let homing = homing::OpenOptions::new().home(folder.path().join("home")).open()?;
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// use futures_util::StreamExt;
    ///
    /// let mut wakes = homing.wakes("chat-*", std::time::Duration::from_secs(60))?;
    /// homing.launch(homing::JobSpec::script("echo hello")?.session("chat-1".parse()?))?;
    /// let offer = wakes.next().await.expect("the monitor runs")?;
    /// assert!(offer.wake().content.text.contains("hello"));
    /// offer.answer(homing::Delivery::Delivered);
    /// # Ok::<(), homing::Error>(())
    /// # })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Homing::monitor`].
    #[cfg(feature = "async")]
    pub fn wakes(&self, sessions: &str, timeout: Duration) -> Result<WakeStream> {
        WakeStream::start(&self.context, sessions, timeout)
    }
}
