//! The door for agents that speak the Model Context Protocol: jobs as tools and as tasks, over standard input and output
//! or over HTTP. Holds no state that matters: the truth is in the home, so a server may be killed and started anew.

mod advice;
mod answer;
mod delivery;
mod documents;
mod excerpt;
mod home_handle;
mod http;
mod line_transport;
mod lines;
mod request;
mod server;
mod sessions;
mod stdio;
mod tasks;
mod tools;
mod waiting;

pub(crate) use http::{HttpOptions, TokenSource};
pub(crate) use sessions::SessionRule;

use std::io::{self, IsTerminal};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::exit::{Failure, say};
use home_handle::HomeHandle;
use server::Server;

/// How long calls that are under way may go on when the server ends.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves one client on standard input and output, until it is gone.
pub(crate) fn serve_stdio(sessions: SessionRule) -> Result<(), Failure> {
    let server = Server::new(HomeHandle::open()?, sessions);
    if io::stdin().is_terminal() {
        say("waiting for an MCP client on standard input (claude mcp add homing -- homing mcp sets one up)");
    }
    run(stdio::serve(server))
}

/// Serves any number of clients over HTTP, until the process is ended.
pub(crate) fn serve_http(sessions: SessionRule, options: HttpOptions) -> Result<(), Failure> {
    let home = HomeHandle::open()?;
    let token = options.token.read(&home)?;
    run(http::serve(Server::new(home, sessions), options, token))
}

/// Most threads for what blocks. More calls than that wait for each other.
const MOST_THREADS: usize = 16;

/// How long a thread for what blocks is kept: as long as the server runs.
const THREADS_STAY: Duration = Duration::from_secs(u32::MAX as u64);

fn run(serving: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let no_thread = |error: io::Error| Failure::Refused {
        code: "no_thread",
        message: format!("cannot make a thread: {error}"),
        hint: Some("the user or the machine has too many processes and threads (ulimit -u)".to_owned()),
    };
    probe_threads().map_err(no_thread)?;
    // One thread for the protocol; what blocks has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(MOST_THREADS)
        .thread_keep_alive(THREADS_STAY)
        .build()
        .map_err(no_thread)?;
    start_threads(&runtime);
    let asked_to_end = crate::interrupt::first_signal();
    let ended = runtime.block_on(async {
        tokio::pin!(serving);
        tokio::select! {
            served = &mut serving => Ended::Served(served),
            Ok(signal) = asked_to_end => {
                // Some clients end a server in the moment after a reply. What takes longer is told again.
                let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, delivery::all_acknowledged()).await;
                Ended::Asked(signal)
            }
        }
    });
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    match ended {
        Ended::Served(served) => served,
        Ended::Asked(signal) => std::process::exit(128 + signal),
    }
}

/// Why a server does not go on.
enum Ended {
    Served(Result<(), Failure>),
    /// By this signal.
    Asked(i32),
}

/// Whether two threads can be made, as [`start_threads`] makes them.
fn probe_threads() -> io::Result<()> {
    let (release, held) = mpsc::channel::<()>();
    let first = thread::Builder::new().spawn(move || held.recv())?;
    let second = thread::Builder::new().spawn(|| ());
    drop(release);
    // Neither panics, and both leave their places to those that follow.
    let _ = first.join();
    let _ = second?.join();
    Ok(())
}

/// Starts two threads for what blocks: one may be kept by standard input, where that cannot be polled. The runtime panics
/// where it has none and can make none, so the server has them from its start on.
fn start_threads(runtime: &Runtime) {
    let (release, held) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || held.recv());
    runtime.spawn_blocking(|| ());
    drop(release);
}

/// Does what blocks without holding up the protocol.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
