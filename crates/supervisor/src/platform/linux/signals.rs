//! Signals as the supervisor receives them, one at a time from a descriptor, and as a front end sends them to it.
#![allow(
    unsafe_code,
    reason = "signalfd(2), sigprocmask(2), F_NOTIFY (fcntl(2)) and pidfd_send_signal(2) with a value have no safe wrapper"
)]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use homing_core::KilledBy;

use super::{ProcessIdentity, procfs};

/// Runs `work` while every signal is blocked in this thread and in those that `work` starts. A signal that comes meanwhile
/// waits, and is delivered to this thread afterwards (sigprocmask(2)). Handlers are set like this: one that is in place
/// before all of its own is ready would swallow a signal.
pub fn while_blocked<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: the sets are live locals; `before` is initialised by the first call, which fails only for an argument that
    // it does not have here.
    unsafe {
        let mut all: libc::sigset_t = mem::zeroed();
        let mut before: libc::sigset_t = mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let done = work();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, std::ptr::null_mut());
        done
    }
}

/// What a signal to the supervisor means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A child ended, or was handed to us.
    ChildEnded,
    /// Somebody wants the job to end.
    KillRequested(KilledBy),
    /// Something was removed from the watched directory, or renamed.
    DirectoryChanged,
}

/// Values that travel with SIGTERM and say who asks. Any other value, or none, is somebody outside.
const FROM_SESSION: i32 = 0x686f_0001;
const FROM_OPERATOR: i32 = 0x686f_0002;

/// Events of a directory for `F_NOTIFY` (`linux/fcntl.h`): a name in it was removed or renamed; and again each time.
const DN_DELETE: libc::c_uint = 0x0000_0008;
const DN_MULTISHOT: libc::c_uint = 0x8000_0000;

/// All signals of this process, blocked, and readable from a descriptor.
#[derive(Debug)]
pub struct SignalQueue {
    fd: OwnedFd,
}

impl SignalQueue {
    /// Blocks every signal of the calling thread and opens the queue. Those that are not read from it, such as
    /// SIGHUP, SIGINT, SIGPIPE and SIGXFSZ, have no effect any more.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn open() -> io::Result<SignalQueue> {
        // SAFETY: the sets are live locals which sigfillset and sigemptyset initialise before any other use; signalfd
        // returns a new descriptor that nobody else owns.
        unsafe {
            let mut all: libc::sigset_t = mem::zeroed();
            libc::sigfillset(&mut all);
            libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
            // A launcher that ignores it hands that down, and the kernel would then reap our children itself and tell
            // nobody how they ended (sigaction(2)). Other ignored signals are queued all the same while blocked.
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            let mut wanted: libc::sigset_t = mem::zeroed();
            libc::sigemptyset(&mut wanted);
            libc::sigaddset(&mut wanted, libc::SIGCHLD);
            libc::sigaddset(&mut wanted, libc::SIGTERM);
            libc::sigaddset(&mut wanted, libc::SIGIO);
            let fd = libc::signalfd(-1, &wanted, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(SignalQueue { fd: OwnedFd::from_raw_fd(fd) })
        }
    }

    /// Asks the kernel to queue [`Received::DirectoryChanged`] when a name in `directory` is removed or renamed, as long
    /// as that descriptor is open (dnotify). It costs no inotify instance, of which a user has few (inotify(7)), and no
    /// further descriptor. Not reported: the removal and the renaming of the directory itself.
    ///
    /// # Errors
    /// `EINVAL` where the kernel was built without dnotify.
    pub fn watch_removals(&self, directory: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: the descriptor is open for the length of the call; the kernel takes an integer, and sends SIGIO,
        // which `open` has blocked, to this process alone.
        let result = unsafe { libc::fcntl(directory.as_raw_fd(), libc::F_NOTIFY, DN_DELETE | DN_MULTISHOT) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Takes the next signal; `None` when there is none.
    pub fn next(&self) -> Option<Received> {
        // SAFETY: signalfd_siginfo is plain data for which any bytes are valid; the buffer is as long as we say.
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

/// Whether the sender of a signal is systemd, of the system or of a user. It says why a job ended and nothing else, so a
/// name is enough.
fn is_service_manager(pid: u32) -> bool {
    pid != 0 && procfs::stat(pid).is_some_and(|stat| stat.name == "systemd")
}

impl AsFd for SignalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Asks a supervisor to end its job, and says who asks.
///
/// # Errors
/// `ESRCH` where the supervisor is gone.
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
        libc::syscall(libc::SYS_pidfd_send_signal, handle.as_raw_fd(), libc::SIGTERM, &raw const info, 0)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `siginfo_t` of a queued signal, as the kernel lays it out on 64-bit systems.
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
