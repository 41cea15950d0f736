//! A chat host that embeds homing: its agent launches jobs, ends its turn, and continues in the same session when they
//! finish. When the host is killed at any moment and started again on the same directory, no result is lost or repeated.
//!
//! ```console
//! $ cargo run -p homing --example chat_host -- /tmp/chats
//! chat-1: run sleep 3; echo built
//! chat-1: think 20
//! chat-1: enough
//! ```
//!
//! Type lines as `SESSION: text`. In place of a model, the agent follows a script: `run COMMAND` launches a job,
//! `think SECONDS` is a turn that lasts for that time or until the person types again, and other text is repeated. At the
//! end of the input the host exits. Its jobs keep running.
//!
//! Read it in this order: `main` connects the parts, [`Host::deliver`] receives a wake, [`Host::run_turn`] is one turn of the agent,
//! and `transcript.rs` stores the messages.
//!
//! | duty of a host | implemented by |
//! |---|---|
//! | let this program supervise its jobs | the first line of `main` |
//! | accept a wake only while no turn is active, else answer `Busy` | [`Host::deliver`] |
//! | report the end of a turn | `session_is_free` in [`Host::run_chat`] |
//! | answer `Delivered` only after the wake is on disk | [`Transcript::append`] |
//! | recognize a repeated wake by its id | [`Transcript::has_wake`] |
//! | launch each job once, also when a turn is repeated after a crash | [`Host::launch`] |

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

use transcript::{Author, Message, Transcript, parse_session, show};

