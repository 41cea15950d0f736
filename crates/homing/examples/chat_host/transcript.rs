//! The transcript of a session: an append-only file with one JSON document per line.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use homing::{JobId, SessionId, WakeId};
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
    pub(crate) from: Who,
    pub(crate) text: String,
    /// The wake that brought it.
    pub(crate) wake: Option<WakeId>,
    /// The jobs that the message is about.
    pub(crate) jobs: Vec<JobId>,
}

/// The author of a message.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Who {
    Person,
    Agent,
    Wake,
}

impl Transcript {
    /// Opens the transcript of a session and creates it if it does not exist.
    pub(crate) fn open(chats: &Path, session: &SessionId) -> io::Result<Transcript> {
        let path = chats.join(format!("{session}.jsonl"));
        let file = File::options().read(true).append(true).create(true).open(&path)?;
        let text = fs::read(&path)?;
        // A crash cut short the text after the last newline. It was never confirmed as durable.
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        file.set_len(whole as u64)?;
        file.sync_all()?;
        File::open(chats)?.sync_all()?;
        let messages =
            serde_json::Deserializer::from_slice(&text[..whole]).into_iter().collect::<Result<_, _>>();
        Ok(Transcript { session: session.clone(), file, messages: messages? })
    }

    /// Adds a message. It is durable when this returns, and is shown only then.
    pub(crate) fn add(&mut self, message: Message) -> io::Result<()> {
        let end = self.file.metadata()?.len();
        let line = serde_json::to_string(&message)? + "\n";
        if let Err(error) = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data()) {
            // Half a line would spoil the next one.
            self.file.set_len(end)?;
            return Err(error);
        }
        let who = match message.from {
            Who::Person => "person",
            Who::Agent => "agent",
            Who::Wake => "wake",
        };
        show(&format!("{} {who}", self.session), &message.text);
        self.messages.push(message);
        Ok(())
    }

    /// Whether a wake is in it.
    pub(crate) fn knows(&self, wake: WakeId) -> bool {
        self.messages.iter().any(|message| message.wake == Some(wake))
    }
}

/// Prints a line. Ignores errors, because standard output may be closed.
pub(crate) fn show(who: &str, text: &str) {
    let _ = writeln!(io::stdout(), "{who}: {}", text.trim_end().replace('\n', "\n    "));
}

/// Parses a session name that can also be a file name.
pub(crate) fn session(name: &str) -> Option<SessionId> {
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    name.parse().ok().filter(|_| fits && name.len() < 100)
}
