//! The token that clients show: from the environment, or from a file that is ours alone, made on first use.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use homing::read_secret_file;
use subtle::ConstantTimeEq;

use super::super::home_handle::HomeHandle;
use crate::exit::Failure;

/// Holds the token where no file is to.
pub(in crate::mcp) const TOKEN_VARIABLE: &str = "HOMING_MCP_TOKEN";

/// The file in the home, where no other is named.
const FILE: &str = "mcp.token";

/// Shortest token that is taken, in bytes: 128 bits in hexadecimal digits.
const LEAST_BYTES: usize = 32;

/// Where the token is.
#[derive(Debug)]
pub(crate) enum TokenSource {
    /// In this file.
    File(PathBuf),
    /// In the environment, else in the home.
    Usual,
}

/// The token. Never shown.
pub(in crate::mcp) struct Token {
    text: String,
    whence: String,
}

impl TokenSource {
    /// Reads the token; makes the file where there is none.
    ///
    /// # Errors
    /// Where others could read the file, or the token is too short to be one.
    pub(in crate::mcp) fn read(&self, home: &HomeHandle) -> Result<Token, Failure> {
        let of_environment = || std::env::var(TOKEN_VARIABLE).ok().filter(|text| !text.is_empty());
        let (text, whence) = match self {
            TokenSource::Usual => match of_environment() {
                Some(text) => (text, format!("in {TOKEN_VARIABLE}")),
                // The token stands in the home, which is made for it.
                None => from_file(&home.homing()?.home_path().join(FILE))?,
            },
            TokenSource::File(path) => from_file(path)?,
        };
        let text = text.trim().to_owned();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.len() < LEAST_BYTES || !is_plain {
            return Err(Failure::Refused {
                code: "invalid_token",
                message: format!(
                    "the token {whence} is not at least {LEAST_BYTES} printable characters without blanks"
                ),
                hint: Some(
                    "make one with: openssl rand -hex 32; or remove the file, and one is made".to_owned(),
                ),
            });
        }
        Ok(Token { text, whence })
    }
}

impl Token {
    /// Whether that is it. Takes the same time wherever it differs.
    pub(super) fn is(&self, shown: &str) -> bool {
        self.text.as_bytes().ct_eq(shown.as_bytes()).into()
    }

    /// Where it was found.
    pub(super) fn whence(&self) -> &str {
        &self.whence
    }
}

fn from_file(path: &Path) -> Result<(String, String), Failure> {
    let cannot = |error: io::Error| Failure::Refused {
        code: "token",
        message: format!("cannot make the token file {}: {error}", path.display()),
        hint: None,
    };
    if !path.try_exists().map_err(cannot)? {
        make(path).map_err(cannot)?;
    }
    Ok((read_secret_file(path)?, format!("in {}", path.display())))
}

/// Makes the file as a whole or not at all: of two that make it at once, the first one's stays.
fn make(path: &Path) -> io::Result<()> {
    let mut token = String::with_capacity(2 * LEAST_BYTES);
    for byte in random_bytes()? {
        let _ = write!(token, "{byte:02x}");
    }
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    let made = writeln!(file, "{token}").and_then(|()| std::fs::hard_link(&unfinished, path));
    std::fs::remove_file(&unfinished)?;
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn random_bytes() -> io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if filled < bytes.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}