fn main() -> Result<(), Box<dyn Error>> {
    homing::supervise_if_asked();
    let directory = std::env::args_os().nth(1).ok_or("usage: chat_host DIRECTORY")?;
    let directory = std::path::absolute(directory)?;
    fs::create_dir_all(directory.join("chats"))?;
    // One host at a time: waits until another host on this directory has ended.
    let host_lock = File::create(directory.join("lock"))?;
    host_lock.lock()?;

    let homing = OpenOptions::new().home(directory.join("jobs")).open()?;
    let host = Host { homing: homing.clone(), chats: directory.join("chats"), transcripts: Arc::default() };
    let options = MonitorOptions::new().sink("chats", host.clone()).route("*", "chats").observe(show_failure);
    let monitor = homing.monitor(options)?;
    let handle = monitor.handle();
    let mut chats = HashMap::new();
    for session in host.stored_sessions()? {
        chats.insert(session.clone(), host.start_chat(session, &handle)?);
    }
    // Only now: the host answers `Gone` to the wake of a session that it has not opened.
    let monitoring = thread::spawn(|| monitor.run());

    for line in io::stdin().lines() {
        let line = line?;
        let parsed = line.split_once(": ").and_then(|(name, text)| Some((parse_session(name)?, text)));
        let Some((session, text)) = parsed else {
            show("host", "type SESSION: TEXT; the name of a session has letters, digits and - _ only");
            continue;
        };
        if !chats.contains_key(&session) {
            chats.insert(session.clone(), host.start_chat(session.clone(), &handle)?);
        }
        // It fails only if the thread of the session has ended, which has printed the reason.
        let _ = chats[&session].input.send(text.to_owned());
    }
    for chat in chats.into_values() {
        drop(chat.input);
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
    /// The directory of the transcripts.
    chats: PathBuf,
    /// The transcripts of the open sessions. A turn holds the lock of its transcript.
    transcripts: Arc<Mutex<HashMap<SessionId, Arc<Mutex<Transcript>>>>>,
}

/// An open session: what the person types goes to its thread.
struct Chat {
    input: Sender<String>,
    thread: JoinHandle<()>,
}

impl Sink for Host {
    fn deliver(&self, wake: &Wake) -> Delivery {
        let Some(transcript) = lock(&self.transcripts).get(&wake.session).cloned() else {
            return Delivery::Gone { reason: "this chat does not exist".to_owned() };
        };
        let Ok(mut transcript) = transcript.try_lock() else {
            return Delivery::Busy { retry_after: None, reason: "a turn is running".to_owned() };
        };
        match self.receive(wake, &mut transcript) {
            Ok(()) => Delivery::Delivered,
            Err(error) => Delivery::Failed { error: error.to_string() },
        }
    }
}

impl Host {
    /// Stores a wake, and runs the turn that it starts.
    fn receive(&self, wake: &Wake, transcript: &mut Transcript) -> io::Result<()> {
        // First repeat a turn that a crash interrupted: after the wake, its message would never be answered.
        self.run_turn(transcript)?;
        if !transcript.has_wake(wake.id) {
            transcript.append(Message::of_wake(wake))?;
        }
        // The wake is on disk. If the host is killed during this turn, the next start repeats the turn.
        self.run_turn(transcript)
    }

    /// The sessions that have a transcript.
    fn stored_sessions(&self) -> io::Result<Vec<SessionId>> {
        let mut sessions = Vec::new();
        for file in fs::read_dir(&self.chats)? {
            let name = file?.file_name().into_string().unwrap_or_default();
            sessions.extend(name.strip_suffix(".jsonl").and_then(parse_session));
        }
        Ok(sessions)
    }

    /// Opens a session and starts its thread.
    fn start_chat(&self, session: SessionId, monitor: &MonitorHandle) -> io::Result<Chat> {
        let transcript = Arc::new(Mutex::new(Transcript::open(&self.chats, &session)?));
        lock(&self.transcripts).insert(session.clone(), Arc::clone(&transcript));
        let (input, typed) = mpsc::channel();
        let (host, monitor) = (self.clone(), monitor.clone());
        let thread = thread::Builder::new().spawn(move || {
            if let Err(error) = host.run_chat(&session, &transcript, &typed, &monitor) {
                show(session.as_str(), &format!("this chat has ended: {error}"));
            }
        })?;
        Ok(Chat { input, thread })
    }

    /// Runs a turn for each message of the person, in order.
    fn run_chat(
        &self,
        session: &SessionId,
        transcript: &Mutex<Transcript>,
        typed: &Receiver<String>,
        monitor: &MonitorHandle,
    ) -> io::Result<()> {
        // Repeat a turn that was interrupted when the host was killed.
        self.run_turn(&mut lock(transcript))?;
        monitor.session_is_free(session);
        let mut next = typed.recv().ok();
        while let Some(text) = next {
            let mut turn = lock(transcript);
            let long_turn = thinking_time(&text);
            turn.append(Message::of_person(text))?;
            let interruption = long_turn.and_then(|duration| typed.recv_timeout(duration).ok());
            self.run_turn(&mut turn)?;
            drop(turn);
            monitor.session_is_free(session);
            next = interruption.or_else(|| typed.recv().ok());
        }
        Ok(())
    }

    /// Answers the last message as the agent, unless the agent has answered it.
    fn run_turn(&self, transcript: &mut Transcript) -> io::Result<()> {
        let Some(message) = transcript.messages.last() else { return Ok(()) };
        let mut jobs = Vec::new();
        let text = match (message.from, message.text.split_once(' ')) {
            (Author::Agent, _) => return Ok(()),
            (Author::Wake, _) => format!("I have read about {}", names(&message.jobs)),
            (Author::Person, Some(("run", command))) => match self.launch(transcript, command) {
                Ok(job) => {
                    jobs.push(job);
                    format!("started {job}, and will continue when it has finished")
                }
                Err(error) => format!("cannot start that: {error}"),
            },
            (Author::Person, Some(("think", _))) => "I have thought about it".to_owned(),
            (Author::Person, _) => format!("you said: {}", message.text),
        };
        transcript.append(Message::of_agent(text, jobs))
    }

    /// Launches a job for the last message. The key is the number of the message: if the host launched the job before
    /// it was killed, this returns the same job.
    fn launch(&self, transcript: &Transcript, command: &str) -> homing::Result<JobId> {
        let key = format!("message-{}", transcript.messages.len()).parse()?;
        let spec = JobSpec::script(command)?.session(transcript.session.clone()).key(key);
        Ok(self.homing.launch(spec)?.id)
    }
}

/// How long the turn for `think SECONDS` lasts.
fn thinking_time(text: &str) -> Option<Duration> {
    Some(Duration::from_secs(text.strip_prefix("think ")?.parse().unwrap_or(1)))
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
