//! The TOML part of a profile: how the sessions of a harness are woken.

use homing_core::text::WakeFormat;
use serde::Deserialize;
use serde_json::{Map, Value};
use wildmatch::WildMatch;

/// How the sessions of one harness are woken.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preset {
    /// The format of the text.
    #[serde(default)]
    pub(crate) format: WakeFormat,
    /// The form of its session ids: `uuid`, or a pattern with `*` and `?`.
    id: Option<String>,
    /// A pattern of ids that only this harness uses.
    pub(crate) sessions: Option<String>,
    /// Variables that a resumed turn must not inherit, in addition to those of the profile.
    #[serde(default)]
    pub(crate) unset: Vec<String>,
    /// How to find the directory of a session.
    pub(crate) directory: Option<Directory>,
    /// How to find the process that has a session open.
    pub(crate) active_session: Option<ActiveSession>,
    /// A line before the text, if the harness shows the text as a message of the user.
    pub(crate) preface: Option<String>,
    /// How to wake a session.
    pub(crate) transport: Transport,
    /// How to notify a session that a process of the harness has open.
    pub(crate) queue: Option<QueueTransport>,
}

/// The queue of a harness for messages to open sessions. A program puts a message there and exits; the process that has
/// the session open starts a turn with it later.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueueTransport {
    /// `{session}` is the session, `{text}` the text for the agent.
    pub(crate) argv: Vec<String>,
    /// The file that the process that has the session open has locked.
    pub(crate) lock: String,
    /// The transcript.
    pub(crate) rollout: String,
    /// The databases of queued messages.
    pub(crate) databases: Vec<String>,
    /// The configuration of the harness, which may name another directory of the databases.
    pub(crate) config: String,
}

/// How to wake a session.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Transport {
    /// Run a program.
    Run(RunTransport),
    /// Send a request to its server.
    Post(PostTransport),
}

/// A program that resumes a session for one turn.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunTransport {
    /// `{session}` is the session, the word `{arguments}` all arguments of the configuration, and the word `{text}`
    /// the text for the agent. Without `{text}`, the text goes to standard input.
    pub(crate) argv: Vec<String>,
    /// Output that proves that the turn ran: a JSON object that has all entries of one of these. Dots in keys descend
    /// into objects, `{session}` is the session, and `false` also matches a missing key.
    pub(crate) proof: Vec<Map<String, Value>>,
    /// Output that proves that the agent received the wake before a limit of the operator ended the turn, regardless
    /// of the exit status.
    #[serde(default)]
    pub(crate) cut_short: Vec<Map<String, Value>>,
    /// Keys of the error message in its output. The first existing key counts.
    #[serde(default)]
    pub(crate) reason: Vec<String>,
    /// Texts that it prints for an unknown session.
    #[serde(default)]
    pub(crate) gone: Vec<String>,
    /// Texts that it prints for a session that is open elsewhere.
    #[serde(default)]
    pub(crate) busy: Vec<String>,
}

/// A request to a server that queues the wake and answers before the agent has read it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostTransport {
    /// The server, unless the configuration names one.
    pub(crate) url: String,
    /// The path segments below the URL; `{session}` is the session.
    pub(crate) path: Vec<String>,
    /// The header for the key.
    pub(crate) key_header: String,
    /// JSON, in which the string `{text}` is the text for the agent.
    pub(crate) body: String,
}

/// How to find the directory of a session.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Directory {
    /// In the lines of its transcript.
    Transcript {
        /// The transcript.
        files: String,
        /// The key of the directory in a line.
        key: String,
        /// Whether the transcript's folder is named after the directory, with dashes for all but letters and digits.
        #[serde(default)]
        folder_is_named_after_it: bool,
    },
    /// In a separate file beside the transcript.
    Beside {
        /// The transcript.
        files: String,
        /// The file that contains the directory, relative to the transcript's folder.
        root: String,
        /// Whether a session without a known directory must not be resumed.
        #[serde(default)]
        required: bool,
    },
    /// In an SQLite database.
    Database {
        /// The database.
        file: String,
        /// A query that returns the directory for a session id.
        query: String,
    },
}

/// Files in which processes of the harness record their open session.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActiveSession {
    /// The files, each a JSON value.
    pub(crate) files: String,
    /// The key of the session. Without it, the path names the session.
    pub(crate) session: Option<String>,
    /// The key of the process id. Without it, the file contains only that id.
    pub(crate) pid: Option<String>,
    /// The key of the process's start time, in clock ticks since boot. Without it, the process is older than the file.
    pub(crate) start_ticks: Option<String>,
    /// The key of what the session is doing, in the words of the harness.
    pub(crate) status: Option<String>,
}

impl Preset {
    /// The text for the agent.
    pub(crate) fn text(&self, text: &str) -> String {
        match &self.preface {
            Some(preface) => format!("{preface}\n\n{text}"),
            None => text.to_owned(),
        }
    }

    /// Whether a session id can belong to this harness.
    pub(crate) fn knows_id(&self, session: &str) -> bool {
        match self.id.as_deref() {
            None => !session.is_empty(),
            Some("uuid") => is_uuid(session),
            Some(pattern) => WildMatch::new(pattern).matches(session),
        }
    }
}

/// Whether a text is a UUID in its canonical form.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_recognized_by_its_form() {
        assert!(is_uuid("01a204b9-d9ac-7b93-9d45-a8fa5d350984"));
        for text in
            ["", "chat-1", "01a204b9-d9ac-7b93-9d45-a8fa5d35098", "01a204b9xd9ac-7b93-9d45-a8fa5d350984"]
        {
            assert!(!is_uuid(text), "{text:?}");
        }
    }
}
