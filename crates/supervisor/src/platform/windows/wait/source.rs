//! What can be waited for.
#![allow(unsafe_code, reason = "GetFileType and GetConsoleMode")]

use std::fs::File;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, BorrowedHandle, OwnedHandle};

use windows_sys::Win32::Storage::FileSystem::{FILE_TYPE_CHAR, FILE_TYPE_PIPE, GetFileType};
use windows_sys::Win32::System::Console::GetConsoleMode;

use super::super::named_pipe;

/// How many objects one source or group has at most.
const MAX_OBJECTS: usize = 4;

/// Something that can become ready. Refers to it, as a reference does.
#[derive(Clone, Copy, Debug)]
pub struct WaitSource<'a> {
    kind: Kind,
    interest: Interest,
    /// The objects; or the end of a pipe, and the event that is set while it is ready.
    handles: [Option<BorrowedHandle<'a>>; MAX_OBJECTS],
}

/// What the handles of a source are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Objects that are signaled while the source is ready.
    Objects,
    /// The end of a pipe that is read.
    ReadEnd,
    /// The end of a pipe that is written.
    WriteEnd,
    /// A file, or a device that is never waited for.
    File,
}

/// What a source is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interest {
    Readable,
    Writable,
    Disconnected,
}

/// How a wait finds out whether a source is ready.
pub(super) enum Check<'a> {
    /// By these objects.
    Objects(Objects<'a>),
    /// It is.
    Always,
    /// It never is.
    Never,
    /// By asking.
    Ask(Question<'a>),
}

type Objects<'a> = std::iter::Flatten<std::array::IntoIter<Option<BorrowedHandle<'a>>, MAX_OBJECTS>>;

/// A question to the end of a pipe.
pub(super) enum Question<'a> {
    CanBeRead(BorrowedHandle<'a>),
    IsClosed(BorrowedHandle<'a>),
}

impl Question<'_> {
    pub(super) fn is_ready(&self) -> bool {
        match self {
            // An error is found by reading.
            Question::CanBeRead(end) => named_pipe::available(*end).map_or(true, |bytes| bytes > 0),
            Question::IsClosed(end) => !named_pipe::is_connected(*end),
        }
    }
}

/// A type that can become ready. A [`WaitSource`] is one too: converted again, it waits until it can be read.
pub trait AsWaitSource {
    /// Returns a source that is ready when this can be read without waiting, and when its other end is closed. Call it
    /// again before each wait.
    fn as_wait_source(&self) -> WaitSource<'_>;
}

impl<'a> WaitSource<'a> {
    /// A source that is ready while one of these objects is signaled: events, processes, timers.
    ///
    /// # Panics
    /// If there are more than four.
    pub fn of_objects<const COUNT: usize>(objects: [BorrowedHandle<'a>; COUNT]) -> WaitSource<'a> {
        const { assert!(COUNT <= MAX_OBJECTS) };
        let mut handles = [None; MAX_OBJECTS];
        handles.iter_mut().zip(objects).for_each(|(place, object)| *place = Some(object));
        WaitSource { kind: Kind::Objects, interest: Interest::Readable, handles }
    }

    /// The end of a pipe that is read, and the event that is set while it is ready.
    pub(in super::super) fn of_end(
        end: BorrowedHandle<'a>,
        event: Option<BorrowedHandle<'a>>,
    ) -> WaitSource<'a> {
        WaitSource::of_pipe(Kind::ReadEnd, end, event)
    }

    /// The end of a pipe that is written, and the event that is set while it can be written.
    pub(in super::super) fn of_write_end(
        end: BorrowedHandle<'a>,
        event: Option<BorrowedHandle<'a>>,
    ) -> WaitSource<'a> {
        WaitSource::of_pipe(Kind::WriteEnd, end, event)
    }

    fn of_pipe(kind: Kind, end: BorrowedHandle<'a>, event: Option<BorrowedHandle<'a>>) -> WaitSource<'a> {
        WaitSource { kind, interest: Interest::Readable, handles: [Some(end), event, None, None] }
    }

    /// Something that another program passed: a pipe, a console, a file.
    fn of_stream(stream: BorrowedHandle<'a>, end: Kind) -> WaitSource<'a> {
        // SAFETY: the handle is open.
        let kind = match unsafe { GetFileType(stream.as_raw_handle()) } {
            FILE_TYPE_PIPE => end,
            FILE_TYPE_CHAR if end == Kind::ReadEnd && is_console(stream) => Kind::Objects,
            _ => Kind::File,
        };
        WaitSource { kind, interest: Interest::Readable, handles: [Some(stream), None, None, None] }
    }

    /// Waits until it can be written without waiting, or its other end is closed, instead of until it can be read. An end
    /// that another program passed always counts as ready.
    #[must_use]
    pub fn writable(self) -> WaitSource<'a> {
        WaitSource { interest: Interest::Writable, ..self }
    }

    /// Waits until its other end is closed, instead of until it can be read. A regular file never is.
    #[must_use]
    pub fn disconnected(self) -> WaitSource<'a> {
        WaitSource { interest: Interest::Disconnected, ..self }
    }

    /// Makes a copy that does not depend on the original.
    ///
    /// # Errors
    /// If this process has no handle left.
    pub fn try_clone_to_owned(self) -> io::Result<OwnedWaitSource> {
        // Keep the end of a pipe open only if it must be asked.
        let source = match self.check() {
            Check::Objects(objects) => {
                let mut handles = [None; MAX_OBJECTS];
                handles.iter_mut().zip(objects).for_each(|(place, object)| *place = Some(object));
                WaitSource { kind: Kind::Objects, interest: Interest::Readable, handles }
            }
            Check::Always | Check::Never | Check::Ask(_) => self,
        };
        let mut handles = [const { None }; MAX_OBJECTS];
        for (copy, handle) in handles.iter_mut().zip(source.handles) {
            *copy = handle.map(|handle| handle.try_clone_to_owned()).transpose()?;
        }
        Ok(OwnedWaitSource { kind: source.kind, interest: source.interest, handles })
    }

    /// Returns `None`: event loops of other languages do not wait for descriptors here.
    pub fn descriptor(self) -> Option<i32> {
        None
    }

    /// Returns the objects that are signaled while it is ready; `None` if it has none.
    pub(in super::super) fn objects(self) -> Option<impl Iterator<Item = BorrowedHandle<'a>>> {
        match self.check() {
            Check::Objects(objects) => Some(objects),
            Check::Always | Check::Never | Check::Ask(_) => None,
        }
    }

    pub(super) fn check(self) -> Check<'a> {
        let [Some(end), event, ..] = self.handles else { return Check::Never };
        match (self.kind, self.interest) {
            (Kind::Objects, Interest::Readable | Interest::Writable) => {
                Check::Objects(self.handles.into_iter().flatten())
            }
            (Kind::File, Interest::Readable | Interest::Writable) => Check::Always,
            (Kind::Objects | Kind::File, Interest::Disconnected) | (Kind::ReadEnd, Interest::Writable) => {
                Check::Never
            }
            (Kind::ReadEnd, Interest::Readable) => {
                event.map_or(Check::Ask(Question::CanBeRead(end)), Check::object)
            }
            (Kind::WriteEnd, Interest::Writable) => event.map_or(Check::Always, Check::object),
            (Kind::ReadEnd | Kind::WriteEnd, Interest::Disconnected)
            | (Kind::WriteEnd, Interest::Readable) => Check::Ask(Question::IsClosed(end)),
        }
    }

    pub(super) fn is_ready_when_asked(&self) -> bool {
        matches!(self.check(), Check::Ask(question) if question.is_ready())
    }
}

