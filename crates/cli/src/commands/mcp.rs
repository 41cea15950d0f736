//! `homing mcp`: jobs for agents that speak the Model Context Protocol.

use std::process::ExitCode;

use crate::args::McpArgs;
use crate::exit::Failure;
use crate::mcp::{HttpOptions, SessionRule, TokenSource, serve_http, serve_stdio};

/// Serves until the client is gone, or over HTTP until the process is ended.
pub(super) fn mcp(args: McpArgs) -> Result<ExitCode, Failure> {
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
