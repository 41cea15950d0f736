//! Listens on TCP and on the socket of this user, and serves the connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use homing_supervisor::platform::local_socket::{LocalListener, remove_abandoned};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::closing::Closing;
use super::directory::Directory;
use super::gate::{Client, Gate, Via};
use super::instance::PRIVATE_SOCKET;
use crate::exit::Failure;
use crate::server::{Connection, ConnectionLimit, MAX_CONNECTIONS, Socket, serve_connection};

/// The port, unless the user names one.
pub(super) const DEFAULT_PORT: u16 = 7464;

/// How long open requests may take when the server ends.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How many ports are tried, from the default one on.
const TRIED_PORTS: u16 = 100;

/// Where to listen on TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpAddress {
    pub(crate) ip: IpAddr,
    /// `None` for the default port, or the next free one.
    pub(crate) port: Option<u16>,
}

/// Accepts connections.
pub(super) struct Acceptor {
    gate: Arc<Gate>,
    limit: Mutex<ConnectionLimit>,
    closing: Closing,
    /// The number of open connections.
    open: watch::Sender<usize>,
}

/// Listens on TCP.
///
/// # Errors
/// When the address cannot be used, or no port is free.
pub(super) async fn bind_tcp(address: TcpAddress) -> Result<TcpListener, Failure> {
    let failed = |address: SocketAddr, error: io::Error| Failure::Refused {
        code: "listen",
        message: format!("cannot listen on {address}: {error}"),
        hint: Some("choose another address, or port 0 for any free port".to_owned()),
    };
    if let Some(port) = address.port {
        let address = SocketAddr::new(address.ip, port);
        return TcpListener::bind(address).await.map_err(|error| failed(address, error));
    }
    let mut port = DEFAULT_PORT;
    loop {
        let address = SocketAddr::new(address.ip, port);
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && port < DEFAULT_PORT + TRIED_PORTS => {
                port += 1;
            }
            bound => return bound.map_err(|error| failed(address, error)),
        }
    }
}

/// Listens on a socket in the directory of the server or, if its path is too long for a socket, in the directory for files of
/// running programs (`XDG_RUNTIME_DIR`). Returns the path too.
///
/// # Errors
/// When no socket can be created. [`io::ErrorKind::Unsupported`] on systems without such sockets.
pub(super) fn bind_socket(directory: &Directory, name: &str) -> io::Result<(LocalListener, PathBuf)> {
    let path = directory.file(name);
    match bind_in(&path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
            let fallback = directory.runtime_directory()?.ok_or(error)?.join(name);
            Ok((bind_in(&fallback)?, fallback))
        }
        bound => bound.map(|listener| (listener, path)),
    }
}

/// Listens, and removes what private servers have left that were killed.
fn bind_in(path: &Path) -> io::Result<LocalListener> {
    if let Some(directory) = path.parent() {
        remove_abandoned(directory, PRIVATE_SOCKET);
    }
    LocalListener::bind(path)
}

impl Acceptor {
    pub(super) fn new(gate: Gate, closing: Closing) -> Acceptor {
        let limit = Mutex::new(ConnectionLimit::new(MAX_CONNECTIONS));
        Acceptor { gate: Arc::new(gate), limit, closing, open: watch::Sender::new(0) }
    }

    /// Completes when no connection is open, at the latest after [`CLOSE_TIMEOUT`].
    pub(super) async fn all_closed(&self) {
        let mut open = self.open.subscribe();
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, open.wait_for(|open| *open == 0)).await;
    }

    /// Accepts connections over TCP, for ever.
    pub(super) async fn accept_tcp(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // A message of a stream must not wait for more bytes.
                    let _ = stream.set_nodelay(true);
                    self.serve(Socket::from(stream), Via::Tcp);
                }
                Err(_) => pause().await,
            }
        }
    }

    /// Accepts connections by the socket, for ever.
    pub(super) async fn accept_local(&self, listener: &LocalListener) {
        loop {
            match listener.accept().await {
                Ok(stream) => self.serve(Socket::from(stream), Via::LocalSocket),
                Err(_) => pause().await,
            }
        }
    }

    fn serve(&self, socket: Socket, via: Via) {
        let connection = self.limit.lock().unwrap_or_else(PoisonError::into_inner).admit();
        let (gate, open) = (Arc::clone(&self.gate), Open::new(self.open.clone()));
        let closing = self.closing.clone();
        tokio::spawn(async move {
            let _open = open;
            let replies = socket.clone();
            let answer = move |request, connection: Arc<Connection>| {
                let client = Client { connection, socket: replies.clone(), via };
                let gate = Arc::clone(&gate);
                async move { gate.answer(request, &client).await }
            };
            serve_connection(socket, connection, closing.begun(), answer).await;
        });
    }
}

/// One open connection, which is counted while this exists.
struct Open(watch::Sender<usize>);

impl Open {
    fn new(count: watch::Sender<usize>) -> Open {
        count.send_modify(|open| *open += 1);
        Open(count)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// Waits after a connection could not be accepted: too many files are open, or the client has closed it. An immediate retry
/// would fail again.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}
