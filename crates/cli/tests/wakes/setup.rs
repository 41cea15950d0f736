//! A home with a monitor in this process, and a sink that follows a script and records its attempts.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use homing::{
    Config, Delivery, FollowUpState, Homing, Job, JobId, JobSpec, MonitorConfig, MonitorEnd, MonitorHandle,
    MonitorOptions, MonitorUntil, OpenOptions, SessionId, Sink, Wake, WakeId,
};
use testkit::{TempHome, WAIT_TIMEOUT, wait_until};

/// The program that supervises the jobs.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_homing");

/// One attempt that the sink received.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) wake: WakeId,
    pub(crate) session: SessionId,
    pub(crate) attempt: u32,
    pub(crate) text: String,
    pub(crate) jobs: Vec<JobId>,
    pub(crate) documents: String,
}

/// A sink that answers by its script, and `Delivered` after the script ends.
#[derive(Clone, Default)]
pub(crate) struct ScriptedSink {
    shared: Arc<(Mutex<Script>, Condvar)>,
}

#[derive(Default)]
struct Script {
    answers: HashMap<String, VecDeque<Answer>>,
    received: Vec<Received>,
    open: bool,
}

/// The sink's reaction to one attempt.
pub(crate) enum Answer {
    /// Answers this.
    Says(Delivery),
    /// Waits until the gate is open, then answers `Delivered`.
    AtTheGate,
    /// Panics.
    Panics,
    /// Runs an action, then answers `Delivered`.
    Does(Box<dyn FnOnce() + Send>),
    /// Answers `Busy`, and reports the session free before the answer arrives.
    BusyUntilNow(MonitorHandle),
}

impl ScriptedSink {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.shared.0.lock().expect("no test panics with the script in hand")
    }

    /// Adds answers for a session.
    pub(crate) fn answers(&self, session: &str, answers: impl IntoIterator<Item = Answer>) -> &ScriptedSink {
        self.script().answers.entry(session.to_owned()).or_default().extend(answers);
        self
    }

    /// Releases attempts that wait at the gate, and all later ones.
    pub(crate) fn open_the_gate(&self) {
        self.script().open = true;
        self.shared.1.notify_all();
    }

    /// All attempts so far, in order.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.script().received.clone()
    }

    /// Waits for that many attempts, and returns them.
    #[track_caller]
    pub(crate) fn wait_for(&self, attempts: usize) -> Vec<Received> {
        wait_until(&format!("{attempts} attempts"), || self.received().len() >= attempts);
        self.received()
    }
}

impl Sink for ScriptedSink {
    fn deliver(&self, wake: &Wake) -> Delivery {
        let mut script = self.script();
        script.received.push(Received {
            wake: wake.id,
            session: wake.session.clone(),
            attempt: wake.attempt,
            text: wake.content.text.clone(),
            jobs: wake.content.job_ids.clone(),
            documents: wake.content.jobs.as_json().to_owned(),
        });
        let answer = script.answers.get_mut(wake.session.as_str()).and_then(VecDeque::pop_front);
        match answer {
            None => Delivery::Delivered,
            Some(Answer::Says(delivery)) => delivery,
            Some(Answer::AtTheGate) => {
                let opened = self.shared.1.wait_timeout_while(script, WAIT_TIMEOUT, |script| !script.open);
                drop(opened);
                Delivery::Delivered
            }
            Some(Answer::Panics) => {
                drop(script);
                panic!("the script says so")
            }
            Some(Answer::Does(action)) => {
                drop(script);
                action();
                Delivery::Delivered
            }
            Some(Answer::BusyUntilNow(monitor)) => {
                monitor.session_is_free(&wake.session);
                Delivery::Busy { retry_after: None, reason: "a turn is running".to_owned() }
            }
        }
    }

    fn acknowledge_within(&self) -> Duration {
        Duration::from_millis(20)
    }
}

pub(crate) fn failed() -> Answer {
    Answer::Says(Delivery::Failed { error: "the script says so".to_owned() })
}

pub(crate) fn busy() -> Answer {
    Answer::Says(Delivery::Busy { retry_after: None, reason: "a turn is running".to_owned() })
}

pub(crate) fn gone() -> Answer {
    Answer::Says(Delivery::Gone { reason: "no such chat".to_owned() })
}

/// Settings with retry delays of milliseconds.
pub(crate) fn quick() -> MonitorConfig {
    MonitorConfig {
        batch_window: Duration::ZERO,
        retries: vec![Duration::from_millis(3); 3],
        busy_retry: Duration::from_millis(1),
        wakes_per_hour: 10_000,
        ..MonitorConfig::default()
    }
}

/// An open home. Dropping it checks that no process of the test survived.
pub(crate) struct Setup {
    pub(crate) homing: Homing,
    pub(crate) home: TempHome,
    pub(crate) sink: ScriptedSink,
}

