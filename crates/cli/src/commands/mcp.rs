//! `homing mcp`: serves jobs to agents over the Model Context Protocol.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use homing::SessionId;

use crate::exit::Failure;
use crate::mcp::{HttpOptions, SessionRule, serve_http, serve_stdio};
use crate::server::TokenSource;

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  claude mcp add homing -- homing mcp             adds homing to Claude Code
  codex mcp add homing -- homing mcp              adds homing to Codex
  homing mcp --http 8765                          serves at http://127.0.0.1:8765/mcp
  homing mcp --session chat-1                     uses session chat-1 for every request

The session is --session, else $HOMING_SESSION, else what the client sends with a request (Codex, goose, VS \
Code, or homing/session in _meta), else what the agent harness exports, else \"default\". Over HTTP, homing \
ignores what the harness exports. A client sees only the jobs of its own session.

Standard output carries the protocol. Over HTTP, clients must send the token in the file mcp.token of the home \
(Authorization: Bearer), and homing rejects requests for other host names than those of this machine.

Documentation: https://github.com/homing-jobs/homing/blob/main/docs/mcp.md";

/// How clients connect, and what they see.
#[derive(Debug, clap::Args)]
pub(crate) struct McpArgs {
    /// Serve over HTTP on PORT of this machine, or on IP:PORT; without this, serve on standard input and output
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    http: Option<SocketAddr>,
    /// Session of every request [default: see below]
    #[arg(long, value_name = "SESSION")]
    session: Option<SessionId>,
    /// Show the jobs of all sessions
    #[arg(long)]
    all_sessions: bool,
    /// File with the token of the clients, created with mode 0600 if missing
    /// [default: $HOMING_MCP_TOKEN, else mcp.token in the home]
    #[arg(long, value_name = "FILE", requires = "http")]
    token_file: Option<PathBuf>,
    /// Additional host name of this server; repeatable
    #[arg(long, value_name = "HOST", requires = "http")]
    allow_host: Vec<String>,
    /// Web origin that may send requests, such as https://app.example:443; repeatable
    #[arg(long, value_name = "ORIGIN", requires = "http")]
    allow_origin: Vec<String>,
}

/// Serves until the client disconnects, or over HTTP until a signal.
pub(crate) fn mcp(args: McpArgs) -> Result<ExitCode, Failure> {
    match args.http {
        None => serve_stdio(SessionRule::for_parent(args.session, args.all_sessions)?)?,
        Some(address) => {
            let options = HttpOptions {
                address,
                token: args.token_file.map_or(TokenSource::Usual, TokenSource::File),
                hosts: args.allow_host,
                origins: args.allow_origin,
            };
            serve_http(SessionRule::for_anybody(args.session, args.all_sessions)?, options)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Parses `8765`, `localhost:8765` or `192.168.0.1:8765`. A port alone means the loopback address.
fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    match port.parse::<u16>() {
        Ok(port) => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        Err(_) => text.parse().map_err(|_| "use a port, or an IP address with a port".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_means_the_loopback_address() {
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
