//! Finds the live process that has a session open. Never trusts a harness's file alone: the file survives a killed
//! process, and the kernel may reuse its pid.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use homing_supervisor::platform::file::open_regular;
use homing_supervisor::platform::{ProcessIdentity, clock};
use serde_json::Value;

use super::json::at;
use super::paths::{Paths, modified};
use super::preset::ActiveSession;

/// How much of a file is read, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// The live process that has a session open.
pub(crate) fn process_of(files: &ActiveSession, session: &str, paths: &Paths) -> Option<u32> {
    paths.find(&files.files, session).iter().find_map(|path| {
        let entry = read(path)?;
        if at(&entry, &files.session)?.as_str() != Some(session) {
            return None;
        }
        let pid = number(at(&entry, &files.pid)?).and_then(|pid| u32::try_from(pid).ok())?;
        let identity = match at(&entry, &files.start_ticks).and_then(number) {
            Some(start_ticks) => ProcessIdentity { pid, start_ticks },
            None => ProcessIdentity::of(pid).filter(|process| is_older(*process, path))?,
        };
        identity.is_alive().then_some(pid)
    })
}

/// Whether a process started before a file was last written. A younger process did not write it.
fn is_older(process: ProcessIdentity, file: &Path) -> bool {
    let started_at = Duration::from_secs(process.start_ticks / clock::ticks_per_second());
    let age = clock::uptime().saturating_sub(started_at);
    modified(file).is_some_and(|written| written.elapsed().is_ok_and(|since| since <= age))
}

fn read(path: &Path) -> Option<Value> {
    let mut bytes = Vec::new();
    open_regular(path).ok()??.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A number, or a string that contains one.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_regular_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session.json");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert_eq!(read(&path), None);
        assert_eq!(read(folder.path()), None);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "{\"pid\": 7}").unwrap();
        assert_eq!(read(&path).and_then(|file| number(&file["pid"])), Some(7));
    }
}