/// A monitor that runs in a thread.
pub(crate) struct Running {
    pub(crate) handle: MonitorHandle,
    thread: JoinHandle<homing::Result<MonitorEnd>>,
}

impl Running {
    /// Stops it, and waits for its end.
    pub(crate) fn stop(self) -> MonitorEnd {
        self.handle.stop();
        self.end()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn end(self) -> MonitorEnd {
        self.thread.join().expect("the monitor does not panic").expect("the monitor works")
    }
}

impl Setup {
    pub(crate) fn new() -> Setup {
        Setup::with(quick())
    }

    pub(crate) fn with(monitor: MonitorConfig) -> Setup {
        let home = TempHome::new();
        let homing = open(&home, monitor);
        Setup { homing, home, sink: ScriptedSink::default() }
    }

    /// Options for a monitor with the scripted sink for all sessions.
    pub(crate) fn options(&self) -> MonitorOptions {
        MonitorOptions::new()
            .sink("scripted", self.sink.clone())
            .route("*", "scripted")
            .stop_timeout(Duration::from_secs(20))
    }

    /// Starts a monitor.
    pub(crate) fn monitor(&self) -> Running {
        self.start(self.options())
    }

    pub(crate) fn start(&self, options: MonitorOptions) -> Running {
        let monitor = self.homing.monitor(options).expect("a monitor");
        let handle = monitor.handle();
        Running { handle, thread: std::thread::spawn(|| monitor.run()) }
    }

    /// Delivers what is due, in this thread.
    pub(crate) fn deliver_once(&self) {
        let options = self.options().until(MonitorUntil::NothingDue);
        let end = self.homing.monitor(options).expect("a monitor").run().expect("the monitor works");
        assert_eq!(end, MonitorEnd::Done);
    }

    pub(crate) fn launch(&self, session: &str, script: &str) -> JobId {
        let script = script.replace("MARK", self.home.mark());
        let spec = JobSpec::script(script).expect("a script").session(session.parse().expect("a session"));
        self.homing.launch(spec).expect("the job is launched").id
    }

    pub(crate) fn job(&self, id: JobId) -> Job {
        self.homing.get(id).expect("the job is known")
    }

    pub(crate) fn state(&self, id: JobId) -> FollowUpState {
        self.job(id).follow_up.state
    }

    #[track_caller]
    pub(crate) fn wait_for_state(&self, id: JobId, state: FollowUpState) -> Job {
        wait_until(&format!("the follow-up is {state}"), || self.state(id) == state);
        self.job(id)
    }

    /// Launches jobs that are held until [`Held::end_all`], and then end together. `script` comes after that.
    pub(crate) fn hold(&self) -> Held<'_> {
        let path = self.home.scratch().join("go");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo").success());
        // Opening it for both reading and writing does not wait for a reader.
        let writer = File::options().read(true).write(true).open(&path).expect("the FIFO opens");
        Held { setup: self, path, writer, ids: Vec::new() }
    }

    #[track_caller]
    pub(crate) fn wait_for_acknowledged(&self, ids: &[JobId]) {
        for id in ids {
            self.wait_for_state(*id, FollowUpState::Acknowledged);
        }
    }

    /// Waits until these jobs have finished.
    #[track_caller]
    pub(crate) fn wait_for_end(&self, ids: &[JobId]) {
        let waited =
            self.homing.wait(ids, homing::WaitFor::All, Some(WAIT_TIMEOUT)).expect("they can be waited for");
        assert!(waited.satisfied);
    }
}

/// Jobs that wait to end together.
pub(crate) struct Held<'s> {
    setup: &'s Setup,
    path: PathBuf,
    writer: File,
    pub(crate) ids: Vec<JobId>,
}

impl Held<'_> {
    pub(crate) fn launch(&mut self, session: &str, script: &str) {
        let script = format!("exec 3< {}; echo ready; read x <&3; {script}", self.path.display());
        self.ids.push(self.setup.launch(session, &script));
    }

    /// Releases all jobs at once, and returns them when they have finished.
    #[track_caller]
    pub(crate) fn end_all(self) -> Vec<JobId> {
        let setup = self.setup;
        let ids = self.release();
        setup.wait_for_end(&ids);
        ids
    }

    /// Releases all jobs at once, without waiting for them.
    #[track_caller]
    pub(crate) fn release(self) -> Vec<JobId> {
        for id in &self.ids {
            wait_until("the job is ready", || self.setup.homing.output_end(*id).expect("it has output") > 0);
        }
        drop(self.writer);
        self.ids
    }
}

pub(crate) fn open(home: &TempHome, monitor: MonitorConfig) -> Homing {
    let config = Config { monitor, ..Config::default() };
    OpenOptions::new().home(home.path()).config(config).supervisor(PROGRAM).open().expect("the home opens")
}
