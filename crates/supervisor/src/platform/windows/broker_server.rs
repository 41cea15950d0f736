//! Serves requests of a job's processes to start programs outside of the job (`broker.rs`). One thread of the supervisor
//! serves one process after the other.
#![allow(unsafe_code, reason = "named pipes, and handles of other processes, have no safe wrapper")]

use std::io;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use homing_core::JobId;
use windows_sys::Win32::Foundation::{
    DUPLICATE_SAME_ACCESS, DuplicateHandle, ERROR_ACCESS_DENIED, ERROR_INVALID_PARAMETER, ERROR_IO_PENDING,
    ERROR_PIPE_CONNECTED, HANDLE,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, PIPE_ACCESS_DUPLEX,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Pipes::{
    ConnectNamedPipe, CreateNamedPipeW, DisconnectNamedPipe, GetNamedPipeClientProcessId,
    PIPE_REJECT_REMOTE_CLIENTS, PIPE_TYPE_BYTE,
};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, PROCESS_DUP_HANDLE, PROCESS_QUERY_INFORMATION,
};

use super::ProcessIdentity;
use super::broker::{Answer, MAX_REQUEST, StartRequest, pipe_name, read_exactly, write_all};
use super::create_process::borrowed;
use super::event::Event;
use super::job_object::JobObject;
use super::process::is_own_user;
use super::process_list::open;
use super::security::SecurityDescriptor;
use super::spawn::create_requested;
use super::wait::{WaitSource, wait};
use super::win32::{check, is_signaled, owned, raw, wide};

/// Capacity of the pipe, in bytes. Longer requests wait until they are read.
const CAPACITY: u32 = 64 << 10;

/// A broker of one job. Dropping it ends its thread.
#[derive(Debug)]
pub(super) struct Broker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    refuses: AtomicBool,
    started: Mutex<Vec<ProcessIdentity>>,
    /// Set when the thread shall end.
    stop: Event,
}

impl Broker {
    /// Begins to serve the processes in the job object of this job.
    ///
    /// # Errors
    /// If another process has the name of the pipe, or the system has no memory left.
    pub(super) fn serve(id: JobId, job: Arc<JobObject>) -> io::Result<Broker> {
        let shared =
            Shared { refuses: AtomicBool::new(false), started: Mutex::default(), stop: Event::new()? };
        let shared = Arc::new(shared);
        let server = Server { pipe: create_pipe(id)?, job, shared: Arc::clone(&shared) };
        let thread = thread::Builder::new().name("broker".to_owned()).spawn(move || server.run())?;
        Ok(Broker { shared, thread: Some(thread) })
    }

    /// Refuses all requests from now on: the job is ending.
    pub(super) fn refuse(&self) {
        self.shared.refuses.store(true, Ordering::SeqCst);
    }

