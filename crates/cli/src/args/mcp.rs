//! The arguments of `mcp`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use homing::SessionId;

/// How clients come, and what they see.
#[derive(Debug, clap::Args)]
pub(crate) struct McpArgs {
    /// Serves over HTTP at PORT of this machine, or at IP:PORT; without this, on standard input and output
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) http: Option<SocketAddr>,
    /// Session of every request [default: see below]
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<SessionId>,
    /// Shows the jobs of all sessions
    #[arg(long)]
    pub(crate) all_sessions: bool,
    /// File with the token that clients show, mode 0600; made if there is none
    /// [default: $HOMING_MCP_TOKEN, else mcp.token in the home]
    #[arg(long, value_name = "FILE", requires = "http")]
    pub(crate) token_file: Option<PathBuf>,
    /// Another name that clients call this server by; repeatable
    #[arg(long, value_name = "HOST", requires = "http")]
    pub(crate) allow_host: Vec<String>,
    /// Web page that may ask this server, such as https://app.example:443; repeatable
    #[arg(long, value_name = "ORIGIN", requires = "http")]
    pub(crate) allow_origin: Vec<String>,
}

/// Reads `8765`, `localhost:8765` or `192.168.0.1:8765`. A port alone is one of this machine.
fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    match port.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        Err(_) => text.parse().map_err(|_| "write a port, or an IP address with a port".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_reached_from_this_machine_only() {
        let read = |text| address(text).map(|address| address.to_string());
        assert_eq!(read("8765"), Ok("127.0.0.1:8765".to_owned()));
        assert_eq!(read("localhost:0"), Ok("127.0.0.1:0".to_owned()));
        assert_eq!(read("0.0.0.0:80"), Ok("0.0.0.0:80".to_owned()));
        assert_eq!(read("[::1]:80"), Ok("[::1]:80".to_owned()));
        for text in ["", "example.com:80", "127.0.0.1", "99999"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
