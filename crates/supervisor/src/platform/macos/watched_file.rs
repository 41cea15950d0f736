//! One file or directory that a [`ChangeWatcher`](super::notify::ChangeWatcher) watches, and what has changed in it.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rustix::fs::{Dir, FileType, Mode, OFlags, fstat, open as open_file, openat};
use rustix::io::Errno;

use super::change_kinds::ChangeKinds;
use super::file::FileIdentity;
use super::kqueue::{Event, Filter, Kqueue};

/// The most files of one directory that are watched for writes. Each takes a descriptor.
const MAX_PARTS: usize = 32;

/// For files: only for events, which does not keep a volume from being ejected (open(2)).
const FOR_EVENTS: OFlags =
    OFlags::from_bits_retain(libc::O_EVTONLY.cast_unsigned()).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// A watched file or directory.
#[derive(Debug)]
pub(super) struct Watched {
    file: OwnedFd,
    identity: FileIdentity,
    kinds: ChangeKinds,
    tag: usize,
    /// `None` for a file.
    content: Option<Content>,
}

/// What is in a watched directory.
#[derive(Debug, Default)]
struct Content {
    /// The inodes of its entries when it was last read.
    entries: HashMap<OsString, u64>,
    /// Files in it that are watched for writes.
    parts: HashMap<OsString, Part>,
}

#[derive(Debug)]
struct Part {
    file: OwnedFd,
    inode: u64,
}

/// Opens a file or directory to watch it, without `follow` a symbolic link itself.
///
/// # Errors
/// [`io::ErrorKind::NotFound`] or [`io::ErrorKind::NotADirectory`] if it is missing. If it may not be read.
pub(super) fn open(path: &Path, follow: bool) -> io::Result<OwnedFd> {
    let no_follow = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    // Names can be read only from a directory that is open for reading.
    let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | no_follow;
    match open_file(path, directory, Mode::empty()) {
        Err(Errno::NOTDIR | Errno::LOOP) => {}
        opened => return Ok(opened?),
    }
    let symlink = OFlags::from_bits_retain(libc::O_SYMLINK.cast_unsigned());
    let flags = FOR_EVENTS | if follow { OFlags::empty() } else { symlink };
    Ok(open_file(path, flags, Mode::empty())?)
}

impl Watched {
    /// Starts to watch an open file or directory.
    ///
    /// # Errors
    /// If the system has no memory left, or the file system does not report changes.
    pub(super) fn start(
        kqueue: &Kqueue,
        file: OwnedFd,
        identity: FileIdentity,
        kinds: ChangeKinds,
        tag: usize,
    ) -> io::Result<Watched> {
        let is_directory = FileType::from_raw_mode(fstat(&file)?.st_mode) == FileType::Directory;
        let content = is_directory.then(Content::default);
        let mut watched = Watched { file, identity, kinds, tag, content };
        kqueue.add(Filter::changes(watched.file.as_fd(), watched.notes(), tag))?;
        watched.read_entries();
        watched.watch_parts(kqueue);
        Ok(watched)
    }

    pub(super) fn identity(&self) -> FileIdentity {
        self.identity
    }

    /// What the kernel reports about the file or directory itself.
    fn notes(&self) -> u32 {
        let note = |kinds, note| if self.kinds.has(kinds) { note } else { 0 };
        let written = ChangeKinds::WRITTEN | ChangeKinds::CLOSED;
        let entries = written | ChangeKinds::CREATED | ChangeKinds::MOVED_IN;
        let content = match self.content {
            // The attributes change when an entry is announced.
            Some(_) => note(entries, libc::NOTE_WRITE) | note(ChangeKinds::CLOSED, libc::NOTE_ATTRIB),
            None => note(written, libc::NOTE_WRITE | libc::NOTE_EXTEND),
        };
        content | note(ChangeKinds::MOVED, libc::NOTE_RENAME) | note(ChangeKinds::REMOVED, libc::NOTE_DELETE)
    }

    /// The names that an event reports as changed; `None` stands for the watched file or directory itself.
    pub(super) fn changes(&mut self, kqueue: &Kqueue, event: Event) -> Vec<Option<OsString>> {
        let is_own = usize::try_from(self.file.as_raw_fd()).is_ok_and(|number| number == event.ident);
        let Some(content) = &self.content else { return vec![None] };
        if !is_own {
            let number = |part: &Part| usize::try_from(part.file.as_raw_fd()).ok();
            let part = content.parts.iter().find(|(_, part)| number(part) == Some(event.ident));
            return part.map(|(name, _)| Some(name.clone())).into_iter().collect();
        }
        let mut changes = Vec::new();
        if event.notes & (libc::NOTE_RENAME | libc::NOTE_DELETE) != 0 {
            changes.push(None);
        }
        if event.notes & (libc::NOTE_WRITE | libc::NOTE_ATTRIB) != 0 {
            changes.extend(self.changed_names().into_iter().map(Some));
            self.watch_parts(kqueue);
        }
        changes
    }

    /// Reads the directory again. Returns its new entries, and with [`ChangeKinds::CLOSED`] all of them, because any of them
    /// may have been announced. Those that have gone are included: an entry may have been announced just before it was
    /// removed.
    fn changed_names(&mut self) -> Vec<OsString> {
        let before =
            self.content.as_mut().map(|content| std::mem::take(&mut content.entries)).unwrap_or_default();
        self.read_entries();
        let now = self.content.as_ref().map(|content| &content.entries);
        let is_each = self.kinds.has(ChangeKinds::CLOSED);
        let is_changed = |name: &OsString, inode: &u64| is_each || before.get(name) != Some(inode);
        let present = now.into_iter().flatten().filter(|(name, inode)| is_changed(name, inode));
        let mut names: Vec<OsString> = present.map(|(name, _)| name.clone()).collect();
        if is_each {
            names.extend(before.into_keys());
        }
        names
    }

    fn read_entries(&mut self) {
        let Some(content) = &mut self.content else { return };
        let Ok(entries) = Dir::read_from(&self.file) else { return };
        content.entries = entries
            .filter_map(Result::ok)
            .map(|entry| (OsString::from_vec(entry.file_name().to_bytes().to_vec()), entry.ino()))
            .filter(|(name, _)| name != "." && name != "..")
            .collect();
    }

    /// Watches the files of the directory for writes, as many as possible: the kernel does not report them for the directory.
    fn watch_parts(&mut self, kqueue: &Kqueue) {
        let Some(Content { entries, parts }) = &mut self.content else { return };
        if !self.kinds.has(ChangeKinds::WRITTEN | ChangeKinds::CLOSED) {
            return;
        }
        parts.retain(|name, part| entries.get(name) == Some(&part.inode));
        for (name, inode) in entries {
            if parts.len() == MAX_PARTS {
                break;
            }
            if !parts.contains_key(name)
                && let Some(file) = watch_part(kqueue, &self.file, name, self.tag)
            {
                parts.insert(name.clone(), Part { file, inode: *inode });
            }
        }
    }
}

/// Watches a regular file for writes; `None` if that is not possible.
fn watch_part(kqueue: &Kqueue, directory: &OwnedFd, name: &OsStr, tag: usize) -> Option<OwnedFd> {
    let file = openat(directory, name.as_bytes(), FOR_EVENTS | OFlags::NOFOLLOW, Mode::empty()).ok()?;
    let is_regular = FileType::from_raw_mode(fstat(&file).ok()?.st_mode) == FileType::RegularFile;
    let notes = libc::NOTE_WRITE | libc::NOTE_EXTEND;
    (is_regular && kqueue.add(Filter::changes(file.as_fd(), notes, tag)).is_ok()).then_some(file)
}
