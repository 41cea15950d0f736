//! Answers every request: checks where it comes from, its token and what the token may do, and then calls its route.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, HOST, LOCATION, ORIGIN};
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use tower_service::Service;

use super::app::{App, Grant};
use super::assets;
use super::problem::Problem;
use super::routes::routes;
use super::scope::Scope;
use super::tokens::{OWN_TOKEN, TokenRecord};
use super::while_valid::WhileValid;
use crate::mcp::{MAX_BODY_BYTES, RequestActor, RequestSession};
use crate::render::note;
use crate::server::{Connection, Socket, bearer_token, read_body};

/// The MCP endpoint.
const MCP: &str = "/mcp";

/// How a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// Over TCP, as browsers are.
    Tcp,
    /// By the socket of this user, which no web page can reach.
    LocalSocket,
}

/// The sender of a request.
pub(super) struct Client {
    pub(super) connection: Arc<Connection>,
    pub(super) socket: Socket,
    pub(super) via: Via,
}

/// Everything that answers requests.
pub(super) struct Gate {
    app: Arc<App>,
    routes: Router,
}

impl Gate {
    pub(super) fn new(app: Arc<App>) -> Gate {
        Gate { routes: routes(Arc::clone(&app)), app }
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Incoming>, client: &Client) -> Response {
        let mut response = match self.answered(request, client).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        };
        let headers = response.headers_mut();
        headers
            .insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
        headers.insert(HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer"));
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        self.app.metrics.count(response.status().as_u16());
        response
    }

