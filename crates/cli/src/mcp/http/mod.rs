//! Any number of clients over streamable HTTP. Who may come in is decided before anything else is looked at.

mod access;
mod body;
mod strangers;
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
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::delivery::Delivery;
use super::server::Server;
use super::waiting::LONGEST_WAIT;
use crate::exit::{Failure, note, say};
use access::{Access, Refusal};
use body::{Followed, Reply};
use strangers::{Strangers, Visitor};

/// Most connections of clients that have shown the token.
const MOST_CONNECTIONS: usize = 512;

/// How long a client may take for the head of a further request.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take for the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest body of a request, in bytes.
const MAX_BODY_BYTES: usize = 16 << 20;

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
    let shared =
        Arc::new(HttpServer { access: Access::new(token), mcp: service(server, &options, address.ip()) });
    let mut strangers = Strangers::new(MOST_CONNECTIONS);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (server, visitor) = (Arc::clone(&shared), strangers.welcome());
                tokio::spawn(async move {
                    tokio::select! {
                        () = serve_connection(stream, server, Arc::clone(&visitor)) => {}
                        () = visitor.has_to_go() => {}
                    }
                });
            }
            // Too many files are open, or the client has gone again: neither is helped by asking at once.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// What every connection leads to.
struct HttpServer {
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

async fn serve_connection(stream: TcpStream, server: Arc<HttpServer>, visitor: Arc<Visitor>) {
    let answer = service_fn(move |request| {
        let (server, visitor) = (Arc::clone(&server), Arc::clone(&visitor));
        async move { Ok::<_, Infallible>(server.answer(request, &visitor).await) }
    });
    // How a conversation ends is the client's affair.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CLIENT_TIMEOUT)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

impl HttpServer {
    async fn answer(&self, request: Request<Incoming>, visitor: &Visitor) -> Response<Reply> {
        // Of several, one program would believe the first and another the last.
        for name in [hyper::header::HOST, hyper::header::ORIGIN] {
            if request.headers().get_all(&name).iter().count() > 1 {
                return last(plain(
                    StatusCode::BAD_REQUEST,
                    format!("there is more than one {name} header\n"),
                ));
            }
        }
        if request.uri().path() != PATH {
            return last(plain(StatusCode::NOT_FOUND, format!("the protocol is spoken at {PATH}\n")));
        }
        if let Err(refusal) = self.access.check(request.headers()) {
            return last(refuse(&refusal));
        }
        if !visitor.is_known() {
            return last(plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "there are too many connections\n".to_owned(),
            ));
        }
        let (head, body) = request.into_parts();
        let body = match timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY_BYTES).collect()).await {
            Ok(Ok(body)) => Full::new(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let text = format!("a request has at most {MAX_BODY_BYTES} bytes\n");
                return last(plain(StatusCode::PAYLOAD_TOO_LARGE, text));
            }
            Ok(Err(error)) => return last(plain(StatusCode::BAD_REQUEST, format!("{error}\n"))),
            Err(_) => {
                return last(plain(StatusCode::REQUEST_TIMEOUT, "the request took too long\n".to_owned()));
            }
        };
        let mut request = Request::from_parts(head, body);
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

/// An answer after which the connection is closed.
fn last(mut response: Response<Reply>) -> Response<Reply> {
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
