//! Whether an agent has had what a hook gave to its harness: by the conversation as the harness has written it down.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use homing::Wake;
use serde::Deserialize;

use super::{HookEvent, HookInput, Proof};

/// How much of the end of a transcript is looked through, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// How often, and with what pause, a transcript is looked at again at the end of a turn: the harness may be about to
/// write it.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Whether the agent has had that wake.
pub(crate) fn is_shown(wake: &Wake, input: &HookInput, event_kind: HookEvent, proof: Proof) -> bool {
    let id = wake.id.to_string();
    let turn_has_ended = event_kind == HookEvent::Stop && !input.was_broken_off;
    match (proof, &input.transcript) {
        (Proof::Said, _) => input.wake.as_ref() == Some(&id),
        (Proof::NextStop, _) | (Proof::Transcript, None) => turn_has_ended,
        // One that is named and is not there may be written later, or never. Then only a turn that a hook kept going shows
        // that the hook was heard.
        (Proof::Transcript, Some(path)) if !path.is_file() => turn_has_ended && input.stop_hook_active,
        (Proof::Transcript, Some(path)) => {
            let looks = if event_kind == HookEvent::Stop { LOOKS } else { 1 };
            (0..looks).any(|look| {
                if look > 0 {
                    std::thread::sleep(PAUSE);
                }
                mentions(path, &id).unwrap_or(false)
            })
        }
    }
}

/// Whether a line in the last part of a transcript shows this text.
fn mentions(path: &Path, wanted: &str) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_BYTES)))?;
    let mut lines = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        let found = line.windows(wanted.len()).any(|bytes| bytes == wanted.as_bytes());
        if found && !only_waits(&line) {
            return Ok(true);
        }
        line.clear();
    }
    Ok(false)
}

/// Whether a line tells of something that is yet to be given to the agent: Claude Code writes down its queue, too.
fn only_waits(line: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Line {
        r#type: Option<String>,
    }
    serde_json::from_slice::<Line>(line).is_ok_and(|line| line.r#type.as_deref() == Some("queue-operation"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_in_the_queue_is_not_shown_yet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("transcript.jsonl");
        let (queued, shown) = (
            r#"{"type":"queue-operation","operation":"enqueue","content":"... (wake w_123)"}"#,
            r#"{"type":"user","message":{"role":"user","content":"... (wake w_123)"}}"#,
        );
        for (lines, is_shown) in
            [(vec![queued], false), (vec![queued, shown, queued], true), (vec![shown], true)]
        {
            std::fs::write(&path, ["x".repeat(100_000), lines.join("\n")].join("\n")).unwrap();
            assert_eq!(mentions(&path, "w_123").unwrap(), is_shown, "{lines:?}");
            assert!(!mentions(&path, "w_124").unwrap());
        }
    }
}
