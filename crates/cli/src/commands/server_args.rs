//! The options of a server, for `homing serve` and for the service that runs it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::serve::TcpAddress;

/// How a server is reached, and what it does.
#[derive(Debug, clap::Args)]
pub(super) struct ServerArgs {
    /// Also listen on TCP: PORT of this machine, IP, or IP:PORT [default port: 7464, or the next free one]
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1", value_parser = address)]
    pub(super) listen: Option<TcpAddress>,
    /// Also deliver results to their sessions, as homing monitor does
    #[arg(long)]
    pub(super) monitor: bool,
    /// Path below which a reverse proxy passes on requests, such as /homing
    #[arg(long, value_name = "PATH", default_value = "", hide_default_value = true, value_parser = base_path)]
    pub(super) base_path: String,
    /// Additional host name of this server; repeatable
    #[arg(long, value_name = "HOST", value_parser = host)]
    pub(super) allow_host: Vec<String>,
    /// Web origin whose pages may send requests, such as https://app.example; repeatable
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub(super) allow_origin: Vec<String>,
}

impl ServerArgs {
    /// The words of a command line with these options.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        if let Some(TcpAddress { ip, port }) = self.listen {
            let address = port.map_or_else(|| ip.to_string(), |port| SocketAddr::new(ip, port).to_string());
            words.extend(["--listen".to_owned(), address]);
        }
        if self.monitor {
            words.push("--monitor".to_owned());
        }
        if !self.base_path.is_empty() {
            words.extend(["--base-path".to_owned(), self.base_path.clone()]);
        }
        for host in &self.allow_host {
            words.extend(["--allow-host".to_owned(), host.clone()]);
        }
        for origin in &self.allow_origin {
            words.extend(["--allow-origin".to_owned(), origin.clone()]);
        }
        words
    }
}

/// Parses `8765`, `192.168.0.1`, `localhost:8765` or `[::1]:8765`. A port alone means the loopback address.
fn address(text: &str) -> Result<TcpAddress, String> {
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    if text == "localhost" {
        return Ok(TcpAddress { ip: loopback, port: None });
    }
    if let Ok(port) = text.strip_prefix("localhost:").unwrap_or(text).parse() {
        return Ok(TcpAddress { ip: loopback, port: Some(port) });
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(TcpAddress { ip: address.ip(), port: Some(address.port()) });
    }
    let ip = text.trim_start_matches('[').trim_end_matches(']').parse();
    ip.map(|ip| TcpAddress { ip, port: None })
        .map_err(|_| "use a port, an IP address, or both: IP:PORT".to_owned())
}

/// Parses `/homing` or `/a/b/`. The root is no base path.
fn base_path(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    if path.is_empty() || path.starts_with('/') && !path.contains("//") && path.chars().all(is_plain) {
        return Ok(path.to_owned());
    }
    Err("use a path such as /homing, of letters, digits, '-', '_', '.', '~' and '/'".to_owned())
}

/// Parses `jobs.example.com` or `[fd00::7]`. A port is left out: every port of the host is accepted.
fn host(text: &str) -> Result<String, String> {
    if let Ok(ip) = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return Ok(ip.to_string());
    }
    let (name, port) = text.split_once(':').unwrap_or((text, "0"));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if !name.is_empty() && name.chars().all(is_plain) && port.parse::<u16>().is_ok() {
        return Ok(name.to_owned());
    }
    Err("use the name of a host, such as jobs.example.com".to_owned())
}

/// Parses `https://app.example` or `http://localhost:3000`, as browsers write origins.
fn origin(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if authority.is_some_and(|authority| !authority.is_empty() && authority.chars().all(is_plain)) {
        return Ok(text.to_owned());
    }
    Err("use scheme and host, such as https://app.example or http://localhost:3000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_origins_have_the_form_in_which_browsers_send_them() {
        assert_eq!(host("jobs.example.com:8080"), Ok("jobs.example.com".to_owned()));
        assert_eq!(host("[fd00::7]"), Ok("fd00::7".to_owned()));
        for text in ["", "http://a", "a/b", "a b", "*", "a:b", "u@a"] {
            assert!(host(text).is_err(), "{text}");
        }
        assert_eq!(origin("https://app.example/"), Ok("https://app.example".to_owned()));
        assert_eq!(origin("http://[::1]:3000"), Ok("http://[::1]:3000".to_owned()));
        for text in ["", "null", "*", "app.example", "https://", "https://a/b", "ftp://a", "https://u@a"] {
            assert!(origin(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_may_lack_its_port_or_its_ip() {
        let read = |text| address(text).map(|address| (address.ip.to_string(), address.port));
        let local = || "127.0.0.1".to_owned();
        assert_eq!(read("8765"), Ok((local(), Some(8765))));
        assert_eq!(read("localhost:0"), Ok((local(), Some(0))));
        assert_eq!(read("localhost"), Ok((local(), None)));
        assert_eq!(read("0.0.0.0"), Ok(("0.0.0.0".to_owned(), None)));
        assert_eq!(read("[::1]:80"), Ok(("::1".to_owned(), Some(80))));
        assert_eq!(read("::1"), Ok(("::1".to_owned(), None)));
        for text in ["", "example.com", "example.com:80", "99999"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_parse_back() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            server: ServerArgs,
        }
        let words = [
            "--listen",
            "[::1]:80",
            "--monitor",
            "--base-path",
            "/homing",
            "--allow-host",
            "a",
            "--allow-host",
            "b",
            "--allow-origin",
            "https://app.example",
        ];
        let line: Line = clap::Parser::try_parse_from([&["homing"], &words[..]].concat()).unwrap();
        assert_eq!(line.server.words(), words);
        let without_port: Line = clap::Parser::try_parse_from(["homing", "--listen"]).unwrap();
        assert_eq!(without_port.server.words(), ["--listen", "127.0.0.1"]);
    }

    #[test]
    fn a_base_path_has_a_slash_only_at_its_beginning() {
        assert_eq!(base_path("/homing/"), Ok("/homing".to_owned()));
        assert_eq!(base_path("/a/b"), Ok("/a/b".to_owned()));
        assert_eq!(base_path("/"), Ok(String::new()));
        for text in ["homing", "/a//b", "/a?b", "/a b"] {
            assert!(base_path(text).is_err(), "{text}");
        }
    }
}