impl<'a> Check<'a> {
    fn object(object: BorrowedHandle<'a>) -> Check<'a> {
        Check::Objects([Some(object), None, None, None].into_iter().flatten())
    }
}

fn is_console(input: BorrowedHandle<'_>) -> bool {
    let mut mode = 0;
    // SAFETY: the handle is open, and the mode is written to a live local.
    unsafe { GetConsoleMode(input.as_raw_handle(), &mut mode) != 0 }
}

/// For one object that is signaled while it is ready, such as a process or an event. Not for pipes and files.
impl<'a> From<BorrowedHandle<'a>> for WaitSource<'a> {
    fn from(object: BorrowedHandle<'a>) -> WaitSource<'a> {
        WaitSource::of_objects([object])
    }
}

impl AsWaitSource for WaitSource<'_> {
    fn as_wait_source(&self) -> WaitSource<'_> {
        WaitSource { interest: Interest::Readable, ..*self }
    }
}

/// Implements [`AsWaitSource`] for streams that another program may have passed.
macro_rules! streams {
    ($($stream:ty: $end:expr),*) => {
        $(impl AsWaitSource for $stream {
            fn as_wait_source(&self) -> WaitSource<'_> {
                WaitSource::of_stream(self.as_handle(), $end)
            }
        })*
    };
}

streams!(
    File: Kind::ReadEnd,
    io::Stdin: Kind::ReadEnd,
    io::StdinLock<'_>: Kind::ReadEnd,
    io::Stdout: Kind::WriteEnd,
    io::StdoutLock<'_>: Kind::WriteEnd,
    io::Stderr: Kind::WriteEnd,
    io::StderrLock<'_>: Kind::WriteEnd
);

/// A copy of a [`WaitSource`] that owns what it waits for.
#[derive(Debug)]
pub struct OwnedWaitSource {
    kind: Kind,
    interest: Interest,
    handles: [Option<OwnedHandle>; MAX_OBJECTS],
}

impl OwnedWaitSource {
    /// Returns it as a source.
    pub fn source(&self) -> WaitSource<'_> {
        let handles = self.handles.each_ref().map(|handle| handle.as_ref().map(AsHandle::as_handle));
        WaitSource { kind: self.kind, interest: self.interest, handles }
    }
}

/// Several things that a caller can wait for as one, such as an event loop that accepts one source. It is ready while
/// one of them can be read.
#[derive(Debug)]
pub struct WaitGroup {
    members: OwnedWaitSource,
}

impl WaitGroup {
    /// Creates a group. The members must be signaled by the system, as events, timers, processes and homing's own pipes
    /// are, and have at most four objects together: the group waits for these objects themselves.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] for other members. Also if this process has no handle left.
    pub fn of(members: &[WaitSource<'_>]) -> io::Result<WaitGroup> {
        let mut handles = [None; MAX_OBJECTS];
        let mut places = handles.iter_mut();
        for member in members {
            for object in member.objects().ok_or_else(no_object)? {
                *places.next().ok_or_else(too_many)? = Some(object);
            }
        }
        let group = WaitSource { kind: Kind::Objects, interest: Interest::Readable, handles };
        Ok(WaitGroup { members: group.try_clone_to_owned()? })
    }
}

/// The error for a source that has no object of the system.
pub(in super::super) fn no_object() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "the system does not signal when this is ready")
}

fn too_many() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a group has at most four objects")
}

impl AsWaitSource for WaitGroup {
    fn as_wait_source(&self) -> WaitSource<'_> {
        self.members.source()
    }
}
