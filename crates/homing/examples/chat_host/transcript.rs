//! The transcript of a session: an append-only file with one JSON document per line.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use homing::{JobId, SessionId, Wake, WakeId};
use serde::{Deserialize, Serialize};

/// The transcript of one session.
pub(crate) struct Transcript {
    pub(crate) session: SessionId,
    file: File,
    pub(crate) messages: Vec<Message>,
}

/// One message.
#[derive(Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) from: Author,
    pub(crate) text: String,
    /// The wake that it comes from.
    pub(crate) wake: Option<WakeId>,
    /// The jobs that the message is about.
    pub(crate) jobs: Vec<JobId>,
}

/// The author of a message.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Author {
    Person,
    Agent,
    Wake,
}

impl Message {
    pub(crate) fn of_person(text: String) -> Message {
        Message { from: Author::Person, text, wake: None, jobs: Vec::new() }
    }

    pub(crate) fn of_agent(text: String, jobs: Vec<JobId>) -> Message {
        Message { from: Author::Agent, text, wake: None, jobs }
    }

    pub(crate) fn of_wake(wake: &Wake) -> Message {
        let (text, jobs) = (wake.content.text.clone(), wake.content.job_ids.clone());
        Message { from: Author::Wake, text, wake: Some(wake.id), jobs }
    }
}

impl Transcript {
    /// Opens the transcript of a session and creates it if it does not exist.
    pub(crate) fn open(chats: &Path, session: &SessionId) -> io::Result<Transcript> {
        let path = chats.join(format!("{session}.jsonl"));
        let file = File::options().read(true).append(true).create(true).open(&path)?;
        let text = fs::read(&path)?;
        // Remove an incomplete last line: a crash interrupted its write, so the message was not confirmed.
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        file.set_len(whole as u64)?;
        file.sync_all()?;
        File::open(chats)?.sync_all()?;
        let messages =
            serde_json::Deserializer::from_slice(&text[..whole]).into_iter().collect::<Result<_, _>>();
        Ok(Transcript { session: session.clone(), file, messages: messages? })
    }

    /// Appends a message. When this returns, the message is on disk and was shown.
    pub(crate) fn append(&mut self, message: Message) -> io::Result<()> {
        let end = self.file.metadata()?.len();
        let line = serde_json::to_string(&message)? + "\n";
        if let Err(error) = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data()) {
            // Remove a part of the line, which would make the next line unreadable.
            self.file.set_len(end)?;
            return Err(error);
        }
        let who = match message.from {
            Author::Person => "person",
            Author::Agent => "agent",
            Author::Wake => "wake",
        };
        show(&format!("{} {who}", self.session), &message.text);
        self.messages.push(message);
        Ok(())
    }

    /// Whether a message comes from this wake.
    pub(crate) fn has_wake(&self, wake: WakeId) -> bool {
        self.messages.iter().any(|message| message.wake == Some(wake))
    }
}

/// Prints a line. Ignores errors, because standard output may be closed.
pub(crate) fn show(who: &str, text: &str) {
    let _ = writeln!(io::stdout(), "{who}: {}", text.trim_end().replace('\n', "\n    "));
}

/// Parses a session name that can also be a file name.
pub(crate) fn parse_session(name: &str) -> Option<SessionId> {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    name.parse().ok().filter(|_| fits && name.len() < 100)
}
