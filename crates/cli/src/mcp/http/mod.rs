//! Any number of clients over streamable HTTP. Who may come in is decided before anything else is looked at.

mod access;
mod body;
mod token;

pub(super) use token::TOKEN_VARIABLE;
pub(crate) use token::TokenSource;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::delivery::Delivery;
use super::server::Server;
use super::waiting::LONGEST_WAIT;
use crate::exit::{Failure, note, say};
use access::{Access, Refusal};
use body::{Followed, Reply};

/// Most connections at once; what comes beyond waits.
const MOST_CONNECTIONS: usize = 512;

/// How long a client may take for the head of a request.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the protocol is spoken.
const PATH: &str = "/mcp";

/// Where clients are waited for, and who may come.
#[derive(Debug)]
pub(crate) struct HttpOptions {
    pub(crate) address: SocketAddr,
    pub(crate) token: TokenSource,
    /// Names of this server besides its address and the names of this machine.
    pub(crate) hosts: Vec<String>,
    /// Pages of other servers that may ask this one.
    pub(crate) origins: Vec<String>,
}

/// Serves until the process is ended. Jobs and what is due survive that.
pub(super) async fn serve(server: Server, options: HttpOptions, token: token::Token) -> Result<(), Failure> {
    let listener = TcpListener::bind(options.address).await.map_err(|error| Failure::Refused {
        code: "listen",
        message: format!("cannot listen on {}: {error}", options.address),
        hint: Some("name another address, or port 0 for a free one".to_owned()),
    })?;
    let address = listener.local_addr()?;
    say(&format!("MCP on http://{address}{PATH}, with the token {}", token.whence()));
    if !address.ip().is_loopback() {
        note("whoever reaches this address and has the token runs commands as you; nothing is encrypted");
    }
    let door = Arc::new(Door { access: Access::new(token), mcp: service(server, &options, address.ip()) });
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        match listener.accept().await {
            Ok((stream, _)) => {
                let door = Arc::clone(&door);
                tokio::spawn(async move {
                    attend_to(stream, door).await;
                    drop(place);
                });
            }
            // Too many files are open, or the client has gone again: neither is helped by asking at once.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// What every connection leads to.
struct Door {
    access: Access,
    mcp: StreamableHttpService<Server, LocalSessionManager>,
}

fn service(
    server: Server,
    options: &HttpOptions,
    address: IpAddr,
) -> StreamableHttpService<Server, LocalSessionManager> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let hosts = names.into_iter().chain([address.to_string()]).chain(options.hosts.iter().cloned());
    let own_pages = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"].map(str::to_owned);
    let origins = own_pages.into_iter().chain(options.origins.iter().cloned());
    let config = StreamableHttpServerConfig::default()
        .with_allowed_hosts(hosts)
        .with_allowed_origins(origins)
        .enforce_origin_validation();
    let mut sessions = LocalSessionManager::default();
    // A wait says nothing where nobody asks for progress, and its session must not end before it does.
    sessions.session_config.keep_alive = Some(LONGEST_WAIT + Duration::from_secs(300));
    StreamableHttpService::new(move || Ok(server.clone()), Arc::new(sessions), config)
}

async fn attend_to(stream: TcpStream, door: Arc<Door>) {
    let answer = service_fn(move |request| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.answer(request).await) }
    });
    // How a conversation ends is the client's affair.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

impl Door {
    async fn answer(&self, mut request: Request<Incoming>) -> Response<Reply> {
        if request.uri().path() != PATH {
            return plain(StatusCode::NOT_FOUND, format!("the protocol is spoken at {PATH}\n"));
        }
        if let Err(refusal) = self.access.check(request.headers()) {
            return refuse(&refusal);
        }
        let delivery = Delivery::default();
        request.extensions_mut().insert(delivery.clone());
        self.mcp.handle(request).await.map(|body| Reply::Followed(Followed::new(body, delivery)))
    }
}

fn refuse(refusal: &Refusal) -> Response<Reply> {
    let mut response = plain(StatusCode::UNAUTHORIZED, format!("{}\n", refusal.message()));
    let challenge = hyper::header::HeaderValue::from_static("Bearer realm=\"homing\"");
    response.headers_mut().insert(hyper::header::WWW_AUTHENTICATE, challenge);
    response
}

fn plain(status: StatusCode, text: String) -> Response<Reply> {
    let mut response = Response::new(Reply::Plain(Full::new(Bytes::from(text))));
    *response.status_mut() = status;
    response
}
