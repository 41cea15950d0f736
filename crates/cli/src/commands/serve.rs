//! `homing serve`: jobs over HTTP, for hosts in any language and for a web page.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;

use super::monitor::log_to_file;
use super::serve_service::ServiceCommand;
use super::server_args::ServerArgs;
use crate::exit::Failure;
use crate::serve::{ServeOptions, TcpAddress, serve as run};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing serve --open                             opens the web page in a browser
  homing serve                                    listens on a socket that only you can use
  homing serve --listen 8765                      also listens on 127.0.0.1:8765
  homing serve --private --json                   for a host that starts it as a child
  homing serve install                            runs it as a user service

The API is below /api/v1, the web page at /, MCP at /mcp. Clients send a token (Authorization: Bearer): that of the \
file serve.token in the home, or one of homing token create. A token that may launch jobs can run any command \
as you.

One server runs for each home. A second homing serve prints the address of the first and exits with 0. Running jobs \
and undelivered results do not depend on the server.

Documentation: https://github.com/homing-jobs/homing/blob/main/docs/http.md";

/// How to serve.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct ServeArgs {
    #[command(subcommand)]
    service: Option<ServiceCommand>,
    /// Open the web page in a browser; listens on 127.0.0.1
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    server: ServerArgs,
    /// Print the addresses as one line of JSON when the server is ready
    #[arg(long)]
    json: bool,
    /// Run a server beside others of this home, with its own socket and port, until standard input is closed
    #[arg(long)]
    private: bool,
    /// Append the log to this file, and leave the console: for service managers without a journal
    #[arg(long, value_name = "FILE", hide = true)]
    log_file: Option<PathBuf>,
}

impl ServeArgs {
    /// Whether the command prints JSON.
    pub(crate) fn wants_json(&self) -> bool {
        self.service.as_ref().map_or(self.json, ServiceCommand::wants_json)
    }
}

/// Serves until a signal, or installs the server as a service.
pub(crate) fn serve(args: ServeArgs) -> Result<ExitCode, Failure> {
    if let Some(command) = &args.service {
        return command.run();
    }
    if let Some(path) = &args.log_file {
        log_to_file(path)?;
    }
    let loopback = TcpAddress { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), port: None };
    let ServerArgs { listen, monitor, base_path, allow_host, allow_origin } = args.server;
    run(ServeOptions {
        tcp: listen.or_else(|| args.open.then_some(loopback)),
        open: args.open,
        json: args.json,
        private: args.private,
        monitor,
        base_path,
        hosts: allow_host,
        origins: allow_origin,
    })?;
    Ok(ExitCode::SUCCESS)
}
