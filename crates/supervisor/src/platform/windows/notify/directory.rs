//! One directory whose changes are read (ReadDirectoryChangesW), for one watch.
#![allow(unsafe_code, reason = "the system writes changes into a buffer until a read has ended")]

use std::cell::UnsafeCell;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, BorrowedHandle};
use std::path::{Path, PathBuf};

use windows_sys::Win32::Storage::FileSystem::{
    FILE_ACTION, FILE_ACTION_ADDED, FILE_ACTION_MODIFIED, FILE_ACTION_REMOVED, FILE_ACTION_RENAMED_NEW_NAME,
    FILE_ACTION_RENAMED_OLD_NAME, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OVERLAPPED, FILE_LIST_DIRECTORY,
    FILE_NOTIFY_CHANGE, FILE_NOTIFY_CHANGE_DIR_NAME, FILE_NOTIFY_CHANGE_FILE_NAME,
    FILE_NOTIFY_CHANGE_LAST_WRITE, FILE_NOTIFY_CHANGE_SIZE, FILE_NOTIFY_INFORMATION, FILE_SHARE_DELETE,
    FILE_SHARE_READ, FILE_SHARE_WRITE, ReadDirectoryChangesW,
};
use windows_sys::Win32::System::IO::{CancelIoEx, OVERLAPPED};

use super::super::win32::{check, raw};
use super::changes::{Change, Changes};
use super::kinds::{ChangeKinds, WatchId};

/// Size of the buffer for the changes of all entries, in words of four bytes. The system keeps as many between two reads.
const ENTRIES_WORDS: usize = 16 << 10;

/// As [`ENTRIES_WORDS`], if one name counts. An overflow then only means that it may have changed.
const NAME_WORDS: usize = 1 << 10;

/// The changes of a directory that a watch reports.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) watch: WatchId,
    pub(super) kinds: ChangeKinds,
    pub(super) part: Part,
}

/// Which entries of a directory concern a watch. Names are [`folded`].
#[derive(Debug)]
pub(super) enum Part {
    /// All of them: the directory is watched.
    Entries,
    /// This file, which is watched.
    File(String),
    /// This directory, which is watched: whether it is renamed or removed.
    Directory(String),
}

/// Returns a name in the form in which names are compared: Windows ignores the case.
pub(super) fn folded(name: &OsStr) -> String {
    name.to_string_lossy().to_lowercase()
}

/// An open directory, and a read of its changes.
#[derive(Debug)]
pub(super) struct Directory {
    handle: File,
    path: PathBuf,
    scope: Scope,
    read: Box<Read>,
    /// Whether its changes are read no more.
    pub(super) is_closing: bool,
}

/// Where the system writes. On the heap, because the addresses are known to it.
#[derive(Debug)]
struct Read {
    state: UnsafeCell<OVERLAPPED>,
    buffer: UnsafeCell<Box<[u32]>>,
}

// SAFETY: the pointer in the structure is null. The buffer is read only after a read has ended (`Directory::report`).
unsafe impl Send for Read {}

impl Directory {
    /// Opens a directory. Others may write, rename and remove it.
    pub(super) fn open(path: &Path, scope: Scope) -> io::Result<Directory> {
        let handle = OpenOptions::new()
            .access_mode(FILE_LIST_DIRECTORY)
            .share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)
            .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OVERLAPPED)
            .open(path)?;
        let words = match scope.part {
            Part::Entries => ENTRIES_WORDS,
            Part::File(_) | Part::Directory(_) => NAME_WORDS,
        };
        let buffer = vec![0; words].into_boxed_slice();
        let read = Box::new(Read { state: UnsafeCell::default(), buffer: UnsafeCell::new(buffer) });
        Ok(Directory { handle, path: path.to_owned(), scope, read, is_closing: false })
    }

    /// Starts to read the next changes. Changes between two reads are not lost: the system keeps them from the first one
    /// on.
    ///
    /// # Safety
    /// No read is pending. This lives until the read has ended, which a completion port reports.
    pub(super) unsafe fn start(&mut self) -> io::Result<()> {
        let state = self.read.state.get();
        let buffer = self.read.buffer.get_mut();
        let bytes = u32::try_from(size_of_val(&**buffer)).map_err(io::Error::other)?;
        // SAFETY: the structure and the buffer are on the heap and live as long as this; nothing else uses them while
        // the read is pending, as the caller guarantees.
        check(unsafe {
            *state = OVERLAPPED::default();
            ReadDirectoryChangesW(
                raw(&self.handle),
                buffer.as_mut_ptr().cast(),
                bytes,
                0,
                filter(&self.scope),
                std::ptr::null_mut(),
                state,
                None,
            )
        })
    }

    /// Ends the pending read, which is then reported as failed. Nothing more of the directory is reported.
    pub(super) fn close(&mut self) {
        self.is_closing = true;
        // SAFETY: the handle is open and the structure lives. The call fails only if the read has ended already.
        unsafe { CancelIoEx(raw(&self.handle), self.read.state.get()) };
    }

    /// Reports the changes of a read that has ended, with this number of bytes.
    pub(super) fn report(&mut self, bytes: usize, changes: &Changes) {
        let watch = self.scope.watch;
        if bytes == 0 {
            // They did not fit.
            changes.add(match self.scope.part {
                Part::Entries => Change::Overflow,
                Part::File(_) | Part::Directory(_) => Change::Changed { watch, name: None },
            });
            return;
        }
        let (path, scope) = (&self.path, &self.scope);
        let buffer = self.read.buffer.get_mut();
        let count = bytes.div_ceil(size_of::<u32>()).min(buffer.len());
        for_each_notification(&buffer[..count], |action, name| {
            if let Some(name) = scope.reported(action, name, path) {
                changes.add(Change::Changed { watch, name });
            }
        });
    }

    /// Reports that its changes can be read no more: it was removed.
    pub(super) fn report_end(&self, changes: &Changes) {
        changes.add(Change::Changed { watch: self.scope.watch, name: None });
    }
}

