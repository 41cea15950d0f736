//! Completes a future when a source is ready. The system's pool of threads waits, so no thread of this process does, and
//! it works in every runtime.

use std::future::poll_fn;
use std::io;
use std::os::windows::io::BorrowedHandle;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::registered_wait::RegisteredWait;
use super::wait::{OwnedWaitSource, WaitSource};

/// Something to wait for in an asynchronous task.
#[derive(Debug)]
pub struct AsyncWait {
    source: OwnedWaitSource,
}

/// What a wait knows in all threads.
#[derive(Debug, Default)]
struct Signal {
    is_ready: bool,
    waker: Option<Waker>,
}

impl AsyncWait {
    /// Keeps its own copy of the source.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] if the system does not signal when the source is ready: it is the end of a pipe that
    /// another program passed. Also if this process has no handle left.
    pub fn new(source: WaitSource<'_>) -> io::Result<AsyncWait> {
        if source.objects().is_none() {
            return Err(super::wait::no_object());
        }
        Ok(AsyncWait { source: source.try_clone_to_owned()? })
    }

    /// Completes when the source is ready. It may complete too often. The next call waits again, and completes at once if
    /// the source is still ready.
    ///
    /// # Errors
    /// If the system has no memory left.
    pub async fn ready(&self) -> io::Result<()> {
        let signal = Arc::new(Mutex::new(Signal::default()));
        let objects = self.source.source().objects().ok_or_else(super::wait::no_object)?;
        // Dropped with this future, also before it completes.
        let _waits =
            objects.map(|object| register(object, &signal)).collect::<io::Result<Vec<RegisteredWait>>>()?;
        poll_fn(|context| poll(&signal, context)).await;
        Ok(())
    }
}

fn register(object: BorrowedHandle<'_>, signal: &Arc<Mutex<Signal>>) -> io::Result<RegisteredWait> {
    let signal = Arc::clone(signal);
    RegisteredWait::new(object, move || {
        let waker = {
            let mut signal = lock(&signal);
            signal.is_ready = true;
            signal.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    })
}

fn poll(signal: &Mutex<Signal>, context: &Context<'_>) -> Poll<()> {
    let mut signal = lock(signal);
    if signal.is_ready {
        return Poll::Ready(());
    }
    signal.waker = Some(context.waker().clone());
    Poll::Pending
}

fn lock(signal: &Mutex<Signal>) -> MutexGuard<'_, Signal> {
    signal.lock().unwrap_or_else(PoisonError::into_inner)
}
