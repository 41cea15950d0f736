//! Changes the files of a plan. Replaces each file atomically and keeps a backup beside it. Never replaces a file
//! that it cannot read. Follows symbolic links and keeps them.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use homing_supervisor::platform::access::copy_rights;
use homing_supervisor::platform::file::{create_private, make_private_directories, open_regular};
use homing_supervisor::platform::lock::exclusive_within;
use homing_supervisor::platform::paths;

use super::config_paths::ConfigPaths;
use super::content::Content;
use super::edit_json::value_at;
use super::ownership::same_but_program;
use super::parts::PartState;
use super::plan::FilePlan;
use crate::exit::Failure;

/// Suffix of a backup.
const BACKUP: &str = ".before-homing";

/// Longest file, in bytes: harnesses keep histories in their configuration.
const MAX_BYTES: u64 = 64 << 20;

/// How often an edit is retried when another program writes the file at the same time.
const ATTEMPTS: u32 = 20;

/// How long to wait for other runs of setup.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// What to do with the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Prints what would change.
    Show,
    /// Changes the files.
    Write,
    /// Removes what was added.
    Undo,
}

/// What was done with a file, or would be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// The file needs no change.
    Nothing,
    /// The file is new.
    Made,
    /// The file was changed.
    Changed,
    /// The file has its original content again.
    Restored,
    /// The file is removed: homing owned all of it.
    Removed,
}

impl Done {
    /// The name for programs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Done::Nothing => "nothing",
            Done::Made => "made",
            Done::Changed => "changed",
            Done::Restored => "restored",
            Done::Removed => "removed",
        }
    }
}

/// One file, before and after.
#[derive(Debug)]
pub(crate) struct FileResult {
    pub(crate) path: PathBuf,
    pub(crate) done: Done,
    /// `None` if the file did not exist.
    pub(crate) before: Option<String>,
    /// `None` if the file does not exist any more.
    pub(crate) after: Option<String>,
    /// Path of the backup.
    pub(crate) backup: Option<PathBuf>,
}

/// Carries out an action on one file.
///
/// # Errors
/// When the file cannot be read, edited or written. Then it is unchanged.
pub(crate) fn carry_out(plan: &FilePlan, action: Action) -> Result<FileResult, Failure> {
    let content = &plan.content;
    for _ in 0..ATTEMPTS {
        let before = read(&plan.path)?;
        let result = match action {
            Action::Show | Action::Write => added(plan, before)?,
            Action::Undo => removed(plan, before)?,
        };
        if action == Action::Show || result.done == Done::Nothing {
            return Ok(result);
        }
        if write(&result, content, action)? {
            return Ok(result);
        }
    }
    Err(refused(&plan.path, "keeps changing: another program writes it", "stop that program and try again"))
}

/// Whether homing owns something in a file. False for a file that cannot be parsed.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn has_owned_parts(plan: &FilePlan) -> Result<bool, Failure> {
    let Some(text) = read(&plan.path)? else { return Ok(false) };
    Ok(plan.content.remove_from(&text).is_ok_and(|rest| rest.as_deref() != Some(&text)))
}

/// The parts of a file with their states.
///
/// # Errors
/// When the file cannot be read or parsed.
pub(crate) fn part_states(plan: &FilePlan) -> Result<Vec<(String, PartState)>, Failure> {
    let text = read(&plan.path)?;
    plan.content.states(text.as_deref()).map_err(|why| edit_error(plan, &why.0))
}

/// Whether a key in an object at the top level of a JSON file is `true`. False for a file that cannot be read or parsed.
pub(crate) fn is_enabled(path: &Path, object: &str, key: &str) -> bool {
    let text = read(path).ok().flatten();
    text.and_then(|text| value_at(&text, object, key)) == Some(serde_json::Value::Bool(true))
}

/// Whether one of the files of these patterns contains a text.
pub(super) fn any_contains(paths: &ConfigPaths, patterns: &[&str], text: &str) -> bool {
    let has_text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).contains(text);
    patterns.iter().any(|pattern| read_bounded(&paths.path(pattern)).is_ok_and(has_text))
}

fn added(plan: &FilePlan, before: Option<String>) -> Result<FileResult, Failure> {
    let after = plan.content.add_to(before.as_deref()).map_err(|why| edit_error(plan, &why.0))?;
    let done = match &before {
        None => Done::Made,
        Some(before) if *before == after => Done::Nothing,
        Some(_) => Done::Changed,
    };
    let backup = before.as_ref().filter(|_| done == Done::Changed).map(|_| beside(&plan.path, BACKUP));
    Ok(FileResult { path: plan.path.clone(), done, before, after: Some(after), backup })
}

fn removed(plan: &FilePlan, before: Option<String>) -> Result<FileResult, Failure> {
    let path = plan.path.clone();
    let Some(now) = &before else {
        return Ok(FileResult { path, done: Done::Nothing, before, after: None, backup: None });
    };
    let content = &plan.content;
    let rest = content.remove_from(now).map_err(|why| edit_error(plan, &why.0))?;
    let backup = beside(&path, BACKUP);
    let kept = read(&backup)?;
    // If nothing has changed since, restore the backup byte for byte.
    let is_unchanged_since =
        |old: Option<&str>| content.add_to(old).is_ok_and(|left| same_but_program(&left, now));
    let was_without_homing =
        |old: &str| content.remove_from(old).is_ok_and(|rest| rest.as_deref() == Some(old));
    // A file that existed before has a backup, even if it was an empty object.
    let is_nothing = |rest: &str| rest.trim().is_empty() || (rest.trim() == "{}" && kept.is_none());
    let (after, done, backup) = match &kept {
        Some(kept) if was_without_homing(kept) && is_unchanged_since(Some(kept)) => {
            (Some(kept.clone()), Done::Restored, Some(backup))
        }
        None if rest.as_ref() != Some(now) && is_unchanged_since(None) => (None, Done::Removed, None),
        Some(_) | None => match rest {
            None => (None, Done::Removed, None),
            Some(rest) if rest != *now && is_nothing(&rest) => (None, Done::Removed, None),
            Some(rest) if rest == *now => (Some(rest), Done::Nothing, None),
            Some(rest) => (Some(rest), Done::Changed, None),
        },
    };
    Ok(FileResult { path, done, before, after, backup })
}

