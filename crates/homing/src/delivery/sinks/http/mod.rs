//! A small HTTP client for sinks: sends one bounded POST to a server that the operator configured. Does not follow
//! redirects, does not keep connections, and never uses a URL from an agent.

mod answer;
mod resolver;
#[cfg(test)]
pub(super) mod scripted_server;
#[cfg(test)]
mod tests;

pub(super) use answer::HttpAnswer;

use std::fmt::Display;
use std::io::{self, Read};
use std::time::{Duration, SystemTime};

use homing_core::format_duration;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, Proxy};

use crate::config::HttpUrl;
use resolver::HostResolver;

/// How many bytes of an answer's body are read.
const MAX_BODY_BYTES: u64 = 4 * 1024;

/// The `User-Agent` of every request.
const USER_AGENT: &str = concat!("homing/", env!("CARGO_PKG_VERSION"));

/// A client for one server.
pub(super) struct HttpClient {
    agent: Agent,
    url: HttpUrl,
    timeout: Duration,
}

impl HttpClient {
    /// A client for the server of `url`. `timeout` bounds a whole request, from the name resolution to the last byte
    /// of the answer.
    ///
    /// Uses the proxy of the environment (`ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`), except for this
    /// machine. Verifies certificates against the system's trusted roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` override
    /// their place), or against Mozilla's list if the system has none.
    pub(super) fn new(url: HttpUrl, timeout: Duration) -> HttpClient {
        let proxy = if url.is_loopback() { None } else { Proxy::try_from_env() };
        let roots = if url.is_encrypted() { trusted_roots() } else { RootCerts::WebPki };
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .max_redirects(0)
            .http_status_as_error(false)
            .proxy(proxy)
            .user_agent(USER_AGENT)
            // Wakes are rare: the server would usually have closed a kept connection.
            .max_idle_connections(0)
            .max_idle_connections_per_host(0)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), HostResolver);
        HttpClient { agent, url, timeout }
    }

    /// Posts to the URL of this client.
    ///
    /// # Errors
    /// The reason, for people, if there was no answer. The server may have processed the request nevertheless. An
    /// answer of any status is not an error.
    pub(super) fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Result<HttpAnswer, String> {
        self.post_to(&self.url, headers, body)
    }

    /// Posts to a path below the URL of this client. Segments are escaped.
    ///
    /// # Errors
    /// As [`HttpClient::post`].
    pub(super) fn post_below(
        &self,
        segments: &[&str],
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<HttpAnswer, String> {
        self.post_to(&self.url.below(segments)?, headers, body)
    }

    fn post_to(&self, url: &HttpUrl, headers: &[(&str, &str)], body: &[u8]) -> Result<HttpAnswer, String> {
        let mut request = self.agent.post(url.as_uri());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send(body).map_err(|error| self.describe(&error))?;
        let (head, body) = answer.into_parts();
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok());
        Ok(HttpAnswer {
            status: head.status.as_u16(),
            retry_after: header("retry-after")
                .and_then(|value| answer::parse_retry_after(value, SystemTime::now())),
            body: beginning_of(body),
        })
    }

    /// Describes why there was no answer. Names only the host: a path or a query may be a secret.
    fn describe(&self, error: &ureq::Error) -> String {
        let host = &self.url;
        match error {
            ureq::Error::Timeout(_) => {
                format!("no answer from {host} within {}", format_duration(self.timeout))
            }
            ureq::Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused => format!("{host} refused the connection"),
                io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe => {
                    format!("{host} closed the connection without an answer")
                }
                // rustls reports its errors with this kind.
                io::ErrorKind::InvalidData => self.describe_tls(error),
                _ => format!("cannot reach {host}: {error}"),
            },
            ureq::Error::HostNotFound => format!("cannot reach {host}: no such host"),
            ureq::Error::Rustls(error) => self.describe_tls(error),
            ureq::Error::Tls(error) => self.describe_tls(error),
            ureq::Error::ConnectProxyFailed(error) => {
                format!("the proxy did not connect to {host}: {error}")
            }
            ureq::Error::Protocol(error) => format!("{host} did not answer with HTTP: {error}"),
            // The enum is non-exhaustive.
            error => format!("no answer from {host}: {error}"),
        }
    }

    fn describe_tls(&self, error: &dyn Display) -> String {
        let (host, reason) = (&self.url, error.to_string());
        // The error types of rustls are not part of the interface of ureq.
        let hint = if reason.contains("certificate") {
            "; SSL_CERT_FILE can name a file with the certificates to trust"
        } else {
            ""
        };
        format!("TLS connection to {host} failed: {reason}{hint}")
    }
}

/// Reads the beginning of a body. An error in the body does not change the status.
fn beginning_of(mut body: Body) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = body.as_reader().take(MAX_BODY_BYTES).read_to_end(&mut bytes);
    bytes
}

/// The root certificates that verify a server's certificate.
fn trusted_roots() -> RootCerts {
    let system = rustls_native_certs::load_native_certs().certs;
    if system.is_empty() {
        return RootCerts::WebPki;
    }
    system.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).into()
}
