//! Processes as libproc shows them (`libproc.h`, `sys/proc_info.h`). Of processes of other users it shows little.
#![allow(unsafe_code, reason = "libproc has no safe wrapper")]

use std::io;
use std::mem;

/// `sys/proc_info.h`.
const PROC_ALL_PIDS: u32 = 1;
const PROC_PIDFDVNODEPATHINFO: libc::c_int = 2;

/// `PROX_FDTYPE_KQUEUE` of `sys/proc_info.h`.
pub(super) const KQUEUE: u32 = 5;
/// `PROX_FDTYPE_VNODE` of `sys/proc_info.h`.
pub(super) const VNODE: u32 = 1;

/// Room for processes that start between two calls.
const SPARE: usize = 64;

/// `struct vnode_fdinfowithpath` of `sys/proc_info.h`.
#[derive(Clone, Copy)]
#[repr(C)]
struct OpenVnode {
    /// `struct proc_fileinfo`: flags, status, offset, type, guard.
    _file: [u64; 3],
    vnode: libc::vnode_info_path,
}

/// An open file of a process that is a file or directory.
#[derive(Clone, Debug)]
pub(super) struct Vnode {
    pub(super) device: u32,
    pub(super) inode: u64,
    /// Its path now; empty if it has none any more.
    pub(super) path: Vec<u8>,
}

/// Returns the pids of all processes, including ended ones that are not reaped.
pub(super) fn all_pids() -> Vec<u32> {
    let size = size_of::<libc::pid_t>();
    let mut capacity = 1024;
    loop {
        let mut pids: Vec<libc::pid_t> = vec![0; capacity];
        let bytes = libc::c_int::try_from(capacity * size).unwrap_or(libc::c_int::MAX);
        // SAFETY: the buffer has the given size.
        let used = unsafe { libc::proc_listpids(PROC_ALL_PIDS, 0, pids.as_mut_ptr().cast(), bytes) };
        let count = usize::try_from(used).unwrap_or(0) / size;
        // A list that fills the buffer may be cut short.
        if count + SPARE > capacity {
            capacity *= 2;
            continue;
        }
        pids.truncate(count);
        return pids.into_iter().filter_map(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0).collect();
    }
}

/// Returns the status of a process, also of one that has ended and is not reaped.
///
/// # Errors
/// ESRCH if there is no such process; EPERM if another user owns it.
pub(super) fn status(pid: u32) -> io::Result<libc::proc_bsdinfo> {
    // SAFETY: all zeros are a valid value of this plain structure.
    let empty: libc::proc_bsdinfo = unsafe { mem::zeroed() };
    // SAFETY: PROC_PIDTBSDINFO writes this structure.
    unsafe { info(pid, libc::PROC_PIDTBSDINFO, empty) }
}

/// Returns the part of the status that every user may read. It has no start time.
///
/// # Errors
/// ESRCH if there is no such process.
pub(super) fn short_status(pid: u32) -> io::Result<libc::proc_bsdshortinfo> {
    // SAFETY: all zeros are a valid value of this plain structure.
    let empty: libc::proc_bsdshortinfo = unsafe { mem::zeroed() };
    // SAFETY: PROC_PIDT_SHORTBSDINFO writes this structure.
    unsafe { info(pid, libc::PROC_PIDT_SHORTBSDINFO, empty) }
}

/// Returns what a process and its ended children use. Times are ticks of mach_absolute_time.
///
/// # Errors
/// ESRCH if there is no such process; EPERM if another user owns it.
pub(super) fn usage(pid: u32) -> io::Result<libc::rusage_info_v2> {
    let pid = checked(pid)?;
    // SAFETY: all zeros are a valid value of this plain structure, and RUSAGE_INFO_V2 writes this structure.
    unsafe {
        let mut usage: libc::rusage_info_v2 = mem::zeroed();
        match libc::proc_pid_rusage(pid, libc::RUSAGE_INFO_V2, (&raw mut usage).cast()) {
            0 => Ok(usage),
            _ => Err(last_error()),
        }
    }
}

/// # Safety
/// `T` is the plain structure that this kind of information has.
unsafe fn info<T>(pid: u32, kind: libc::c_int, mut value: T) -> io::Result<T> {
    let pid = checked(pid)?;
    let size = libc::c_int::try_from(size_of::<T>()).expect("the structures are small");
    // The argument 1 includes processes that have ended and are not reaped (proc_pidinfo in the kernel's proc_info.c).
    // SAFETY: the buffer has the given size, and the caller guarantees its type.
    let used = unsafe { libc::proc_pidinfo(pid, kind, 1, (&raw mut value).cast(), size) };
    if used == size { Ok(value) } else { Err(last_error()) }
}

/// Returns the descriptors of a process and their types (`PROX_FDTYPE_*`).
///
/// # Errors
/// If the process has ended or belongs to another user.
pub(super) fn descriptors(pid: u32) -> io::Result<Vec<(i32, u32)>> {
    let pid = checked(pid)?;
    let size = size_of::<libc::proc_fdinfo>();
    let mut capacity = 256;
    loop {
        // SAFETY: all zeros are a valid value of this plain structure.
        let mut found: Vec<libc::proc_fdinfo> = vec![unsafe { mem::zeroed() }; capacity];
        let bytes = libc::c_int::try_from(capacity * size).unwrap_or(libc::c_int::MAX);
        // SAFETY: the buffer has the given size, and PROC_PIDLISTFDS writes an array of this structure.
        let used =
            unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDLISTFDS, 0, found.as_mut_ptr().cast(), bytes) };
        if used <= 0 {
            return Err(last_error());
        }
        let count = usize::try_from(used).unwrap_or(0) / size;
        // A list that fills the buffer may be cut short.
        if count == capacity {
            capacity *= 2;
            continue;
        }
        return Ok(found[..count].iter().map(|open| (open.proc_fd, open.proc_fdtype)).collect());
    }
}

/// Returns the file or directory of a descriptor of type [`VNODE`].
///
/// # Errors
/// If the process has closed it or has ended.
pub(super) fn vnode(pid: u32, descriptor: i32) -> io::Result<Vnode> {
    let pid = checked(pid)?;
    let size = libc::c_int::try_from(size_of::<OpenVnode>()).expect("the structure is small");
    // SAFETY: all zeros are a valid value of this plain structure; the buffer has the given size, and
    // PROC_PIDFDVNODEPATHINFO writes this structure.
    let (used, open) = unsafe {
        let mut open: OpenVnode = mem::zeroed();
        let data = (&raw mut open).cast();
        (libc::proc_pidfdinfo(pid, descriptor, PROC_PIDFDVNODEPATHINFO, data, size), open)
    };
    if used != size {
        return Err(last_error());
    }
    let status = &open.vnode.vip_vi.vi_stat;
    let path = open.vnode.vip_path.as_flattened().iter().map(|byte| byte.cast_unsigned());
    Ok(Vnode {
        device: status.vst_dev,
        inode: status.vst_ino,
        path: path.take_while(|byte| *byte != 0).collect(),
    })
}

/// A pid as libproc takes it. No process has a larger one.
fn checked(pid: u32) -> io::Result<libc::c_int> {
    libc::c_int::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))
}

/// libproc returns 0 for errors, and sets errno.
fn last_error() -> io::Error {
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(0) => io::Error::from_raw_os_error(libc::ESRCH),
        error => error,
    }
}

/// Returns the session of a process; 0 if it has ended.
pub(super) fn session(pid: u32) -> u32 {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return 0 };
    // SAFETY: the call takes and returns a number.
    u32::try_from(unsafe { libc::getsid(pid) }).unwrap_or(0)
}
