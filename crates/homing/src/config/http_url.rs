//! The URL of a server that the operator configured.

use std::fmt::{self, Write};
use std::net::IpAddr;

use ureq::http::Uri;
use ureq::http::uri::Scheme;

/// An `http` or `https` URL with a host and without credentials. Displays only host and port: the rest may be a
/// secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct HttpUrl {
    uri: Uri,
}

impl HttpUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// The reason why it is invalid, without the URL itself.
    pub(crate) fn parse(text: &str) -> Result<HttpUrl, String> {
        if text.contains('#') {
            return Err("the URL must not have a #fragment".to_owned());
        }
        let uri: Uri = text.parse().map_err(|error| format!("not a URL: {error}"))?;
        let scheme = uri.scheme().ok_or("the URL must begin with http:// or https://")?;
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err(format!("the URL must begin with http:// or https://, not {scheme}://"));
        }
        let authority = uri.authority().ok_or("the URL names no host")?;
        if authority.as_str().contains('@') {
            return Err("a URL with a user name or a password would show it to everybody who reads the \
                        configuration: leave it out"
                .to_owned());
        }
        if authority.host().is_empty() || authority.host() == "[]" {
            return Err("the URL names no host".to_owned());
        }
        let has_port = authority.as_str().len() > authority.host().len();
        if has_port && authority.port_u16().is_none_or(|port| port == 0) {
            return Err("the URL's port is not one of 1 to 65535".to_owned());
        }
        Ok(HttpUrl { uri })
    }

    /// The URL below this one. A slash in a segment is escaped.
    ///
    /// # Errors
    /// If a segment is empty, `.` or `..`.
    pub(crate) fn below(&self, segments: &[&str]) -> Result<HttpUrl, String> {
        let mut path = self.uri.path().trim_end_matches('/').to_owned();
        for segment in segments {
            if matches!(*segment, "" | "." | "..") {
                return Err(format!("{segment:?} cannot be a part of a URL's path"));
            }
            path.push('/');
            push_escaped(&mut path, segment);
        }
        let mut parts = self.uri.clone().into_parts();
        parts.path_and_query = Some(path.parse().map_err(|error| format!("not a path: {error}"))?);
        let uri = Uri::from_parts(parts).map_err(|error| format!("not a URL: {error}"))?;
        Ok(HttpUrl { uri })
    }

    pub(crate) fn as_uri(&self) -> &Uri {
        &self.uri
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.uri.scheme() == Some(&Scheme::HTTPS)
    }

    /// Whether the host is this machine, by name or address.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost"
            || name.ends_with(".localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

/// Escapes all but the unreserved characters of RFC 3986 as `%XX`.
fn push_escaped(path: &mut String, segment: &str) {
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri.authority().map_or("", |authority| authority.as_str()))
    }
}

impl fmt::Debug for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpUrl({self})")
    }
}

/// Checks that homing can post to a URL of the configuration.
///
/// # Errors
/// The reason why it is invalid, without the URL itself.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    HttpUrl::parse(url).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_urls_are_refused_without_repeating_them() {
        for (text, reason) in [
            ("", "not a URL"),
            ("127.0.0.1:7000/wake", "not a URL"),
            ("/wake", "http://"),
            ("example.com", "http://"),
            ("ftp://example.com/", "not ftp://"),
            ("file:///etc/passwd", "not"),
            ("http://", "not a URL"),
            ("http:///wake", "not a URL"),
            ("http://:80/", "host"),
            ("http://user:hunter2@example.com/", "password"),
            ("https://hunter2@example.com/", "password"),
            ("http://example.com:/", "port"),
            ("http://example.com:0/", "port"),
            ("http://example.com:hunter2/", ""),
            ("http://example.com:99999/", "port"),
            ("http://example.com/a b", "not a URL"),
            ("http://example.com/#hunter2", "fragment"),
        ] {
            let error = HttpUrl::parse(text).expect_err(text);
            assert!(error.contains(reason) && !error.contains("hunter2"), "{text:?}: {error}");
        }
    }

    #[test]
    fn this_machine_is_known_by_name_and_by_address() {
        for (text, expected) in [
            ("http://localhost/", true),
            ("HTTP://LOCALHOST:7000", true),
            ("https://app.localhost./", true),
            ("http://127.8.9.1:80/", true),
            ("http://[::1]:80/", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("http://localhost.example.com/", false),
            ("http://10.0.0.1/", false),
            ("http://[::2]/", false),
        ] {
            assert_eq!(HttpUrl::parse(text).expect(text).is_loopback(), expected, "{text}");
        }
    }

    #[test]
    fn only_the_host_is_shown() {
        let url = HttpUrl::parse("https://example.com:8443/hooks/hunter2?key=hunter2").unwrap();
        assert_eq!(format!("{url} {url:?}"), "example.com:8443 HttpUrl(example.com:8443)");
    }

    #[test]
    fn a_segment_stays_one_segment() {
        let url = HttpUrl::parse("http://127.0.0.1:3000/base/?key=1").unwrap();
        let below = url.below(&["api", "conversations", "../a?b#\u{e9}", "events"]).unwrap();
        assert_eq!(
            below.as_uri().to_string(),
            "http://127.0.0.1:3000/base/api/conversations/..%2Fa%3Fb%23%C3%A9/events"
        );
        for segment in ["", ".", ".."] {
            assert!(url.below(&[segment]).is_err(), "{segment:?}");
        }
    }
}
