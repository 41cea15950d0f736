//! What a preset says, as it stands in its file below `data/`.

use homing_core::text::WakeFormat;
use serde::Deserialize;
use serde_json::{Map, Value};
use wildmatch::WildMatch;

/// How the sessions of one harness are woken.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preset {
    /// How the text is laid out.
    #[serde(default)]
    pub(crate) format: WakeFormat,
    /// What the ids of its sessions look like: `uuid`, or a pattern with `*` and `?`.
    id: Option<String>,
    /// Ids by which its sessions are known from those of any other harness: a pattern.
    pub(crate) sessions: Option<String>,
    /// Whether its shell tool tells which session it belongs to, by a variable of its own.
    #[serde(default)]
    pub(crate) exports_session: bool,
    /// What it sets for the programs it runs, besides its session.
    #[serde(default)]
    pub(crate) unset: Vec<String>,
    /// How the directory of a session is found.
    pub(crate) directory: Option<Directory>,
    /// How a session is found to be open in some process.
    pub(crate) live: Option<Live>,
    /// How it is woken.
    pub(crate) transport: Transport,
}

/// How a session is woken.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Transport {
    /// By a program.
    Run(RunTransport),
    /// By a request to its server.
    Post(PostTransport),
}

/// A program that resumes a session for one turn.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunTransport {
    /// `{session}` is the session; the word `{arguments}` is all those of the configuration; the word `{text}` is what the
    /// agent reads. Without that it comes on standard input.
    pub(crate) argv: Vec<String>,
    /// What in its output proves that the turn ran: a JSON object that has all of one of these. Keys go into objects by
    /// dots; `{session}` is the session; `false` also fits what is not there.
    pub(crate) proof: Vec<Map<String, Value>>,
    /// What proves that the agent took the wake, and a limit of the operator's then ended the turn, whatever the exit
    /// status.
    #[serde(default)]
    pub(crate) cut_short: Vec<Map<String, Value>>,
    /// Where in its output it says what went wrong; the first that is there.
    #[serde(default)]
    pub(crate) reason: Vec<String>,
    /// What it says of a session that it does not know.
    #[serde(default)]
    pub(crate) gone: Vec<String>,
    /// What it says of a session that is open elsewhere.
    #[serde(default)]
    pub(crate) busy: Vec<String>,
}

/// A request to a server that takes the wake and answers before the agent has read it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostTransport {
    /// The server, where the configuration names none.
    pub(crate) url: String,
    /// The parts of the path below that; `{session}` is the session.
    pub(crate) path: Vec<String>,
    /// The header for the key.
    pub(crate) key_header: String,
    /// JSON; `{text}` in a string is what the agent reads.
    pub(crate) body: String,
}

/// How the directory of a session is found.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Directory {
    /// In the lines of its transcript.
    Transcript {
        /// The transcript.
        files: String,
        /// Where in a line it stands.
        key: String,
        /// Whether the transcript's folder has its name, with dashes for all but letters and digits.
        #[serde(default)]
        folder_is_named_after_it: bool,
    },
    /// In a file of its own.
    Beside {
        /// The transcript.
        files: String,
        /// The file that holds only the directory, from the transcript's folder.
        root: String,
        /// Whether a session without a transcript must not be tried.
        #[serde(default)]
        required: bool,
    },
    /// In an SQLite database.
    Database {
        /// The database.
        file: String,
        /// Gives the directory for a session's id.
        query: String,
    },
}

/// Files in which processes of the harness say which session they have open.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Live {
    /// The files, each a JSON object.
    pub(crate) files: String,
    /// The key of the session.
    pub(crate) session: String,
    /// The key of the process id.
    pub(crate) pid: String,
    /// The key of the process's start time, in clock ticks since boot.
    pub(crate) start_ticks: String,
}

impl Preset {
    /// Whether a session can be one of this harness.
    pub(crate) fn knows_id(&self, session: &str) -> bool {
        match self.id.as_deref() {
            None => !session.is_empty(),
            Some("uuid") => is_uuid(session),
            Some(pattern) => WildMatch::new(pattern).matches(session),
        }
    }
}

/// Whether a text is a UUID in its usual form.
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
    fn a_uuid_is_known_by_its_form() {
        assert!(is_uuid("01a204b9-d9ac-7b93-9d45-a8fa5d350984"));
        for text in
            ["", "chat-1", "01a204b9-d9ac-7b93-9d45-a8fa5d35098", "01a204b9xd9ac-7b93-9d45-a8fa5d350984"]
        {
            assert!(!is_uuid(text), "{text:?}");
        }
    }
}
