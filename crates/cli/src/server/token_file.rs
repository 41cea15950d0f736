//! The token that clients send: from the environment, or from a file that only the user can read, created on first
//! use.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use homing::read_secret_file;
use homing_supervisor::platform::file::create_private;
use homing_supervisor::platform::random;
use subtle::ConstantTimeEq;

use super::home_handle::HomeHandle;
use crate::exit::Failure;

/// Environment variable that holds the token instead of a file.
pub(crate) const TOKEN_VARIABLE: &str = "HOMING_MCP_TOKEN";

/// Default token file, in the home.
const FILE: &str = "mcp.token";

/// Shortest accepted token, in bytes: 128 bits in hexadecimal digits.
const MIN_BYTES: usize = 32;

/// Random bytes of a token that homing creates. Each becomes two hexadecimal digits.
const TOKEN_BYTES: usize = 32;

/// The source of the token.
#[derive(Debug)]
pub(crate) enum TokenSource {
    /// In this file.
    File(PathBuf),
    /// From the environment, else from the file in the home.
    Usual,
}

/// The token. Never printed.
pub(crate) struct Token {
    text: String,
    source: String,
}

impl TokenSource {
    /// Reads the token; creates the file if it does not exist.
    ///
    /// # Errors
    /// When other users can read the file, or the token is too short.
    pub(crate) fn read(&self, home: &HomeHandle) -> Result<Token, Failure> {
        let of_environment = || std::env::var(TOKEN_VARIABLE).ok().filter(|text| !text.is_empty());
        match self {
            TokenSource::Usual => match of_environment() {
                Some(text) => Token::new(&text, format!("in {TOKEN_VARIABLE}")),
                // The token file is in the home, so the home is created here.
                None => token_from_file(&home.homing()?.home_path().join(FILE)),
            },
            TokenSource::File(path) => token_from_file(path),
        }
    }
}

impl Token {
    fn new(text: &str, source: String) -> Result<Token, Failure> {
        let text = text.trim().to_owned();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.len() >= MIN_BYTES && is_plain {
            return Ok(Token { text, source });
        }
        Err(Failure::Refused {
            code: "invalid_token",
            message: format!(
                "the token {source} does not have at least {MIN_BYTES} printable characters without spaces"
            ),
            hint: Some(
                "create one with: openssl rand -hex 32; or remove the file, and homing creates one"
                    .to_owned(),
            ),
        })
    }

    /// Compares in constant time.
    pub(crate) fn is(&self, sent: &str) -> bool {
        self.text.as_bytes().ct_eq(sent.as_bytes()).into()
    }

    /// Where the token comes from.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }
}

/// Reads the token in a file; creates the file if it does not exist.
///
/// # Errors
/// As [`TokenSource::read`].
pub(crate) fn token_from_file(path: &Path) -> Result<Token, Failure> {
    let creation_error = |error: io::Error| Failure::Refused {
        code: "token",
        message: format!("cannot create the token file {}: {error}", path.display()),
        hint: None,
    };
    if !path.try_exists().map_err(creation_error)? {
        create(path).map_err(creation_error)?;
    }
    Token::new(&read_secret_file(path)?, format!("in {}", path.display()))
}

/// A new token: 64 random hexadecimal digits.
///
/// # Errors
/// If the system has no random bytes.
pub(crate) fn new_token() -> io::Result<String> {
    let mut token = String::with_capacity(2 * TOKEN_BYTES);
    for byte in random::bytes::<TOKEN_BYTES>()? {
        let _ = write!(token, "{byte:02x}");
    }
    Ok(token)
}

/// Creates the file atomically: if two processes create it at once, the first one wins.
fn create(path: &Path) -> io::Result<()> {
    let token = new_token()?;
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let mut file = create_private(&unfinished)?;
    let created = writeln!(file, "{token}").and_then(|()| std::fs::hard_link(&unfinished, path));
    std::fs::remove_file(&unfinished)?;
    match created {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created,
    }
}