/// Writes the result. Returns false if the file has changed meanwhile.
fn write(result: &FileResult, content: &Content, action: Action) -> Result<bool, Failure> {
    let path = &result.path;
    let failed = |error: io::Error| cannot("write", path, &error);
    let folder = path.parent().unwrap_or(Path::new("/"));
    if result.after.is_some() {
        make_private_directories(folder).map_err(failed)?;
    }
    // Two runs of setup could otherwise replace the same text, and one change would be lost.
    let _lock = lock(folder);
    if read(path)? != result.before {
        return Ok(false);
    }
    if action == Action::Write
        && let (Some(before), Some(backup)) = (&result.before, &result.backup)
    {
        // Keep the oldest backup: it is the file before homing.
        let has_owned_parts = content.remove_from(before).is_ok_and(|rest| rest.as_deref() != Some(before));
        if !(has_owned_parts && backup.exists()) {
            replace(backup, before, path).map_err(|error| cannot("write", backup, &error))?;
        }
    }
    match &result.after {
        Some(after) => replace(path, after, path).map_err(failed)?,
        None => {
            fs::remove_file(path).map_err(failed)?;
            remove_empty_folders(path);
        }
    }
    if result.done == Done::Restored
        && let Some(backup) = &result.backup
    {
        // The backup is restored.
        let _ = fs::remove_file(backup);
    }
    Ok(true)
}

/// Locks a folder against other runs of setup. `None` if this is not possible: then only the check before the write
/// protects changes of others, as it does for changes of other programs.
fn lock(folder: &Path) -> Option<fs::File> {
    let folder = fs::File::open(folder).ok()?;
    exclusive_within(&folder, LOCK_TIMEOUT).ok()?;
    Some(folder)
}

/// Removes the folders that are empty without the file, up to the home directory or the current directory.
fn remove_empty_folders(path: &Path) {
    let ends = [paths::home_directory(), std::env::current_dir().ok()];
    let folders =
        path.ancestors().skip(1).take(4).take_while(|folder| !ends.contains(&Some(folder.to_path_buf())));
    // Stops at the first folder that is not empty.
    folders.take_while(|folder| fs::remove_dir(folder).is_ok()).for_each(drop);
}

/// The text of a file; `None` if it does not exist.
fn read(path: &Path) -> Result<Option<String>, Failure> {
    match read_bounded(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| refused(path, "is not UTF-8 text", "homing did not change it")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot("read", path, &error)),
    }
}

/// The content of a regular file of at most [`MAX_BYTES`]. Does not block on a pipe.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?.ok_or_else(|| io::Error::other("it is not a regular file"))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

/// Replaces a file atomically, and gives it the access rights of another file if that exists. Follows a symbolic link.
fn replace(path: &Path, text: &str, rights: &Path) -> io::Result<()> {
    let target = match path.canonicalize() {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
            // A dangling link.
            Ok(link) => path.parent().unwrap_or(Path::new("/")).join(link),
            Err(_) => path.to_owned(),
        },
        Err(error) => return Err(error),
    };
    let temporary = beside(&target, &format!(".homing-{}", std::process::id()));
    // A killed run of setup with the same process id may have left one.
    let _ = fs::remove_file(&temporary);
    let replaced = write_new(&temporary, text, rights).and_then(|()| fs::rename(&temporary, &target));
    if replaced.is_err() {
        // A leftover temporary file does no harm.
        let _ = fs::remove_file(&temporary);
    }
    replaced
}

fn write_new(path: &Path, text: &str, rights: &Path) -> io::Result<()> {
    let mut file = create_private(path)?;
    file.write_all(text.as_bytes())?;
    match copy_rights(rights, &file) {
        // A new file stays private.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        copied => copied?,
    }
    file.sync_all()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn edit_error(plan: &FilePlan, why: &str) -> Failure {
    let FilePlan { path, content } = plan;
    let message = match content {
        Content::Whole { .. } => format!("cannot change {}: {why}", path.display()),
        Content::Json(_) | Content::Toml(_) | Content::Yaml(_) => {
            format!("cannot change {}, which should be {}: {why}", path.display(), content.kind())
        }
    };
    Failure::Refused {
        code: "unfit_file",
        message,
        hint: Some(format!(
            "nothing was changed; correct the file, or add this yourself:\n{}",
            content.snippet().trim_end()
        )),
    }
}

fn refused(path: &Path, what: &str, hint: &str) -> Failure {
    let message = format!("{} {what}", path.display());
    Failure::Refused { code: "unfit_file", message, hint: Some(hint.to_owned()) }
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    let message = format!("cannot {what} {}: {error}", path.display());
    Failure::Refused { code: "setup", message, hint: None }
}
