//! Finds a message in the rollout of a thread, and what became of its turn. A rollout is a file of JSON lines that Codex
//! only appends to.
//!
//! Checked with 0.169. A queued message gives these lines, of which other lines may stand between: `event_msg` /
//! `task_started` with `turn_attribution.turn_trigger` = `queue`, `response_item` / `message` of the role `user`, items of
//! the model, `event_msg` / `task_complete`, which has `error` if the model failed, or `event_msg` / `turn_aborted`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use homing_core::text::flatten;
use homing_supervisor::platform::file::open_regular;
use serde_json::Value;

/// How much of the end of a rollout is searched at first, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// Longest line that is read, in bytes. Longer lines, such as messages with images, are skipped: a message of homing and
/// the marks of a turn are shorter.
const MAX_LINE: usize = 1 << 20;

/// Longest reason, in characters.
const REASON_CHARS: usize = 300;

/// What became of the message, according to the rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It does not stand in the rollout.
    Nothing,
    /// Its turn runs, and the model has not answered yet.
    Running,
    /// The model has answered, or the turn has completed.
    Received,
    /// The turn has ended before the model answered, for this reason.
    Ended(String),
}

/// Reads a rollout, from line to line.
#[derive(Debug)]
pub(super) struct Rollout {
    path: PathBuf,
    file: File,
    /// The beginning of a line that is not complete yet.
    line: Vec<u8>,
    /// Whether that line is too long.
    skips: bool,
    search: Search,
}

impl Rollout {
    /// Opens the rollout of a thread, to find a message with this text in its end.
    ///
    /// # Errors
    /// If it cannot be read, or has another format: for people.
    pub(super) fn open(path: &Path, session: &str, text: &str) -> Result<Rollout, String> {
        let unreadable = |error| cannot_read(path, &error);
        let file = open_regular(path).map_err(unreadable)?.ok_or_else(|| unknown(path, "not a file"))?;
        let mut first = String::new();
        let mut start = BufReader::new(file.take(MAX_LINE as u64));
        start.read_line(&mut first).map_err(unreadable)?;
        let mut file = start.into_inner().into_inner();
        let meta: Value = serde_json::from_str(&first).unwrap_or_default();
        if meta["type"] != "session_meta" || meta["payload"]["id"] != session {
            return Err(unknown(path, "its first line does not name the thread"));
        }
        if !meta["payload"]["source"].is_string() {
            // Another thread controls it.
            return Err(format!("thread {session} belongs to a sub-agent of Codex"));
        }
        let length = file.metadata().map_err(unreadable)?.len();
        let skipped = length.saturating_sub(MAX_BYTES);
        // The rest of the line there is not JSON, and is ignored.
        file.seek(SeekFrom::Start(skipped)).map_err(unreadable)?;
        Ok(Rollout { path: path.to_owned(), file, line: Vec::new(), skips: false, search: Search::new(text) })
    }

    /// Reads what Codex has written since the last call.
    ///
    /// # Errors
    /// As [`Rollout::open`].
    pub(super) fn read(&mut self) -> Result<Found, String> {
        let mut lines = BufReader::with_capacity(1 << 16, &mut self.file);
        loop {
            let limit = (MAX_LINE - self.line.len()) as u64;
            let mut rest = (&mut lines).take(limit);
            let count =
                rest.read_until(b'\n', &mut self.line).map_err(|error| cannot_read(&self.path, &error))?;
            let is_complete = self.line.ends_with(b"\n");
            if is_complete && !self.skips {
                self.search.line(&self.line);
            }
            if is_complete || self.line.len() >= MAX_LINE {
                self.skips = !is_complete;
                self.line.clear();
            } else if count == 0 {
                return Ok(self.search.found.clone());
            }
        }
    }

    /// Whether a turn runs that was started for a queued message, and its message is not written yet.
    pub(super) fn is_starting(&self) -> bool {
        self.search.turn.as_ref().is_some_and(|turn| turn.is_queued && !turn.has_message)
    }

    /// Whether the lines that matter have occurred in the known format.
    pub(super) fn is_understood(&self) -> bool {
        self.search.knows_turns && self.search.knows_messages
    }

