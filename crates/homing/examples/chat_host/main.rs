//! A chat host that embeds homing: its agent launches jobs, ends its turn, and is resumed in the same session when they
//! finish. When it is killed at any moment and started again on the same directory, nothing is lost.
//!
//! ```console
//! $ cargo run -p homing --example chat_host -- /tmp/chats
//! chat-1: run sleep 3; echo built
//! chat-1: think 20
//! chat-1: enough
//! ```
//!
//! Lines are `SESSION: text`. The agent follows a script: `run COMMAND` launches a job, `think SECONDS` keeps the turn
//! running for that time or until the person types again, other text is repeated. The end of the input ends the host;
//! its jobs keep running.
//!
//! | duty of a host | implemented by |
//! |---|---|
//! | let this program supervise its jobs | the first line of `main` |
//! | accept a wake only while no turn is active, else answer `Busy` | [`Host::deliver`] |
//! | report the end of a turn | `session_is_free` in [`Host::converse`] |
//! | answer `Delivered` only after the wake is stored durably | [`Transcript::add`] |
//! | recognize a repeated wake by its id | [`Transcript::knows`] |
//! | launch each job once when a turn is repeated after a crash | [`Host::launch`] |

mod transcript;

use std::collections::HashMap;
use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use homing::{
    Delivery, Homing, JobId, JobSpec, MonitorEvent, MonitorHandle, MonitorOptions, OpenOptions, SessionId,
    Sink, Wake,
};

use transcript::{Message, Transcript, Who, session, show};

fn main() -> Result<(), Box<dyn Error>> {
    homing::supervise_if_asked();
    let directory = std::env::args_os().nth(1).ok_or("usage: chat_host DIRECTORY")?;
    let directory = std::path::absolute(directory)?;
    fs::create_dir_all(directory.join("chats"))?;
    let the_only_host = File::create(directory.join("lock"))?;
    // Waits for another host on this directory, and for children of a killed host that have not called exec yet.
    the_only_host.lock()?;

    let homing = OpenOptions::new().home(directory.join("jobs")).open()?;
    let host = Host { homing: homing.clone(), chats: directory.join("chats"), open: Arc::default() };
    // Open them before the monitor starts: it treats an unknown session as gone.
    let known = host.known_sessions()?;
    let options = MonitorOptions::new().sink("chats", host.clone()).route("*", "chats").observe(show_failure);
    let monitor = homing.monitor(options)?;
    let handle = monitor.handle();
    let mut chats = HashMap::new();
    for session in known {
        chats.insert(session.clone(), host.start(session, &handle)?);
    }
    let monitoring = thread::spawn(|| monitor.run());

    for line in io::stdin().lines() {
        let line = line?;
        let Some((Some(session), text)) = line.split_once(": ").map(|(name, text)| (session(name), text))
        else {
            show("host", "type SESSION: TEXT; the name of a session has letters, digits and - _ only");
            continue;
        };
        if !chats.contains_key(&session) {
            host.open(&session)?;
            chats.insert(session.clone(), host.start(session.clone(), &handle)?);
        }
        // It fails only if the thread of the session has ended, which has printed the reason.
        let _ = chats[&session].typed.send(text.to_owned());
    }
    for (_, chat) in chats {
        drop(chat.typed);
        let _ = chat.thread.join();
    }
    handle.stop();
    monitoring.join().expect("the monitor does not panic")?;
    Ok(())
}

/// The state that all threads share.
#[derive(Clone)]
struct Host {
    homing: Homing,
    chats: PathBuf,
    open: Arc<Mutex<HashMap<SessionId, Arc<Mutex<Transcript>>>>>,
}

/// The thread of a session, and the channel to it.
struct Chat {
    typed: Sender<String>,
    thread: JoinHandle<()>,
}

impl Sink for Host {
    fn deliver(&self, wake: &Wake) -> Delivery {
        let Some(transcript) = lock(&self.open).get(&wake.session).cloned() else {
            return Delivery::Gone { reason: "this chat does not exist".to_owned() };
        };
        // The holder of the transcript lock has the turn.
        let Ok(mut transcript) = transcript.try_lock() else {
            return Delivery::Busy { retry_after: None, reason: "a turn is running".to_owned() };
        };
        // Finish a turn that a crash interrupted first. After the wake, its message would never be answered.
        if let Err(error) = self.run_turn(&mut transcript, None) {
            return Delivery::Failed { error: error.to_string() };
        }
        if !transcript.knows(wake.id) {
            let message = Message {
                from: Who::Wake,
                text: wake.content.text.clone(),
                wake: Some(wake.id),
                jobs: wake.content.job_ids.clone(),
            };
            if let Err(error) = transcript.add(message) {
                return Delivery::Failed { error: error.to_string() };
            }
        }
        // The wake is durable now. An interrupted turn is repeated when the host is started again.
        match self.run_turn(&mut transcript, None) {
            Ok(_) => Delivery::Delivered,
            Err(error) => Delivery::Failed { error: error.to_string() },
        }
    }
}

