//! Serves any number of clients over streamable HTTP. Checks the token before it reads the body of a request.

mod access;
mod body;
mod connections;
mod socket;
mod token;

pub(super) use token::TOKEN_VARIABLE;
pub(crate) use token::TokenSource;

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::delivery::Delivery;
use super::server::Server;
use super::waiting::MAX_WAIT;
use crate::exit::Failure;
use crate::render::{note, say};
use access::{Access, Refusal};
use body::{Reply, TrackedBody};
use connections::{Connection, ConnectionLimit};
use socket::Socket;

/// Most connections of clients that have sent the token.
const MAX_CONNECTIONS: usize = 512;

/// How long a client may take to send the head of a further request.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take to send the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Path of the MCP endpoint.
const PATH: &str = "/mcp";

/// The address to listen on, and the clients to accept.
#[derive(Debug)]
pub(crate) struct HttpOptions {
    pub(crate) address: SocketAddr,
    pub(crate) token: TokenSource,
    /// Accepted host names besides the address and the names of this machine.
    pub(crate) hosts: Vec<String>,
    /// Accepted origins besides the pages of this machine.
    pub(crate) origins: Vec<String>,
}

/// Serves until the process ends. Jobs and undelivered results survive it.
pub(super) async fn serve(server: Server, options: HttpOptions, token: token::Token) -> Result<(), Failure> {
    let listener = TcpListener::bind(options.address).await.map_err(|error| Failure::Refused {
        code: "listen",
        message: format!("cannot listen on {}: {error}", options.address),
        hint: Some("choose another address, or port 0 for any free port".to_owned()),
    })?;
    let address = listener.local_addr()?;
    say(&format!("MCP on http://{address}{PATH}, token {}", token.source()));
    if !address.ip().is_loopback() {
        note(
            "anyone who reaches this address and has the token can run commands as you; traffic is not encrypted",
        );
    }
    let shared =
        Arc::new(HttpServer { access: Access::new(token), service: service(server, &options, address.ip()) });
    let mut limit = ConnectionLimit::new(MAX_CONNECTIONS);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (server, connection) = (Arc::clone(&shared), limit.admit());
                tokio::spawn(async move {
                    tokio::select! {
                        () = serve_connection(Socket::new(stream), server, Arc::clone(&connection)) => {}
                        () = connection.must_close() => {}
                    }
                });
            }
            // Too many open files, or the client has closed the connection. An immediate retry would fail again.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// State that all connections share.
struct HttpServer {
    access: Access,
    service: StreamableHttpService<Server, LocalSessionManager>,
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
    // A wait without progress notifications sends nothing. Its session must survive it.
    sessions.session_config.keep_alive = Some(MAX_WAIT + Duration::from_secs(300));
    StreamableHttpService::new(move || Ok(server.clone()), Arc::new(sessions), config)
}

async fn serve_connection(socket: Socket, server: Arc<HttpServer>, connection: Arc<Connection>) {
    let replies = socket.clone();
    let answer = service_fn(move |request| {
        let (server, connection, socket) = (Arc::clone(&server), Arc::clone(&connection), replies.clone());
        async move { Ok::<_, Infallible>(server.answer(request, &connection, socket).await) }
    });
    // A client may close the connection at any time: that is not an error.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CLIENT_TIMEOUT)
        .serve_connection(TokioIo::new(socket), answer)
        .await;
}

impl HttpServer {
    async fn answer(
        &self,
        request: Request<Incoming>,
        connection: &Connection,
        socket: Socket,
    ) -> Response<Reply> {
        // Refuse repeated headers: one program would use the first, another the last.
        for name in [hyper::header::HOST, hyper::header::ORIGIN] {
            if request.headers().get_all(&name).iter().count() > 1 {
                return closing(plain(StatusCode::BAD_REQUEST, format!("more than one {name} header\n")));
            }
        }
        if request.uri().path() != PATH {
            return closing(plain(StatusCode::NOT_FOUND, format!("not found; the MCP endpoint is {PATH}\n")));
        }
        if let Err(refusal) = self.access.check(request.headers()) {
            return closing(refuse(&refusal));
        }
        if !connection.authenticate() {
            return closing(plain(StatusCode::SERVICE_UNAVAILABLE, "too many connections\n".to_owned()));
        }
        let (head, body) = request.into_parts();
        let body = match timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
            Ok(Ok(body)) => Full::new(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let text = format!("the body of a request may have at most {MAX_BODY_BYTES} bytes\n");
                return closing(plain(StatusCode::PAYLOAD_TOO_LARGE, text));
            }
            Ok(Err(error)) => return closing(plain(StatusCode::BAD_REQUEST, format!("{error}\n"))),
            Err(_) => {
                return closing(plain(
                    StatusCode::REQUEST_TIMEOUT,
                    "timed out while reading the request\n".to_owned(),
                ));
            }
        };
        let mut request = Request::from_parts(head, body);
        let delivery = Delivery::default();
        request.extensions_mut().insert(delivery.clone());
        self.service
            .handle(request)
            .await
            .map(|body| Reply::Tracked(TrackedBody::new(body, delivery, socket)))
    }
}

fn refuse(refusal: &Refusal) -> Response<Reply> {
    let mut response = plain(StatusCode::UNAUTHORIZED, format!("{}\n", refusal.message()));
    let challenge = hyper::header::HeaderValue::from_static("Bearer realm=\"homing\"");
    response.headers_mut().insert(hyper::header::WWW_AUTHENTICATE, challenge);
    response
}

/// A response after which the connection is closed.
fn closing(mut response: Response<Reply>) -> Response<Reply> {
    response
        .headers_mut()
        .insert(hyper::header::CONNECTION, hyper::header::HeaderValue::from_static("close"));
    response
}

fn plain(status: StatusCode, text: String) -> Response<Reply> {
    let mut response = Response::new(Reply::Plain(Full::new(Bytes::from(text))));
    *response.status_mut() = status;
    response
}
