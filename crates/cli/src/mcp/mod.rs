//! The MCP front end: jobs as tools and as tasks, over standard input and output or over HTTP. All durable state is
//! in the home, so a server may be killed and restarted.

mod advice;
mod answer;
mod arguments;
mod blocking;
mod delivery;
mod excerpt;
mod facts;
mod home_handle;
mod http;
mod line_transport;
mod lines;
mod progress;
mod request;
mod results;
mod server;
mod sessions;
mod stdio;
mod tasks;
mod tools;
mod waiting;
mod words;

pub(crate) use http::{HttpOptions, TokenSource};
pub(crate) use sessions::SessionRule;

use std::io::{self, IsTerminal};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use homing_supervisor::platform::interrupt::Interrupt;
use tokio::runtime::Runtime;

use crate::exit::Failure;
use crate::render::say;
use home_handle::HomeHandle;
use server::Server;

/// How long running calls may continue when the server shuts down.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves one client on standard input and output until it disconnects.
pub(crate) fn serve_stdio(sessions: SessionRule) -> Result<(), Failure> {
    let server = Server::new(HomeHandle::open()?, sessions);
    if io::stdin().is_terminal() {
        say("waiting for an MCP client on standard input (to add one: claude mcp add homing -- homing mcp)");
    }
    run(stdio::serve(server))
}

/// Serves any number of clients over HTTP until the process ends.
pub(crate) fn serve_http(sessions: SessionRule, options: HttpOptions) -> Result<(), Failure> {
    let home = HomeHandle::open()?;
    let token = options.token.read(&home)?;
    run(http::serve(Server::new(home, sessions), options, token))
}

/// Most threads for blocking work. Further calls wait for a free thread.
const MAX_THREADS: usize = 16;

/// How long an idle blocking thread is kept: as long as the server runs.
const THREAD_KEEP_ALIVE: Duration = Duration::from_secs(u32::MAX as u64);

fn run(serving: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
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
                // Some clients stop a server right after a reply. A result that is not acknowledged by then is
                // delivered again.
                let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, delivery::all_acknowledged()).await;
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
