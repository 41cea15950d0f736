//! The runtime of a server: one thread for connections, and a few for blocking work.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use homing_supervisor::platform::interrupt::Interrupt;
use tokio::runtime::Runtime;

use crate::exit::Failure;

/// How long running calls may continue when the server shuts down.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Most threads for blocking work. Further calls wait for a free thread.
const MAX_THREADS: usize = 16;

/// How long an idle blocking thread is kept: as long as the server runs.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(u32::MAX as u64);

/// Serves until `serving` completes or a signal asks for the end. After a signal, `closing` runs for at most two seconds,
/// and this process ends with the status for the signal.
///
/// # Errors
/// That of `serving`, or if no thread can be created.
pub(crate) fn run(
    serving: impl Future<Output = Result<(), Failure>>,
    closing: impl Future<Output = ()>,
) -> Result<(), Failure> {
    let thread_error = |error: io::Error| Failure::Refused {
        code: "no_thread",
        message: format!("cannot make a thread: {error}"),
        hint: Some("the limit of processes and threads is reached (ulimit -u)".to_owned()),
    };
    probe_threads().map_err(thread_error)?;
    // One thread for the protocol; blocking work has its own threads.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MAX_THREADS)
        .thread_keep_alive(THREAD_KEEP_ALIVE)
        .build()
        .map_err(thread_error)?;
    start_threads(&runtime);
    let terminated = crate::interrupt::first_signal();
    let ended = runtime.block_on(async {
        tokio::pin!(serving);
        tokio::select! {
            served = &mut serving => Ended::Served(served),
            Ok(interrupt) = terminated => {
                // Tasks of connections go on meanwhile; no further connection is accepted.
                let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, closing).await;
                Ended::Interrupted(interrupt)
            }
        }
    });
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    match ended {
        Ended::Served(served) => served,
        Ended::Interrupted(interrupt) => std::process::exit(interrupt.exit_status()),
    }
}

/// Why a server stops.
enum Ended {
    Served(Result<(), Failure>),
    /// A signal asked it to.
    Interrupted(Interrupt),
}

/// Checks that two threads can be created, as [`start_threads`] does.
fn probe_threads() -> io::Result<()> {
    let (release, held) = mpsc::channel::<()>();
    let first = thread::Builder::new().spawn(move || held.recv())?;
    let second = thread::Builder::new().spawn(|| ());
    drop(release);
    // Neither thread panics. Both must end before the runtime creates its own.
    let _ = first.join();
    let _ = second?.join();
    Ok(())
}

/// Starts two blocking threads: standard input occupies one if it cannot be polled. The runtime panics if it has
/// none and cannot create one, so the server starts them first.
fn start_threads(runtime: &Runtime) {
    let (release, held) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || held.recv());
    runtime.spawn_blocking(|| ());
    drop(release);
}
