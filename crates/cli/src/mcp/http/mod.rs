//! Serves any number of clients over streamable HTTP. Checks the token before it reads the body of a request.

mod body;
mod endpoint;

pub(crate) use endpoint::{MAX_BODY_BYTES, McpEndpoint};

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use rmcp::transport::StreamableHttpServerConfig;
use tokio::net::TcpListener;

use super::server::Server;
use crate::exit::Failure;
use crate::render::{note, say};
use crate::server::{
    Connection, ConnectionLimit, MAX_CONNECTIONS, Socket, Token, TokenSource, bearer_token, read_body,
    serve_connection,
};
use body::Reply;

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
pub(super) async fn serve(server: Server, options: HttpOptions, token: Token) -> Result<(), Failure> {
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
    let endpoint = McpEndpoint::with(server, config(&options, address.ip()));
    let shared = Arc::new(HttpServer { token, endpoint });
    let mut limit = ConnectionLimit::new(MAX_CONNECTIONS);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (server, connection) = (Arc::clone(&shared), limit.admit());
                let socket = Socket::from(stream);
                let replies = socket.clone();
                let answer = move |request, connection: Arc<Connection>| {
                    let (server, socket) = (Arc::clone(&server), replies.clone());
                    async move { server.answer(request, &connection, socket).await }
                };
                tokio::spawn(serve_connection(socket, connection, std::future::pending(), answer));
            }
            // Too many open files, or the client has closed the connection. An immediate retry would fail again.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// State that all connections share.
struct HttpServer {
    token: Token,
    endpoint: McpEndpoint,
}

/// The hosts and origins that are accepted.
fn config(options: &HttpOptions, address: IpAddr) -> StreamableHttpServerConfig {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let hosts = names.into_iter().chain([address.to_string()]).chain(options.hosts.iter().cloned());
    let own_pages = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"].map(str::to_owned);
    let origins = own_pages.into_iter().chain(options.origins.iter().cloned());
    StreamableHttpServerConfig::default()
        .with_allowed_hosts(hosts)
        .with_allowed_origins(origins)
        .enforce_origin_validation()
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
        match bearer_token(request.headers()) {
            Some(token) if self.token.is(token) => {}
            Some(_) => return closing(refuse("wrong token")),
            None => return closing(refuse("send the token as Authorization: Bearer TOKEN")),
        }
        if !connection.authenticate() {
            return closing(plain(StatusCode::SERVICE_UNAVAILABLE, "too many connections\n".to_owned()));
        }
        let (head, body) = request.into_parts();
        match read_body(body, MAX_BODY_BYTES).await {
            Ok(body) => self.endpoint.answer(Request::from_parts(head, body), socket).await,
            Err(error) => closing(plain(error.status(), format!("{}\n", error.message()))),
        }
    }
}

/// Refuses a request. The message reveals nothing that helps to guess the token.
fn refuse(message: &str) -> Response<Reply> {
    let mut response = plain(StatusCode::UNAUTHORIZED, format!("{message}\n"));
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