    /// Forgets the turns so far: the message is sent again.
    pub(super) fn expect_again(&mut self) {
        self.search.found = Found::Nothing;
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> String {
    format!("cannot read the rollout of Codex in {}: {error}", path.display())
}

fn unknown(path: &Path, what: &str) -> String {
    format!("the rollout of Codex in {} has an unknown format: {what}", path.display())
}

/// A turn that has not ended.
#[derive(Debug)]
struct Turn {
    id: String,
    /// Whether `codex exec` started it. Its exit and its output tell what became of it.
    is_exec: bool,
    /// Whether it was started for a queued message.
    is_queued: bool,
    /// Whether a message of the user was written in it.
    has_message: bool,
}

/// The search for one message.
#[derive(Debug)]
struct Search {
    text: String,
    turn: Option<Turn>,
    found: Found,
    knows_turns: bool,
    knows_messages: bool,
}

/// Parts of the lines that are parsed even if the message has not been found. All others are skipped.
const MARKS: [&str; 4] = ["task_started", "task_complete", "turn_aborted", "\"user\""];

impl Search {
    fn new(text: &str) -> Search {
        Search {
            text: text.trim().to_owned(),
            turn: None,
            found: Found::Nothing,
            knows_turns: false,
            knows_messages: false,
        }
    }

    fn line(&mut self, line: &[u8]) {
        let Ok(line) = std::str::from_utf8(line) else { return };
        if self.found != Found::Running && !MARKS.iter().any(|mark| line.contains(mark)) {
            return;
        }
        let Ok(line) = serde_json::from_str::<Value>(line) else { return };
        let payload = &line["payload"];
        // The kind stands in these two places only: other values may contain anything.
        match (line["type"].as_str(), payload["type"].as_str()) {
            (Some("event_msg"), Some("task_started")) => self.started(payload),
            (Some("event_msg"), Some("task_complete")) => self.ended(payload, |payload| {
                let error = &payload["error"];
                let message = error["message"].as_str().or_else(|| error.as_str());
                (!error.is_null())
                    .then(|| format!("the turn failed: {}", words(message.unwrap_or("unknown error"))))
            }),
            (Some("event_msg"), Some("turn_aborted")) => self.ended(payload, |payload| {
                let reason = payload["reason"].as_str().unwrap_or("unknown reason");
                Some(format!("the turn was aborted ({})", words(reason)))
            }),
            (Some("response_item"), Some("message")) if payload["role"] == "user" => self.message(payload),
            (Some("response_item"), Some(kind)) if is_of_model(kind, payload) => self.answered(),
            _ => {}
        }
    }

    fn started(&mut self, payload: &Value) {
        if self.found == Found::Running {
            // Codex was killed in the middle of the turn.
            self.found = Found::Ended("Codex ended during the turn".to_owned());
        }
        let trigger = payload["turn_attribution"]["turn_trigger"].as_str();
        let Some(id) = payload["turn_id"].as_str() else { return };
        self.knows_turns = true;
        self.turn = Some(Turn {
            id: id.to_owned(),
            is_exec: trigger == Some("exec"),
            is_queued: trigger == Some("queue"),
            has_message: false,
        });
    }

    fn message(&mut self, payload: &Value) {
        let parts = payload["content"].as_array().into_iter().flatten();
        let text: String = parts.filter_map(|part| part["text"].as_str()).collect();
        // Codex writes messages of its own in the same form, such as <environment_context>.
        if !text.starts_with('<') {
            self.knows_messages |= !text.is_empty();
            if let Some(turn) = &mut self.turn {
                turn.has_message = true;
            }
        }
        let Some(turn) = &self.turn else { return };
        if !turn.is_exec && self.found != Found::Received && text.contains(&self.text) {
            self.found = Found::Running;
        }
    }

    fn answered(&mut self) {
        if self.found == Found::Running && self.turn.is_some() {
            self.found = Found::Received;
        }
    }

    /// Ends the turn. `failure` is why it has failed.
    fn ended(&mut self, payload: &Value, failure: impl FnOnce(&Value) -> Option<String>) {
        let is_current = self.turn.as_ref().is_some_and(|turn| payload["turn_id"] == turn.id.as_str());
        if !is_current {
            return;
        }
        self.turn = None;
        if self.found == Found::Running {
            self.found = failure(payload).map_or(Found::Received, Found::Ended);
        }
    }
}

/// A text of Codex or of the server of the model, in one short line.
fn words(text: &str) -> String {
    flatten(text).chars().take(REASON_CHARS).collect()
}

/// Whether an item is from the model: a message, its reasoning, or a call of a tool.
fn is_of_model(kind: &str, payload: &Value) -> bool {
    match kind {
        "message" => payload["role"] == "assistant",
        kind => kind == "reasoning" || kind.ends_with("_call"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "homing: 1 job\nhas \"finished\" (wake w_1)\n";

    fn line(kind: &str, payload: Value) -> String {
        format!("{}\n", json!({"timestamp": "2026-11-30T01:38:14.659Z", "type": kind, "payload": payload}))
    }

    fn started(turn: &str, trigger: &str) -> String {
        let attribution = json!({"turn_id": turn, "turn_trigger": trigger});
        line("event_msg", json!({"type": "task_started", "turn_id": turn, "turn_attribution": attribution}))
    }

    fn user(text: &str) -> String {
        let content = json!([{"type": "input_text", "text": text}]);
        line("response_item", json!({"type": "message", "role": "user", "content": content}))
    }

    fn item(payload: Value) -> String {
        line("response_item", payload)
    }

    fn assistant() -> String {
        item(
            json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok"}]}),
        )
    }

    fn complete(turn: &str) -> String {
        line("event_msg", json!({"type": "task_complete", "turn_id": turn, "last_agent_message": null}))
    }

    fn aborted(turn: &str) -> String {
        line("event_msg", json!({"type": "turn_aborted", "turn_id": turn, "reason": "interrupted"}))
    }

    fn found(lines: &[String]) -> Found {
        let mut search = Search::new(TEXT);
        lines.iter().for_each(|line| search.line(line.as_bytes()));
        search.found
    }

    #[test]
    fn a_message_is_received_when_the_model_answers_or_the_turn_completes() {
        let begun = [started("t1", "queue"), user(&format!("preface\n{TEXT}"))];
        assert_eq!(found(&begun), Found::Running);
        for answer in [
            assistant(),
            item(json!({"type": "reasoning", "summary": []})),
            item(json!({"type": "function_call", "name": "shell"})),
            item(json!({"type": "custom_tool_call", "name": "apply_patch"})),
            complete("t1"),
        ] {
            assert_eq!(
                found(&[&begun[..], std::slice::from_ref(&answer)].concat()),
                Found::Received,
                "{answer}"
            );
            // It stays so.
            let lines = [&begun[..], &[answer, aborted("t1"), started("t2", "user")]].concat();
            assert_eq!(found(&lines), Found::Received);
        }
    }

    #[test]
    fn a_turn_that_ends_without_an_answer_is_no_delivery() {
        let begun = [started("t1", "queue"), user(TEXT)];
        let end = |line: String| found(&[&begun[..], &[line]].concat());
        assert_eq!(end(aborted("t1")), Found::Ended("the turn was aborted (interrupted)".to_owned()));
        assert_eq!(end(started("t2", "user")), Found::Ended("Codex ended during the turn".to_owned()));
        let failed = json!({"type": "task_complete", "turn_id": "t1", "error": {"message": "quota"}});
        assert_eq!(end(line("event_msg", failed)), Found::Ended("the turn failed: quota".to_owned()));
        // The next turn may receive it.
        let again = [&begun[..], &[aborted("t1"), started("t2", "queue"), user(TEXT)]].concat();
        assert_eq!(found(&again), Found::Running);
        assert_eq!(found(&[&again[..], &[assistant()]].concat()), Found::Received);
    }

    #[test]
    fn other_items_that_contain_the_message_are_not_taken_for_it() {
        let begun = [started("t1", "user"), user("read the log; what is (wake w_1)?")];
        let forged = [
            item(json!({"type": "function_call_output", "call_id": "c", "output": TEXT})),
            item(
                json!({"type": "function_call_output", "call_id": "c", "output": format!("x\n{}{}", user(TEXT), complete("t1"))}),
            ),
            item(
                json!({"type": "custom_tool_call_output", "output": {"type": "message", "role": "user", "content": [{"text": TEXT}]}}),
            ),
            item(
                json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": TEXT}]}),
            ),
            item(
                json!({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": TEXT}]}),
            ),
            line("compacted", json!({"type": "message", "role": "user", "content": [{"text": TEXT}]})),
            line("event_msg", json!({"type": "user_message", "role": "user", "message": TEXT})),
        ];
        assert_eq!(found(&[&begun[..], &forged, &[complete("t1")]].concat()), Found::Nothing);
        // Nor is the end of another turn taken for its end.
        let running = [started("t1", "queue"), user(TEXT), complete("t0"), aborted("t0")];
        let output = item(json!({"type": "function_call_output", "output": complete("t1")}));
        assert_eq!(found(&[&running[..], &[output]].concat()), Found::Running);
    }

    #[test]
    fn a_turn_of_exec_is_judged_by_its_exit() {
        assert_eq!(found(&[started("t1", "exec"), user(TEXT), assistant()]), Found::Nothing);
    }

    #[test]
    fn a_rollout_is_read_as_it_grows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollout.jsonl");
        let meta = line("session_meta", json!({"id": "s", "source": "cli"}));
        std::fs::write(&path, [meta, started("t0", "user"), user("hello"), complete("t0")].concat()).unwrap();
        let mut rollout = Rollout::open(&path, "s", TEXT).unwrap();
        assert_eq!(rollout.read(), Ok(Found::Nothing));
        assert!(rollout.is_understood() && !rollout.is_starting());
        let append = |text: &str| {
            let mut file = File::options().append(true).open(&path).unwrap();
            std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        };
        append(&[started("t1", "queue"), user("<environment_context>")].concat());
        assert_eq!(rollout.read(), Ok(Found::Nothing));
        assert!(rollout.is_starting());
        let message = user(TEXT);
        let (first, second) = message.split_at(message.len() / 2);
        append(first);
        assert_eq!(rollout.read(), Ok(Found::Nothing));
        append(second);
        assert_eq!(rollout.read(), Ok(Found::Running));
        assert!(!rollout.is_starting());
        append(&aborted("t1"));
        assert!(matches!(rollout.read(), Ok(Found::Ended(_))));
        rollout.expect_again();
        assert_eq!(rollout.read(), Ok(Found::Nothing));
    }

    #[test]
    fn a_line_of_any_length_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollout.jsonl");
        let meta = line("session_meta", json!({"id": "s", "source": "cli"}));
        for length in [MAX_LINE - 100, MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 3 * MAX_LINE + 7] {
            let long = "\"user\"".repeat(length / 6) + &"x".repeat(length % 6) + "\n";
            let lines = [&meta, &long, &started("t1", "queue"), &long, &user(TEXT), &long, &assistant()];
            std::fs::write(&path, lines.map(String::as_str).concat()).unwrap();
            assert_eq!(Rollout::open(&path, "s", TEXT).unwrap().read(), Ok(Found::Received), "{length}");
        }
    }

    #[test]
    fn a_reason_is_one_short_line() {
        let error = json!({"message": format!("no\u{1b}[31m\nquota {}", "x".repeat(5_000))});
        let failed = line("event_msg", json!({"type": "task_complete", "turn_id": "t1", "error": error}));
        let Found::Ended(reason) = found(&[started("t1", "queue"), user(TEXT), failed]) else { panic!() };
        assert!(reason.starts_with("the turn failed: no") && reason.contains("quota"), "{reason}");
        assert!(reason.chars().count() < 350 && !reason.contains(['\n', '\u{1b}']), "{reason}");
    }

    #[test]
    fn an_unknown_format_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rollout.jsonl");
        let open = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Rollout::open(&path, "s", TEXT).map(drop)
        };
        for text in ["", "{}\n", "\u{1}\u{2}", &line("session_meta", json!({"id": "other", "source": "cli"}))]
        {
            let error = open(text).unwrap_err();
            assert!(
                error.ends_with("has an unknown format: its first line does not name the thread"),
                "{error}"
            );
        }
        let of_agent = line("session_meta", json!({"id": "s", "source": {"subagent": "review"}}));
        assert_eq!(open(&of_agent), Err("thread s belongs to a sub-agent of Codex".to_owned()));
        assert_eq!(open(&line("session_meta", json!({"id": "s", "source": "cli"}))), Ok(()));
        let mut rollout = Rollout::open(&path, "s", TEXT).unwrap();
        assert_eq!(rollout.read(), Ok(Found::Nothing));
        assert!(!rollout.is_understood(), "no turn has been seen");
        std::fs::remove_file(&path).unwrap();
        assert!(Rollout::open(&path, "s", TEXT).is_err());
    }
}
