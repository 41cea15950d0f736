//! `homing mcp`: jobs for agents that speak the Model Context Protocol.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use homing::SessionId;

use crate::exit::Failure;
use crate::mcp::{HttpOptions, SessionRule, TokenSource, serve_http, serve_stdio};

/// What the help of the command shows last.
pub(crate) const EXAMPLES: &str = "\
Examples:
  claude mcp add homing -- homing mcp             Claude Code has jobs from now on
  codex mcp add homing -- homing mcp              so has Codex
  homing mcp --http 8765                          at http://127.0.0.1:8765/mcp, for many
  homing mcp --session chat-1                     every job belongs to chat-1

The session is --session, else $HOMING_SESSION, else what the client sends with a request (Codex, goose, VS \
Code, or homing/session in _meta), else what the agent harness exports, else \"default\"; over HTTP nothing \
that a harness exports counts. A client sees the jobs of its own session only.

Standard output belongs to the protocol. Over HTTP clients show a token (Authorization: Bearer), which lies \
in the home as mcp.token, and requests by other names than those of this machine are refused.

Everything about it: https://github.com/homing-jobs/homing/blob/main/docs/mcp.md";

/// How clients come, and what they see.
#[derive(Debug, clap::Args)]
pub(crate) struct McpArgs {
    /// Serves over HTTP at PORT of this machine, or at IP:PORT; without this, on standard input and output
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    http: Option<SocketAddr>,
    /// Session of every request [default: see below]
    #[arg(long, value_name = "SESSION")]
    session: Option<SessionId>,
    /// Shows the jobs of all sessions
    #[arg(long)]
    all_sessions: bool,
    /// File with the token that clients show, mode 0600; made if there is none
    /// [default: $HOMING_MCP_TOKEN, else mcp.token in the home]
    #[arg(long, value_name = "FILE", requires = "http")]
    token_file: Option<PathBuf>,
    /// Another name that clients call this server by; repeatable
    #[arg(long, value_name = "HOST", requires = "http")]
    allow_host: Vec<String>,
    /// Web page that may ask this server, such as https://app.example:443; repeatable
    #[arg(long, value_name = "ORIGIN", requires = "http")]
    allow_origin: Vec<String>,
}

/// Serves until the client is gone, or over HTTP until the process is ended.
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