impl Host {
    /// Opens the transcripts of all existing sessions.
    fn known_sessions(&self) -> io::Result<Vec<SessionId>> {
        let mut known = Vec::new();
        for file in fs::read_dir(&self.chats)? {
            let name = file?.file_name().into_string().unwrap_or_default();
            known.extend(name.strip_suffix(".jsonl").and_then(session));
        }
        known.iter().try_for_each(|session| self.open(session))?;
        Ok(known)
    }

    fn open(&self, session: &SessionId) -> io::Result<()> {
        let transcript = Transcript::open(&self.chats, session)?;
        lock(&self.open).insert(session.clone(), Arc::new(Mutex::new(transcript)));
        Ok(())
    }

    /// Starts the thread of an open session.
    fn start(&self, session: SessionId, monitor: &MonitorHandle) -> io::Result<Chat> {
        let (typed, lines) = mpsc::channel();
        let (host, monitor) = (self.clone(), monitor.clone());
        let transcript = Arc::clone(&lock(&self.open)[&session]);
        let thread = thread::Builder::new().spawn(move || {
            if let Err(error) = host.converse(&session, &transcript, &lines, &monitor) {
                show(session.as_str(), &format!("this chat has ended: {error}"));
            }
        })?;
        Ok(Chat { typed, thread })
    }

    /// Runs a turn for each message of the person, in order.
    fn converse(
        &self,
        session: &SessionId,
        transcript: &Mutex<Transcript>,
        lines: &Receiver<String>,
        monitor: &MonitorHandle,
    ) -> io::Result<()> {
        // Repeat a turn that was interrupted when the host was killed.
        let mut interruption = self.run_turn(&mut lock(transcript), Some(lines))?;
        monitor.session_is_free(session);
        while let Some(text) = interruption.take().or_else(|| lines.recv().ok()) {
            let mut turn = lock(transcript);
            turn.add(Message { from: Who::Person, text, wake: None, jobs: Vec::new() })?;
            interruption = self.run_turn(&mut turn, Some(lines))?;
            drop(turn);
            monitor.session_is_free(session);
        }
        Ok(())
    }

    /// Answers the last message as the agent, unless it has an answer. Returns the text of an interruption.
    fn run_turn(
        &self,
        transcript: &mut Transcript,
        lines: Option<&Receiver<String>>,
    ) -> io::Result<Option<String>> {
        let Some(message) = transcript.messages.last() else { return Ok(None) };
        let (mut jobs, mut interruption) = (Vec::new(), None);
        let text = match (message.from, message.text.split_once(' ')) {
            (Who::Agent, _) => return Ok(None),
            (Who::Wake, _) => format!("I have read about {}", names(&message.jobs)),
            (Who::Person, Some(("run", command))) => match self.launch(transcript, command) {
                Ok(job) => {
                    jobs.push(job);
                    format!("started {job}, and will continue when it has finished")
                }
                Err(error) => format!("cannot start that: {error}"),
            },
            (Who::Person, Some(("think", seconds))) => {
                let seconds = Duration::from_secs(seconds.parse().unwrap_or(1));
                interruption = lines.and_then(|lines| lines.recv_timeout(seconds).ok());
                "I have thought about it".to_owned()
            }
            (Who::Person, _) => format!("you said: {}", message.text),
        };
        transcript.add(Message { from: Who::Agent, text, wake: None, jobs })?;
        Ok(interruption)
    }

    /// Launches a job for the last message. The key is the number of the message: if the host launched the job before
    /// it was killed, the launch returns the same job.
    fn launch(&self, transcript: &Transcript, command: &str) -> homing::Result<JobId> {
        let key = format!("message-{}", transcript.messages.len()).parse()?;
        let spec = JobSpec::script(command)?.session(transcript.session.clone()).key(key);
        Ok(self.homing.launch(spec)?.id)
    }
}

/// Shows why a result could not be delivered.
fn show_failure(event: &MonitorEvent) {
    match event {
        MonitorEvent::Answered { delivery: Delivery::Delivered, .. } => {}
        MonitorEvent::Answered { .. } | MonitorEvent::Warning { .. } => show("monitor", &event.to_string()),
        _ => {}
    }
}

fn names(jobs: &[JobId]) -> String {
    jobs.iter().map(JobId::to_string).collect::<Vec<_>>().join(", ")
}

/// Ignores poisoning: each message is added completely or not at all.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