impl AsHandle for Directory {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.handle.as_handle()
    }
}

impl Scope {
    /// Whether a change concerns the watch, and with which name.
    fn reported(&self, action: FILE_ACTION, name: OsString, directory: &Path) -> Option<Option<OsString>> {
        let written = ChangeKinds::WRITTEN | ChangeKinds::CLOSED;
        let gone = ChangeKinds::MOVED | ChangeKinds::REMOVED;
        let made = ChangeKinds::CREATED | ChangeKinds::MOVED_IN;
        let (own, is_entry) = match &self.part {
            Part::Entries => (None, true),
            Part::File(own) | Part::Directory(own) => (Some(own), false),
        };
        if own.is_some_and(|own| *own != folded(&name)) {
            return None;
        }
        let concerned = match action {
            // A change inside of a directory changes its time too.
            FILE_ACTION_MODIFIED if is_entry && is_directory(&directory.join(&name)) => return None,
            FILE_ACTION_MODIFIED => written,
            // Renamed from another directory, it is an added one. A watched file that appears again was replaced.
            FILE_ACTION_ADDED | FILE_ACTION_RENAMED_NEW_NAME if is_entry => made,
            FILE_ACTION_ADDED | FILE_ACTION_RENAMED_NEW_NAME => written | gone,
            FILE_ACTION_REMOVED | FILE_ACTION_RENAMED_OLD_NAME if !is_entry => gone,
            _ => return None,
        };
        self.kinds.intersects(concerned).then(|| is_entry.then_some(name))
    }
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|entry| entry.is_dir())
}

/// The changes that the system must report for a scope.
fn filter(scope: &Scope) -> FILE_NOTIFY_CHANGE {
    let names = FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_DIR_NAME;
    let writes = FILE_NOTIFY_CHANGE_LAST_WRITE | FILE_NOTIFY_CHANGE_SIZE;
    let is_written = scope.kinds.intersects(ChangeKinds::WRITTEN | ChangeKinds::CLOSED);
    match scope.part {
        Part::Directory(_) => FILE_NOTIFY_CHANGE_DIR_NAME,
        Part::File(_) if is_written => FILE_NOTIFY_CHANGE_FILE_NAME | writes,
        Part::File(_) => FILE_NOTIFY_CHANGE_FILE_NAME,
        Part::Entries if is_written => names | writes,
        Part::Entries => names,
    }
}

/// Calls `act` for each FILE_NOTIFY_INFORMATION in a buffer: offset of the next one, action, length of the name in
/// bytes, name. They begin at a whole word on Windows, but not under Wine.
fn for_each_notification(buffer: &[u32], mut act: impl FnMut(FILE_ACTION, OsString)) {
    const NAME: usize = std::mem::offset_of!(FILE_NOTIFY_INFORMATION, FileName);
    let bytes: Vec<u8> = buffer.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut rest = &bytes[..];
    while let Some((header, name)) = rest.split_at_checked(NAME) {
        let [next, action, length] = [0, 1, 2].map(|index| {
            let word = &header[index * size_of::<u32>()..][..size_of::<u32>()];
            u32::from_ne_bytes(word.try_into().expect("four bytes"))
        });
        let name = name.chunks_exact(2).take(length as usize / size_of::<u16>());
        let units = name.map(|unit| u16::from_ne_bytes([unit[0], unit[1]]));
        act(action, OsString::from_wide(&units.collect::<Vec<u16>>()));
        if next == 0 {
            return;
        }
        rest = rest.get(next as usize..).unwrap_or_default();
    }
}
