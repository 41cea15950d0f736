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

/// Longest status that is shown, in characters.
const MAX_STATUS_CHARS: usize = 20;

/// What a file says about a session.
enum Seen {
    /// The live process that has it open, and what it does.
    Open { pid: u32, status: Option<String> },
    /// The file is about another session, or its process has ended.
    Nothing,
    /// The file of this live process has an unknown format, so it may have the session open.
    Unknown { pid: u32 },
}

/// The live process that has a session open.
pub(crate) fn process_of(files: &ActiveSession, session: &str, paths: &Paths) -> Option<u32> {
    paths.find(&files.files, session).iter().find_map(|path| match look_at(path, files, session) {
        Seen::Open { pid, .. } => Some(pid),
        Seen::Nothing | Seen::Unknown { .. } => None,
    })
}

/// Why a session of the harness must not be resumed now: a process has it open, or may have. `None` if it may be resumed.
pub(crate) fn reason_not_to_resume(
    files: &ActiveSession,
    (harness, session): (&str, &str),
    paths: &Paths,
) -> Option<String> {
    let mut reason = None;
    for path in paths.find(&files.files, session) {
        match look_at(&path, files, session) {
            Seen::Open { pid, status } => {
                let status = status.map(|status| format!(" ({status})")).unwrap_or_default();
                return Some(format!("the session is open in {harness}, process {pid}{status}"));
            }
            Seen::Nothing => {}
            Seen::Unknown { pid } => {
                reason = Some(format!(
                    "cannot tell whether the session is open in {harness}, process {pid}: {} has an unknown format; \
                     homing does not resume sessions while this process runs",
                    path.display()
                ));
            }
        }
    }
    reason
}

fn look_at(path: &Path, files: &ActiveSession, session: &str) -> Seen {
    let entry = read(path).unwrap_or_default();
    let named = files.session.as_ref().map_or(Some(session), |key| at(&entry, key)?.as_str());
    let pid = files.pid.as_ref().map_or(Some(&entry), |key| at(&entry, key)).and_then(number);
    let (Some(named), Some(pid)) = (named, pid.and_then(|pid| u32::try_from(pid).ok())) else {
        // The file is named after its process. It may also be incomplete, because it is being written.
        let pid = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        let identity = pid.and_then(ProcessIdentity::of).filter(|process| is_older(*process, path));
        return match identity {
            Some(process) if process.is_alive() => Seen::Unknown { pid: process.pid },
            Some(_) | None => Seen::Nothing,
        };
    };
    if named != session {
        return Seen::Nothing;
    }
    let identity = match files.start_ticks.as_ref().and_then(|key| at(&entry, key)).and_then(number) {
        Some(start_ticks) => Some(ProcessIdentity { pid, start_ticks }),
        None => ProcessIdentity::of(pid).filter(|process| is_older(*process, path)),
    };
    match identity {
        Some(process) if process.is_alive() => {
            let status = files.status.as_ref().and_then(|key| at(&entry, key)?.as_str());
            let is_word = |text: &&str| {
                text.len() <= MAX_STATUS_CHARS && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            };
            Seen::Open { pid, status: status.filter(is_word).map(str::to_owned) }
        }
        Some(_) | None => Seen::Nothing,
    }
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

    fn reason(content: &str, name: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("sessions")).unwrap();
        std::fs::write(folder.path().join("sessions").join(name), content).unwrap();
        let home = folder.path().as_os_str().to_owned();
        let paths = Paths::new(move |variable| (variable == "HOME").then(|| home.clone()));
        let key = |name: &str| name.to_owned();
        let files = ActiveSession {
            files: key("~/sessions/*.json"),
            session: Some(key("sessionId")),
            pid: Some(key("pid")),
            start_ticks: Some(key("procStart")),
            status: Some(key("status")),
        };
        reason_not_to_resume(&files, ("claude-code", "s-1"), &paths)
    }

    #[test]
    fn a_session_that_is_open_in_a_live_process_is_not_resumed() {
        let me = ProcessIdentity::of_this_process().unwrap();
        let (pid, ticks) = (me.pid, me.start_ticks);
        let entry = |session: &str, ticks: u64, rest: &str| {
            format!(r#"{{"pid": {pid}, "sessionId": "{session}", "procStart": "{ticks}"{rest}}}"#)
        };
        let open = format!("the session is open in claude-code, process {pid}");
        let named = &format!("{pid}.json");
        assert_eq!(reason(&entry("s-1", ticks, ""), named), Some(open.clone()));
        assert_eq!(
            reason(&entry("s-1", ticks, r#", "status": "idle""#), named),
            Some(open.clone() + " (idle)")
        );
        assert_eq!(reason(&entry("s-1", ticks, r#", "status": "a\nb""#), named), Some(open));
        assert_eq!(reason(&entry("s-2", ticks, ""), named), None);
        assert_eq!(reason(&entry("s-1", ticks + 1, ""), named), None);
    }

    #[test]
    fn a_file_of_an_unknown_format_stops_the_resumption_while_its_process_lives() {
        let pid = std::process::id();
        for content in ["", "{}", "not JSON", r#"{"session": "s-1"}"#, r#"{"sessionId": "s-1"}"#] {
            let reason = reason(content, &format!("{pid}.json")).expect(content);
            assert!(
                reason.contains("unknown format") && reason.contains(&format!("process {pid}")),
                "{reason}"
            );
        }
        // The pid is not in use, or the file is not about a process.
        for name in ["4194305.json", "key.json", &format!("{pid}.abc.key")] {
            assert_eq!(reason("{}", name), None, "{name}");
        }
    }
}