    async fn answered(&self, mut request: Request<Incoming>, client: &Client) -> Result<Response, Problem> {
        self.check_source(&request, client.via)?;
        if matches!(request.uri().path(), "/healthz" | "/readyz") {
            return Ok(self.route(request.map(Body::new)).await);
        }
        if let Some(redirect) = self.remove_base_path(&mut request)? {
            return Ok(redirect);
        }
        let path = request.uri().path().to_owned();
        if matches!(*request.method(), Method::GET | Method::HEAD)
            && let Some(page) = assets::answer(&path, request.uri(), request.headers())
        {
            return Ok(page);
        }
        if path == "/api/v1/browser/exchange" {
            return Ok(self.route(request.map(Body::new)).await);
        }
        let (grant, token) = self.authorize(&request)?;
        let checked_at = Instant::now();
        if !client.connection.authenticate() {
            return Err(Problem::busy("too_many_connections", "too many clients are connected").closes());
        }
        if !grant.scope.allows(request.method(), &path) {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "forbidden",
                format!("a token with scope {} may not do this", grant.scope),
            )
            .hint("homing token create --scope SCOPE makes another token")
            .closes());
        }
        let answer = if path == MCP {
            self.mcp(request, grant, client.socket.clone()).await?
        } else {
            request.extensions_mut().insert(grant);
            request.extensions_mut().insert(client.socket.clone());
            self.route(request.map(Body::new)).await
        };
        Ok(match token {
            Some(token) => {
                answer.map(|body| Body::new(WhileValid::new(body, Arc::clone(&self.app), token, checked_at)))
            }
            None => answer,
        })
    }

    async fn route(&self, request: Request<Body>) -> Response {
        match self.routes.clone().call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn mcp(
        &self,
        request: Request<Incoming>,
        grant: Grant,
        socket: Socket,
    ) -> Result<Response, Problem> {
        let (mut head, body) = request.into_parts();
        let body = read_body(body, MAX_BODY_BYTES).await?;
        if let Some(session) = grant.session() {
            head.extensions.insert(RequestSession(session.clone()));
        }
        head.extensions.insert(RequestActor(grant.actor()));
        let answer = self.app.mcp.answer(Request::from_parts(head, body), socket).await;
        Ok(answer.map(Body::new))
    }

    /// Refuses requests that a web page of another origin makes, or that were sent to another name: a page can let its own
    /// name lead to this machine.
    fn check_source(&self, request: &Request<Incoming>, via: Via) -> Result<(), Problem> {
        let refused = |code, detail: String| Err(Problem::new(StatusCode::FORBIDDEN, code, detail).closes());
        // One program would use the first of several headers, another the last.
        for name in [HOST, ORIGIN] {
            if request.headers().get_all(&name).iter().count() > 1 {
                return Err(Problem::invalid(format!("more than one {name} header")).closes());
            }
        }
        let text =
            |name: HeaderName| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
        let host = text(HOST).unwrap_or_default();
        if via == Via::Tcp && !self.accepts_host(host) {
            let detail = match host {
                "" => "the request names no host, or not in plain text".to_owned(),
                _ => format!("this server is not {host:?}; see --allow-host"),
            };
            return refused("host_not_allowed", detail);
        }
        match text(ORIGIN) {
            Some(origin) if !self.accepts_origin(origin, host) => refused(
                "origin_not_allowed",
                format!("a page of {origin:?} may not send requests; see --allow-origin"),
            ),
            _ => Ok(()),
        }
    }

    fn accepts_host(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host().trim_start_matches('[').trim_end_matches(']');
        self.app.access.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Whether a page has this origin that the server itself has sent, or one that the user allows.
    fn accepts_origin(&self, origin: &str, host: &str) -> bool {
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        authority.is_some_and(|authority| !host.is_empty() && authority.eq_ignore_ascii_case(host))
            || self.app.access.origins.iter().any(|known| known.eq_ignore_ascii_case(origin))
    }

    /// Makes the path relative to the base path. Returns a redirect to the page if the slash at the end is missing.
    fn remove_base_path(&self, request: &mut Request<Incoming>) -> Result<Option<Response>, Problem> {
        let base = &self.app.access.base_path;
        if base.is_empty() {
            return Ok(None);
        }
        let outside =
            || Problem::new(StatusCode::NOT_FOUND, "no_such_route", format!("the server is at {base}/"));
        let rest = request.uri().path().strip_prefix(base.as_str()).ok_or_else(outside)?;
        if rest.is_empty() {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
            let location = HeaderValue::from_str(&format!("{base}/")).map_err(|_| outside())?;
            response.headers_mut().insert(LOCATION, location);
            return Ok(Some(response));
        }
        if !rest.starts_with('/') {
            return Err(outside());
        }
        let path = match request.uri().query() {
            Some(query) => format!("{rest}?{query}"),
            None => rest.to_owned(),
        };
        let path: PathAndQuery = path.parse().map_err(|_| outside())?;
        *request.uri_mut() = Uri::from(path);
        Ok(None)
    }

    /// Finds out what the token of a request may do. Also returns the token, unless it is that of the server, which does not end
    /// before the server.
    fn authorize(&self, request: &Request<Incoming>) -> Result<(Grant, Option<TokenRecord>), Problem> {
        let access = &self.app.access;
        let refused = |code, detail: &str| {
            let place = access.token_file.display();
            Problem::new(StatusCode::UNAUTHORIZED, code, detail)
                .hint(format!("the token of the server is in {place}; homing token create makes another"))
                .closes()
        };
        let Some(sent) = bearer_token(request.headers()) else {
            return Err(refused("no_token", "send a token as Authorization: Bearer TOKEN"));
        };
        if access.own_token.is(sent) {
            return Ok((Grant { token: OWN_TOKEN.to_owned(), scope: Scope::Admin }, None));
        }
        match access.tokens.find(sent) {
            Ok(Some(token)) => {
                Ok((Grant { token: token.name.clone(), scope: token.scope.clone() }, Some(token)))
            }
            Ok(None) => Err(refused("wrong_token", "the token is unknown, was revoked or has ended")),
            Err(failure) => {
                let problem = Problem::from(failure);
                note(&format!("no token is accepted: {problem}"));
                Err(refused("wrong_token", "the tokens cannot be read"))
            }
        }
    }
}