    /// Returns the programs that were started so far.
    pub(super) fn started(&self) -> Vec<ProcessIdentity> {
        self.shared.started.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.refuse();
        self.shared.stop.set();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn create_pipe(id: JobId) -> io::Result<OwnedHandle> {
    let name = wide(pipe_name(id))?;
    let attributes = SecurityDescriptor::private_object()?.attributes();
    let mode = PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE | FILE_FLAG_OVERLAPPED;
    let kind = PIPE_TYPE_BYTE | PIPE_REJECT_REMOTE_CLIENTS;
    // SAFETY: name and attributes live during the call; the new handle has no other owner.
    unsafe { owned(CreateNamedPipeW(name.as_ptr(), mode, kind, 1, CAPACITY, CAPACITY, 0, &attributes)) }
}

struct Server {
    pipe: OwnedHandle,
    job: Arc<JobObject>,
    shared: Arc<Shared>,
}

impl Server {
    fn run(&self) {
        while self.wait_for_client().is_ok() && !is_signaled(&self.shared.stop) {
            // An error means that the client has gone, or is not a process of the job.
            let _ = self.serve_client();
            // SAFETY: the handle is open. What the client has not read is lost, so `serve_client` waits for it.
            unsafe { DisconnectNamedPipe(raw(&self.pipe)) };
        }
    }

    /// Waits until a process has connected.
    ///
    /// # Errors
    /// If the thread shall end.
    fn wait_for_client(&self) -> io::Result<()> {
        let event = Event::new()?;
        let mut state = OVERLAPPED { hEvent: raw(&event), ..OVERLAPPED::default() };
        // SAFETY: the pipe is open; structure and event live until the operation has ended, which the last call waits for.
        unsafe {
            if let Err(error) = check(ConnectNamedPipe(raw(&self.pipe), &mut state)) {
                match error.raw_os_error().map(i32::cast_unsigned) {
                    Some(ERROR_PIPE_CONNECTED) => return Ok(()),
                    Some(ERROR_IO_PENDING) => {}
                    _ => return Err(error),
                }
            }
            let stop = &self.shared.stop;
            let either = WaitSource::of_objects([event.as_handle(), stop.as_handle()]);
            if wait(&[either], None).is_err() || is_signaled(stop) {
                // A process that connects at the same time gets no answer.
                CancelIoEx(raw(&self.pipe), &state);
            }
            let mut none = 0;
            check(GetOverlappedResult(raw(&self.pipe), &state, &mut none, 1))
        }
    }

    fn serve_client(&self) -> io::Result<()> {
        let mut length = [0; 4];
        read_exactly(&self.pipe, &mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MAX_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = vec![0; length];
        read_exactly(&self.pipe, &mut bytes)?;
        let answer = if self.shared.refuses.load(Ordering::SeqCst) {
            Answer::IsEnding
        } else {
            self.start(&bytes).unwrap_or_else(|error| {
                let unknown = ERROR_INVALID_PARAMETER.cast_signed();
                Answer::Failed(error.raw_os_error().unwrap_or(unknown))
            })
        };
        write_all(&self.pipe, &answer.encode())?;
        // The client closes its end after it has read the answer. It sends nothing more.
        let _ = read_exactly(&self.pipe, &mut [0]);
        Ok(())
    }

    fn start(&self, bytes: &[u8]) -> io::Result<Answer> {
        let denied = || io::Error::from_raw_os_error(ERROR_ACCESS_DENIED.cast_signed());
        let mut pid = 0;
        // SAFETY: the handle is open, and the call writes to a live local.
        unsafe { check(GetNamedPipeClientProcessId(raw(&self.pipe), &mut pid))? };
        let client = open(pid, PROCESS_DUP_HANDLE | PROCESS_QUERY_INFORMATION)?;
        if !self.job.contains(client.as_handle()) || !is_own_user(pid) {
            return Err(denied());
        }
        let (request, handles) = StartRequest::decode(bytes).ok_or_else(denied)?;
        let standard = [take(&client, handles[0])?, take(&client, handles[1])?, take(&client, handles[2])?];
        let created = create_requested(&request, borrowed(&standard))?;
        if let Some(process) = ProcessIdentity::of(created.pid) {
            self.shared.started.lock().unwrap_or_else(PoisonError::into_inner).push(process);
        }
        Ok(Answer::Started(give(&client, &created.process)?))
    }
}

/// Copies a handle of the client into this process.
fn take(client: &OwnedHandle, handle: u64) -> io::Result<OwnedHandle> {
    let source = std::ptr::without_provenance_mut(usize::try_from(handle).unwrap_or(0));
    let mut copy: HANDLE = std::ptr::null_mut();
    // SAFETY: the handle of the client is open; the number of its handle is checked by the system; the new handle has no
    // other owner.
    unsafe {
        let this = GetCurrentProcess();
        check(DuplicateHandle(raw(client), source, this, &mut copy, 0, 0, DUPLICATE_SAME_ACCESS))?;
        owned(copy)
    }
}

/// Copies a handle of this process into the client, and returns its number there.
fn give(client: &OwnedHandle, handle: &OwnedHandle) -> io::Result<u64> {
    let mut copy: HANDLE = std::ptr::null_mut();
    // SAFETY: all handles are open; the new one belongs to the client, which takes ownership of it.
    unsafe {
        let this = GetCurrentProcess();
        let client = raw(client);
        check(DuplicateHandle(this, raw(handle), client, &mut copy, 0, 0, DUPLICATE_SAME_ACCESS))?;
    }
    Ok(copy.addr() as u64)
}
