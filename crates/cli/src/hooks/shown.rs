//! Whether an agent has had what a hook gave to its harness: by the conversation as the harness has written it down.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Duration;

use homing::Wake;

use super::{HookInput, Moment};

/// How much of the end of a transcript is looked through, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// How often, and with what pause, a transcript is looked at again that the harness may be about to write.
const LOOKS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(30);

/// Whether the agent has had that wake. Where no transcript is kept, a turn that has ended since is taken for proof.
pub(crate) fn is_shown(wake: &Wake, input: &HookInput, moment: Moment) -> bool {
    let id = wake.id.to_string();
    let Some(transcript) = input.transcript.as_deref().filter(|path| path.is_file()) else {
        return moment == Moment::Stop && !input.was_broken_off;
    };
    // The turn that has just ended began with it.
    let looks = if moment == Moment::Stop && input.goes_on_already { LOOKS } else { 1 };
    for look in 0..looks {
        if look > 0 {
            std::thread::sleep(PAUSE);
        }
        if ends_with_mention_of(transcript, id.as_bytes()).unwrap_or(false) {
            return true;
        }
    }
    false
}

/// Whether the last part of a file holds these bytes.
fn ends_with_mention_of(path: &Path, wanted: &[u8]) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_BYTES)))?;
    let mut buffer = vec![0; 1 << 20];
    let mut kept = 0;
    loop {
        let count = file.read(&mut buffer[kept..])?;
        if count == 0 {
            return Ok(false);
        }
        let filled = kept + count;
        if buffer[..filled].windows(wanted.len()).any(|bytes| bytes == wanted) {
            return Ok(true);
        }
        // It may lie across the seam.
        kept = filled.min(wanted.len() - 1);
        buffer.copy_within(filled - kept..filled, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_is_found_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("transcript.jsonl");
        let seam = (1 << 20) - 3;
        for before in [0, 10, seam, 3 << 20] {
            std::fs::write(&path, ["x".repeat(before), "w_123".to_owned(), "\n".repeat(7)].concat()).unwrap();
            assert!(ends_with_mention_of(&path, b"w_123").unwrap(), "{before}");
            assert!(!ends_with_mention_of(&path, b"w_124").unwrap(), "{before}");
        }
    }
}
