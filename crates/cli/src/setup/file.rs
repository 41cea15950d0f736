//! Changes the files of a plan: each in one step, with what was there before kept beside it. Nobody's file is replaced that
//! cannot be read, and none through which a link leads elsewhere.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::ownership::same_but_program;
use super::{Action, Content, FilePlan};
use crate::exit::Failure;

/// Added to the name of a file as it was before.
const BACKUP: &str = ".before-homing";

/// Longest file that is read, in bytes: harnesses keep histories in theirs.
const MAX_BYTES: u64 = 64 << 20;

/// How often a file is looked at anew that somebody else writes at the same time.
const TRIES: u32 = 3;

/// What became of a file, or would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// Everything is as it should be.
    Nothing,
    /// It is new.
    Made,
    /// It was changed.
    Changed,
    /// It is again what it was before.
    Restored,
    /// It is gone: all of it was ours.
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
    /// `None` where there was none.
    pub(crate) before: Option<String>,
    /// `None` where there is none any more.
    pub(crate) after: Option<String>,
    /// Where the file as it was before is kept.
    pub(crate) backup: Option<PathBuf>,
}

/// Does what is asked for with one file.
///
/// # Errors
/// When it cannot be read, changed or written. Then it is as it was.
pub(crate) fn carry_out(plan: &FilePlan, action: Action) -> Result<FileResult, Failure> {
    let content = &plan.content;
    for _ in 0..TRIES {
        let before = read(&plan.path)?;
        let result = match action {
            Action::Show | Action::Write => added(plan, before)?,
            Action::Undo => taken_back(plan, before)?,
        };
        if action == Action::Show || result.done == Done::Nothing {
            return Ok(result);
        }
        if write(&result, content, action)? {
            return Ok(result);
        }
    }
    Err(refused(
        &plan.path,
        "changes all the time: somebody else writes it",
        "end that program, and try again",
    ))
}

/// Whether something of ours stands in a file. One that cannot be understood has nothing that could be found.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn has_ours(plan: &FilePlan) -> Result<bool, Failure> {
    let Some(text) = read(&plan.path)? else { return Ok(false) };
    Ok(plan.content.remove_from(&text).is_ok_and(|rest| rest.as_deref() != Some(&text)))
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

fn taken_back(plan: &FilePlan, before: Option<String>) -> Result<FileResult, Failure> {
    let path = plan.path.clone();
    let Some(now) = &before else {
        return Ok(FileResult { path, done: Done::Nothing, before, after: None, backup: None });
    };
    let content = &plan.content;
    let rest = content.remove_from(now).map_err(|why| edit_error(plan, &why.0))?;
    let backup = beside(&path, BACKUP);
    let kept = read(&backup)?;
    // Where nobody has changed anything since, it becomes to the letter what it was.
    let is_as_we_left_it =
        |old: Option<&str>| content.add_to(old).is_ok_and(|left| same_but_program(&left, now));
    let was_without_us = |old: &str| content.remove_from(old).is_ok_and(|rest| rest.as_deref() == Some(old));
    // Of a file that was there before us a copy is kept, also of an empty object.
    let is_nothing = |rest: &str| rest.trim().is_empty() || (rest.trim() == "{}" && kept.is_none());
    let (after, done, backup) = match &kept {
        Some(kept) if was_without_us(kept) && is_as_we_left_it(Some(kept)) => {
            (Some(kept.clone()), Done::Restored, Some(backup))
        }
        None if rest.as_ref() != Some(now) && is_as_we_left_it(None) => (None, Done::Removed, None),
        Some(_) | None => match rest {
            None => (None, Done::Removed, None),
            Some(rest) if rest != *now && is_nothing(&rest) => (None, Done::Removed, None),
            Some(rest) if rest == *now => (Some(rest), Done::Nothing, None),
            Some(rest) => (Some(rest), Done::Changed, None),
        },
    };
    Ok(FileResult { path, done, before, after, backup })
}

/// Writes it; `false` where the file is not what it was when that was decided.
fn write(result: &FileResult, content: &Content, action: Action) -> Result<bool, Failure> {
    let path = &result.path;
    let failed = |error: io::Error| cannot("write", path, &error);
    if action == Action::Write
        && let (Some(before), Some(backup)) = (&result.before, &result.backup)
    {
        // What was there before us is worth more than what was there before the last time.
        let has_ours = content.remove_from(before).is_ok_and(|rest| rest.as_deref() != Some(before));
        if !(has_ours && backup.exists()) {
            replace(backup, before, mode_of(path)).map_err(|error| cannot("write", backup, &error))?;
        }
    }
    if read(path)? != result.before {
        return Ok(false);
    }
    match &result.after {
        Some(after) => {
            if let Some(folder) = path.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
            }
            replace(path, after, mode_of(path)).map_err(failed)?;
        }
        None => {
            fs::remove_file(path).map_err(failed)?;
            remove_empty_folders(path);
        }
    }
    if result.done == Done::Restored
        && let Some(backup) = &result.backup
    {
        // What it held is in its place again.
        let _ = fs::remove_file(backup);
    }
    Ok(true)
}

/// Removes the folders that a file was alone in, as far as they lie below the user's home or the current directory.
fn remove_empty_folders(path: &Path) {
    let ends = [std::env::home_dir(), std::env::current_dir().ok()];
    let folders =
        path.ancestors().skip(1).take(4).take_while(|folder| !ends.contains(&Some(folder.to_path_buf())));
    // Ends at the first that is not empty.
    folders.take_while(|folder| fs::remove_dir(folder).is_ok()).for_each(drop);
}

/// The text of a file; `None` where there is none.
fn read(path: &Path) -> Result<Option<String>, Failure> {
    match read_bounded(path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map(Some)
            .map_err(|_| refused(path, "is no text (UTF-8)", "homing changes nothing in it")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot("read", path, &error)),
    }
}

/// The content of a regular file of at most [`MAX_BYTES`]. Does not wait for whoever writes to a pipe.
pub(super) fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).expect("a flag of open(2)");
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("it is longer than {MAX_BYTES} bytes")));
    }
    Ok(bytes)
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).map_or(0o600, |file| file.permissions().mode() & 0o7777)
}

/// Puts a text in the place of a file, in one step; where a link leads there, at its end.
fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let target = match path.canonicalize() {
        Ok(target) => target,
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(path) {
            // A link to nothing yet.
            Ok(link) => path.parent().unwrap_or(Path::new("/")).join(link),
            Err(_) => path.to_owned(),
        },
        Err(error) => return Err(error),
    };
    let temporary = beside(&target, &format!(".homing-{}", std::process::id()));
    let made = write_new(&temporary, text, mode).and_then(|()| fs::rename(&temporary, &target));
    if made.is_err() {
        // What is left of it does no harm.
        let _ = fs::remove_file(&temporary);
    }
    made
}

fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
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
        Content::Whole(_) => format!("cannot change {}: {why}", path.display()),
        Content::Json(_) | Content::Toml(_) | Content::YamlExtension { .. } => {
            format!("cannot change {}, which should be {}: {why}", path.display(), content.kind())
        }
    };
    Failure::Refused {
        code: "unfit_file",
        message,
        hint: Some(format!(
            "nothing was changed; put it right, or add this yourself:\n{}",
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
