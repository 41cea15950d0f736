//! `homing token`: access tokens of the HTTP server.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use homing::Homing;
use homing::core::{Timestamp, parse_duration};
use serde::Serialize;

use crate::exit::Failure;
use crate::local_time::date_and_time;
use crate::open::open_existing;
use crate::render::{note_with_hint, print_json, say};
use crate::serve::{NewToken, Scope, TokenFile, TokenRecord};

/// The end of the help text.
pub(crate) const EXAMPLES: &str = "\
Examples:
  homing token create --scope session:chat-1 --expires 8h
  homing token create --scope read --name dashboard
  homing token list
  homing token revoke dashboard

A token is printed once; the home stores only its hash. Running servers notice a change at once. Scopes separate \
conversations; a token that may launch jobs can run any command as you.

Documentation: https://github.com/homing-jobs/homing/blob/main/docs/http.md";

/// The end of the help text of `create`.
const CREATE_EXAMPLES: &str = "\
Examples:
  homing token create --scope session:chat-1 --expires 8h
  TOKEN=$(homing token create --scope read)

Scopes: admin may do everything; read may read everything; session:NAME sees and launches only jobs of the session \
NAME. Prints only the token on standard output.";

/// The end of the help text of `list`.
const LIST_EXAMPLES: &str = "\
Examples:
  homing token list
  homing token list --json

Lists the tokens that are valid. The token in the file serve.token of the home is not among them.";

/// The end of the help text of `revoke`.
const REVOKE_EXAMPLES: &str = "\
Examples:
  homing token revoke dashboard

To replace the token of the server itself, remove the file serve.token in the home and start the server again.";

/// What to do with tokens.
#[derive(Debug, clap::Args)]
#[command(disable_help_subcommand = true)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Create a token and print it
    #[command(after_help = CREATE_EXAMPLES)]
    Create(CreateArgs),
    /// List the valid tokens
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Revoke a token
    #[command(after_help = REVOKE_EXAMPLES)]
    Revoke(RevokeArgs),
}

/// The token to create.
#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// What the token may do: admin, read or session:NAME
    #[arg(long, value_name = "SCOPE")]
    scope: Scope,
    /// When the token ends, such as 8h or 30d [default: never]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    expires: Option<Duration>,
    /// Name of the token, by which it is listed and revoked [default: made up]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Print a document with the token
    #[arg(long)]
    json: bool,
}

/// How to list tokens.
#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Print an array of tokens, without the tokens themselves
    #[arg(long)]
    json: bool,
}

/// The token to revoke.
#[derive(Debug, clap::Args)]
struct RevokeArgs {
    /// Name of the token
    #[arg(value_name = "NAME")]
    name: String,
    /// Print the revoked token as JSON
    #[arg(long)]
    json: bool,
}

/// A token as JSON.
#[derive(Serialize)]
struct TokenDocument<'a> {
    name: &'a str,
    scope: &'a Scope,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
}

impl TokenArgs {
    /// Whether the command prints JSON.
    pub(crate) fn wants_json(&self) -> bool {
        match &self.command {
            TokenCommand::Create(args) => args.json,
            TokenCommand::List(args) => args.json,
            TokenCommand::Revoke(args) => args.json,
        }
    }
}

/// Creates, lists or revokes tokens.
pub(crate) fn token(args: TokenArgs) -> Result<ExitCode, Failure> {
    match args.command {
        TokenCommand::Create(args) => create(args)?,
        TokenCommand::List(args) => list(&args)?,
        TokenCommand::Revoke(args) => revoke(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn create(args: CreateArgs) -> Result<(), Failure> {
    let tokens = TokenFile::of_home(Homing::open()?.home_path())?;
    let NewToken { text, record } = tokens.create(args.name.as_deref(), args.scope, args.expires)?;
    if args.json {
        return print_json(&TokenDocument { token: Some(&text), ..document(&record) });
    }
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()?;
    let end = record
        .expires_at
        .map_or_else(|| "never ends".to_owned(), |end| format!("ends {}", date_and_time(end)));
    note_with_hint(
        &format!("token {} (scope {}) {end}; it is not shown again", record.name, record.scope),
        &format!("run homing token revoke {} to end it", record.name),
    );
    Ok(())
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    // A home that does not exist has no tokens.
    let tokens = match open_existing()? {
        Some(homing) => TokenFile::of_home(homing.home_path())?.list()?,
        None => Vec::new(),
    };
    if args.json {
        return print_json(&tokens.iter().map(document).collect::<Vec<_>>());
    }
    if tokens.is_empty() {
        say("no tokens to show (run homing token create --scope SCOPE to create one)");
        return Ok(());
    }
    let width =
        |text: fn(&TokenRecord) -> String| tokens.iter().map(|token| text(token).chars().count()).max();
    let name_width = width(|token| token.name.clone()).unwrap_or_default().max("NAME".len());
    let scope_width = width(|token| shown(&token.scope)).unwrap_or_default().max("SCOPE".len());
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{:<name_width$}  {:<scope_width$}  ENDS", "NAME", "SCOPE")?;
    for token in &tokens {
        let end = token.expires_at.map_or_else(|| "never".to_owned(), date_and_time);
        writeln!(stdout, "{:<name_width$}  {:<scope_width$}  {end}", token.name, shown(&token.scope))?;
    }
    Ok(stdout.flush()?)
}

fn revoke(args: &RevokeArgs) -> Result<(), Failure> {
    let record = TokenFile::of_home(Homing::open()?.home_path())?.revoke(&args.name)?;
    if args.json {
        return print_json(&document(&record));
    }
    say(&format!("token {} is revoked", record.name));
    Ok(())
}

fn document(record: &TokenRecord) -> TokenDocument<'_> {
    TokenDocument {
        name: &record.name,
        scope: &record.scope,
        created_at: record.created_at,
        expires_at: record.expires_at,
        token: None,
    }
}

/// A scope for people. The name of a session is any text.
fn shown(scope: &Scope) -> String {
    homing::core::text::flatten(&scope.to_string())
}
