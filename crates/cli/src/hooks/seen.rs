//! Checks in the transcript of the harness whether an agent has received the message of a hook.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use homing::Wake;
use homing::harness::{HookEvent, HookInput, Proof};
use serde::Deserialize;

/// How many bytes at the end of a transcript are searched.
const MAX_BYTES: u64 = 64 << 20;

/// How often a transcript is searched at the end of a turn: the harness may still be writing it.
const ATTEMPTS: u32 = 20;
/// Time between two attempts.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(50);

/// Whether the agent has received this wake.
pub(crate) fn is_seen(wake: &Wake, input: &HookInput, event_kind: HookEvent, proof: Proof) -> bool {
    let id = wake.id.to_string();
    let turn_has_ended = event_kind == HookEvent::Stop && !input.was_aborted;
    match (proof, &input.transcript) {
        (Proof::Plugin, _) => input.wake.as_ref() == Some(&id),
        (Proof::NextStop, _) | (Proof::Transcript { .. }, None) => turn_has_ended,
        // A missing transcript may be written later or never. Then only a turn that a hook continued proves that the
        // harness read the hook.
        (Proof::Transcript { .. }, Some(path)) if !path.is_file() => turn_has_ended && input.stop_hook_active,
        (Proof::Transcript { queue_entry }, Some(path)) => {
            let attempts = if event_kind == HookEvent::Stop { ATTEMPTS } else { 1 };
            (0..attempts).any(|attempt| {
                if attempt > 0 {
                    std::thread::sleep(ATTEMPT_INTERVAL);
                }
                mentions(path, &id, queue_entry).unwrap_or(false)
            })
        }
    }
}

/// Whether a line at the end of a transcript contains this text. Lines of the type `queue_entry` do not count.
fn mentions(path: &Path, wanted: &str, queue_entry: Option<&str>) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_BYTES)))?;
    let mut lines = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let found = line.windows(wanted.len()).any(|bytes| bytes == wanted.as_bytes());
        if found && !queue_entry.is_some_and(|name| is_of_type(&line, name)) {
            return Ok(true);
        }
        line.clear();
    }
    Ok(false)
}

/// Whether a line is an object of this type.
fn is_of_type(line: &[u8], name: &str) -> bool {
    #[derive(Deserialize)]
    struct Line {
        r#type: Option<String>,
    }
    serde_json::from_slice::<Line>(line).is_ok_and(|line| line.r#type.as_deref() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queued_message_is_not_received_yet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("transcript.jsonl");
        let queue = Some("queue-operation");
        let (queued, shown) = (
            r#"{"type":"queue-operation","operation":"enqueue","content":"... (wake w_123)"}"#,
            r#"{"type":"user","message":{"role":"user","content":"... (wake w_123)"}}"#,
        );
        for (lines, is_shown) in
            [(vec![queued], false), (vec![queued, shown, queued], true), (vec![shown], true)]
        {
            std::fs::write(&path, ["x".repeat(100_000), lines.join("\n")].join("\n")).unwrap();
            assert_eq!(mentions(&path, "w_123", queue).unwrap(), is_shown, "{lines:?}");
            assert!(!mentions(&path, "w_124", queue).unwrap());
        }
    }
}
