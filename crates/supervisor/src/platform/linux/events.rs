//! What a supervisor waits for besides output: ended processes, requests to end its job, and the removal of its directory.
//! They are signals, which it reads from a descriptor.
#![allow(
    unsafe_code,
    reason = "signalfd(2), sigaction(2), sigprocmask(2), F_NOTIFY (fcntl(2)) and pidfd_send_signal(2) with a value have no safe wrapper"
)]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use homing_core::KilledBy;

use super::dir::Directory;
use super::{ProcessIdentity, procfs};

/// What a supervisor is notified of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A child ended.
    ChildEnded,
    /// A request to end the job.
    KillRequested(KilledBy),
    /// A file was removed or renamed in the watched directory.
    DirectoryChanged,
}

/// Values sent with SIGTERM that identify the origin of a request. Any other value, or none, is `KilledBy::Outside`.
const FROM_SESSION: i32 = 0x686f_0001;
const FROM_OPERATOR: i32 = 0x686f_0002;

/// Events for `F_NOTIFY` (`linux/fcntl.h`): a name in the directory was removed or renamed, reported every time.
const DN_DELETE: libc::c_uint = 0x0000_0008;
const DN_MULTISHOT: libc::c_uint = 0x8000_0000;

/// The blocked signals of this process, readable from a descriptor.
#[derive(Debug)]
pub struct SupervisorEvents {
    fd: OwnedFd,
}

impl SupervisorEvents {
    /// Blocks every signal of the calling thread and opens the queue. Signals that it does not return, such as
    /// SIGHUP, SIGINT, SIGPIPE and SIGXFSZ, have no effect any more. No signal is ignored any more, so programs that this
    /// process executes begin with the default handlers.
    ///
    /// # Errors
    /// If the limit of descriptors is reached.
    pub fn open() -> io::Result<SupervisorEvents> {
        // SAFETY: the sets are live locals, which sigfillset and sigemptyset initialise before any other use;
        // signalfd returns a new descriptor without another owner.
        unsafe {
            let mut all: libc::sigset_t = mem::zeroed();
            libc::sigfillset(&mut all);
            libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
            // Ignored signals are inherited. If SIGCHLD is ignored, the kernel reaps the children and discards their
            // status (sigaction(2)).
            stop_ignoring_signals();
            let mut wanted: libc::sigset_t = mem::zeroed();
            libc::sigemptyset(&mut wanted);
            libc::sigaddset(&mut wanted, libc::SIGCHLD);
            libc::sigaddset(&mut wanted, libc::SIGTERM);
            libc::sigaddset(&mut wanted, libc::SIGIO);
            let fd = libc::signalfd(-1, &wanted, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(SupervisorEvents { fd: OwnedFd::from_raw_fd(fd) })
        }
    }

    /// Asks the kernel to queue [`Received::DirectoryChanged`] when a name in `directory` is removed or renamed, as
    /// long as this descriptor is open (dnotify). Unlike inotify, this needs no instance, of which a user has few
    /// (inotify(7)), and no further descriptor. It does not report the removal or renaming of the directory itself.
    ///
    /// # Errors
    /// If the kernel was built without dnotify.
    pub fn watch_removals(&self, directory: &Directory) -> io::Result<()> {
        // SAFETY: the descriptor is open during the call; the argument is an integer, and the kernel sends SIGIO,
        // which `open` has blocked, to this process only.
        let result =
            unsafe { libc::fcntl(directory.as_fd().as_raw_fd(), libc::F_NOTIFY, DN_DELETE | DN_MULTISHOT) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Returns the next signal; `None` if none is pending.
    pub fn next(&self) -> Option<Received> {
        // SAFETY: signalfd_siginfo is plain data for which any bytes are valid; the buffer has the given size.
        let info = unsafe {
            let mut info: libc::signalfd_siginfo = mem::zeroed();
            let size = size_of_val(&info);
            let count = libc::read(self.fd.as_raw_fd(), (&raw mut info).cast(), size);
            if count != isize::try_from(size).ok()? {
                return None;
            }
            info
        };
        match i32::try_from(info.ssi_signo) {
            Ok(libc::SIGCHLD) => return Some(Received::ChildEnded),
            Ok(libc::SIGIO) => return Some(Received::DirectoryChanged),
            _ => {}
        }
        let by = match (info.ssi_code, info.ssi_int) {
            (libc::SI_QUEUE, FROM_SESSION) => KilledBy::Session,
            (libc::SI_QUEUE, FROM_OPERATOR) => KilledBy::Operator,
            _ if is_service_manager(info.ssi_pid) => KilledBy::ServiceManager,
            _ => KilledBy::Outside,
        };
        Some(Received::KillRequested(by))
    }
}

/// Sets each ignored signal to its default.
fn stop_ignoring_signals() {
    for signal in 1..=64 {
        // The first word is the handler. Zeros mean SIG_DFL, no flags, no mask.
        let mut action = [0u64; 4];
        // SAFETY: both are live locals with the size of the kernel's struct sigaction on 64-bit systems; the calls only
        // read the current action, and replace one that runs no code.
        unsafe {
            // Use the system call: the C library refuses to show and change two signals of its own, which its
            // posix_spawn(3) has set to ignored.
            let call = |new: *const u64, old: *mut u64| {
                libc::syscall(libc::SYS_rt_sigaction, signal, new, old, 8usize) == 0
            };
            if call(std::ptr::null(), action.as_mut_ptr()) && action[0] == libc::SIG_IGN as u64 {
                call([0u64; 4].as_ptr(), std::ptr::null_mut());
            }
        }
    }
}

/// Whether the sender of a signal is the systemd instance of the system or of a user. This only selects the reason in
/// the outcome, so checking the name is enough.
fn is_service_manager(pid: u32) -> bool {
    pid != 0 && procfs::stat(pid).is_some_and(|stat| stat.name == "systemd")
}

impl AsFd for SupervisorEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Asks a supervisor to end its job, with the origin of the request.
///
/// # Errors
/// [`is_no_such_process`](super::errors::is_no_such_process) if the supervisor has ended.
pub fn request_kill(supervisor: &ProcessIdentity, by: KilledBy) -> io::Result<()> {
    let handle = supervisor.open()?;
    let value = match by {
        KilledBy::Session => FROM_SESSION,
        KilledBy::Operator => FROM_OPERATOR,
        KilledBy::Outside | KilledBy::ServiceManager => 0,
    };
    let info = QueuedSignal {
        signal: libc::SIGTERM,
        errno: 0,
        code: libc::SI_QUEUE,
        _padding: 0,
        pid: std::process::id(),
        uid: rustix::process::getuid().as_raw(),
        value: i64::from(value),
        _rest: [0; 96],
    };
    // SAFETY: the structure has the size and layout of the kernel's siginfo_t for SI_QUEUE on 64-bit systems
    // (rt_sigqueueinfo(2)); the kernel copies it during the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            handle.as_fd().as_raw_fd(),
            libc::SIGTERM,
            &raw const info,
            0,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `siginfo_t` of a queued signal, in the kernel's layout on 64-bit systems.
#[repr(C)]
struct QueuedSignal {
    signal: i32,
    errno: i32,
    code: i32,
    _padding: i32,
    pid: u32,
    uid: u32,
    value: i64,
    _rest: [u8; 96],
}

const _: () = assert!(size_of::<QueuedSignal>() == size_of::<libc::siginfo_t>());
