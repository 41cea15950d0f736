//! The tokens that `homing token` and the browser link create: one file with their hashes, scopes and ends. The tokens
//! themselves are shown once and stored nowhere.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use homing::core::Timestamp;
use homing_supervisor::platform::file_id::FileId;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::directory::Directory;
use super::scope::Scope;
use crate::exit::Failure;
use crate::local_time::now;
use crate::server::new_token;

const FILE: &str = "tokens.json";
const LOCK: &str = "tokens.lock";

/// The version of the file's format.
const FORMAT: u32 = 1;

/// Most tokens of a home.
const MAX_TOKENS: usize = 1_000;

/// How long a browser link is valid.
const CODE_LIFETIME: Duration = Duration::from_secs(60);

/// How long the token of a browser is valid.
const BROWSER_LIFETIME: Duration = Duration::from_secs(12 * 3_600);

/// Beginning of the names of tokens of browsers.
const BROWSER: &str = "browser-";

/// The name of the token in the file of the server. No other token has it.
pub(super) const OWN_TOKEN: &str = "server";

/// Longest name of a token, in characters.
const MAX_NAME_CHARS: usize = 64;

/// A token without its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenRecord {
    /// Its name, unique among the tokens of a home.
    pub(crate) name: String,
    pub(crate) scope: Scope,
    pub(crate) created_at: Timestamp,
    /// When it ends; `None` if it does not.
    pub(crate) expires_at: Option<Timestamp>,
    sha256: String,
}

/// A code of a browser link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct CodeRecord {
    sha256: String,
    expires_at: Timestamp,
}

#[derive(Debug, Serialize, Deserialize)]
struct Tokens {
    format: u32,
    tokens: Vec<TokenRecord>,
    #[serde(default)]
    codes: Vec<CodeRecord>,
}

/// A token that was just created.
#[derive(Debug)]
pub(crate) struct NewToken {
    /// The token. Shown once.
    pub(crate) text: String,
    pub(crate) record: TokenRecord,
}

/// The tokens of a home.
#[derive(Clone, Debug)]
pub(crate) struct TokenFile {
    directory: Directory,
}

impl TokenFile {
    /// The tokens of the home with this path.
    ///
    /// # Errors
    /// When the directory of the server cannot be used.
    pub(crate) fn of_home(home: &std::path::Path) -> Result<TokenFile, Failure> {
        Ok(TokenFile::in_directory(Directory::open(home)?))
    }

    pub(super) fn in_directory(directory: Directory) -> TokenFile {
        TokenFile { directory }
    }

    /// The tokens that have not ended, the oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn list(&self) -> Result<Vec<TokenRecord>, Failure> {
        let mut tokens = self.read()?.tokens;
        let now = now();
        tokens.retain(|token| !token.has_ended(now));
        Ok(tokens)
    }

    /// Creates a token. Without a name, one is made up.
    ///
    /// # Errors
    /// When the name is invalid or taken, or the file cannot be written.
    pub(crate) fn create(
        &self,
        name: Option<&str>,
        scope: Scope,
        lifetime: Option<Duration>,
    ) -> Result<NewToken, Failure> {
        if let Some(name) = name {
            check_name(name)?;
        }
        let text = new_token()?;
        let name = name.map_or_else(|| format!("token-{}", &hash(&text)[..8]), str::to_owned);
        let created_at = now();
        let record = TokenRecord {
            name,
            scope,
            created_at,
            expires_at: lifetime.map(|lifetime| created_at.saturating_add(lifetime)),
            sha256: hash(&text),
        };
        self.change(|tokens| {
            if tokens.tokens.iter().any(|token| token.name == record.name) {
                return Err(Failure::Usage {
                    code: "token_exists",
                    message: format!("a token named {} exists", record.name),
                    hint: Some(format!("choose another name, or run homing token revoke {}", record.name)),
                });
            }
            if tokens.tokens.len() >= MAX_TOKENS {
                return Err(Failure::Refused {
                    code: "too_many_tokens",
                    message: format!("the home has {MAX_TOKENS} tokens, which is the most"),
                    hint: Some("revoke some: homing token list, homing token revoke NAME".to_owned()),
                });
            }
            tokens.tokens.push(record.clone());
            Ok(())
        })?;
        Ok(NewToken { text, record })
    }

    /// Revokes the token with this name. Running servers refuse it from their next request on.
    ///
    /// # Errors
    /// If there is no such token, or the file cannot be written.
    pub(crate) fn revoke(&self, name: &str) -> Result<TokenRecord, Failure> {
        self.change(|tokens| {
            let position = tokens.tokens.iter().position(|token| token.name == name);
            let position = position.ok_or_else(|| Failure::Usage {
                code: "no_such_token",
                message: format!("no token is named {name:?}"),
                hint: Some("run homing token list to see the names".to_owned()),
            })?;
            Ok(tokens.tokens.remove(position))
        })
    }

    /// Creates a code for one browser, valid for 60 seconds.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn create_code(&self) -> Result<String, Failure> {
        let code = new_token()?;
        let record = CodeRecord { sha256: hash(&code), expires_at: now().saturating_add(CODE_LIFETIME) };
        self.change(|tokens| {
            tokens.codes.push(record);
            Ok(())
        })?;
        Ok(code)
    }

    /// Exchanges a code for a token with all rights. A code is valid once.
    ///
    /// # Errors
    /// When the file cannot be written. `None` if the code is unknown, used or too old.
    pub(super) fn exchange(&self, code: &str) -> Result<Option<NewToken>, Failure> {
        // A code is 64 digits; a longer text is not hashed.
        if code.len() > 256 {
            return Ok(None);
        }
        let (code, text) = (hash(code), new_token()?);
        let created_at = now();
        self.change(|tokens| {
            let is_same = |known: &CodeRecord| bool::from(known.sha256.as_bytes().ct_eq(code.as_bytes()));
            let before = tokens.codes.len();
            tokens.codes.retain(|known| !is_same(known));
            // The codes that have ended are gone already.
            if tokens.codes.len() == before {
                return Ok(None);
            }
            let record = TokenRecord {
                name: format!("{BROWSER}{}", &hash(&text)[..8]),
                scope: Scope::Admin,
                created_at,
                expires_at: Some(created_at.saturating_add(BROWSER_LIFETIME)),
                sha256: hash(&text),
            };
            // A browser that asks again and again must not lock out tokens of hosts.
            let browsers = |token: &TokenRecord| token.name.starts_with(BROWSER);
            if tokens.tokens.iter().filter(|token| browsers(token)).count() >= MAX_TOKENS / 10
                && let Some(oldest) = tokens.tokens.iter().position(browsers)
            {
                tokens.tokens.remove(oldest);
            }
            tokens.tokens.push(record.clone());
            Ok(Some(record))
        })
        .map(|record| record.map(|record| NewToken { text, record }))
    }

    fn path(&self) -> PathBuf {
        self.directory.file(FILE)
    }

    fn read(&self) -> Result<Tokens, Failure> {
        let path = self.path();
        let Some(text) = self.directory.read(FILE)? else {
            return Ok(Tokens { format: FORMAT, tokens: Vec::new(), codes: Vec::new() });
        };
        let invalid = |reason: String| Failure::Refused {
            code: "tokens",
            message: format!("cannot read the tokens in {}: {reason}", path.display()),
            hint: Some("restore the file, or remove it: then all tokens are revoked".to_owned()),
        };
        let tokens: Tokens = serde_json::from_str(&text).map_err(|error| invalid(error.to_string()))?;
        match tokens.format {
            FORMAT => Ok(tokens),
            format => Err(invalid(format!("a newer program wrote it (format {format})"))),
        }
    }

    /// Changes the file while other processes wait. Removes what has ended.
    fn change<T>(&self, change: impl FnOnce(&mut Tokens) -> Result<T, Failure>) -> Result<T, Failure> {
        let _lock = self.directory.lock(LOCK)?;
        let mut tokens = self.read()?;
        let now = now();
        tokens.tokens.retain(|token| !token.has_ended(now));
        tokens.codes.retain(|code| code.expires_at > now);
        let changed = change(&mut tokens)?;
        let text = serde_json::to_string_pretty(&tokens).map_err(io::Error::from)?;
        self.directory.replace(FILE, &text)?;
        Ok(changed)
    }
}

impl TokenRecord {
    fn has_ended(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// The tokens as a server checks them. Reads the file again when it has changed.
#[derive(Debug)]
pub(super) struct TokenCheck {
    file: TokenFile,
    read: Mutex<Option<(Stamp, Arc<Vec<TokenRecord>>)>>,
}

/// Identifies a version of the file. It is replaced for each change, so its identity changes too.
type Stamp = Option<(Option<FileId>, SystemTime, u64)>;

impl TokenCheck {
    pub(super) fn new(file: TokenFile) -> TokenCheck {
        TokenCheck { file, read: Mutex::default() }
    }

    pub(super) fn file(&self) -> &TokenFile {
        &self.file
    }

    /// The valid token with this text. Compares in constant time.
    ///
    /// # Errors
    /// When the file cannot be read. Then no token in it is valid.
    pub(super) fn find(&self, text: &str) -> Result<Option<TokenRecord>, Failure> {
        let (tokens, hashed, now) = (self.tokens()?, hash(text), now());
        let mut found = None;
        // All are compared, whichever is the right one.
        for token in tokens.iter() {
            let is_same = token.sha256.as_bytes().ct_eq(hashed.as_bytes());
            if bool::from(is_same) && !token.has_ended(now) {
                found = Some(token.clone());
            }
        }
        Ok(found)
    }

    /// Whether a token that was found has neither been revoked nor ended since.
    pub(super) fn is_valid(&self, token: &TokenRecord) -> bool {
        self.tokens().is_ok_and(|tokens| tokens.contains(token)) && !token.has_ended(now())
    }

    fn tokens(&self) -> Result<Arc<Vec<TokenRecord>>, Failure> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        // Stamp before reading: the next call notices a change in between.
        let stamp = self.stamp();
        if let Some((known, tokens)) = &*read
            && *known == stamp
        {
            return Ok(Arc::clone(tokens));
        }
        let tokens = Arc::new(self.file.read()?.tokens);
        *read = Some((stamp, Arc::clone(&tokens)));
        Ok(tokens)
    }

    fn stamp(&self) -> Stamp {
        let path = self.file.path();
        let status = fs::symlink_metadata(&path).ok()?;
        Some((FileId::of_resolved_path(&path), status.modified().ok()?, status.len()))
    }
}

/// The SHA-256 of a token, in hexadecimal digits.
fn hash(text: &str) -> String {
    use std::fmt::Write;
    let mut digits = String::with_capacity(64);
    for byte in digest(&SHA256, text.as_bytes()).as_ref() {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

fn check_name(name: &str) -> Result<(), Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_taken = name == OWN_TOKEN;
    if (1..=MAX_NAME_CHARS).contains(&name.len()) && name.chars().all(is_plain) && !is_taken {
        return Ok(());
    }
    Err(Failure::Usage {
        code: "invalid_name",
        message: format!("{name:?} cannot be the name of a token"),
        hint: Some(format!(
            "use 1 to {MAX_NAME_CHARS} letters, digits, '-', '_' and '.', but not {OWN_TOKEN}"
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> (tempfile::TempDir, TokenFile) {
        let folder = tempfile::tempdir().unwrap();
        let file = TokenFile::of_home(folder.path()).unwrap();
        (folder, file)
    }

    #[test]
    fn a_token_is_valid_until_it_is_revoked_or_ends_and_its_text_is_not_stored() {
        let (_folder, file) = tokens();
        let check = TokenCheck::new(file.clone());
        let new = file.create(Some("host"), Scope::Read, None).unwrap();
        let stored = fs::read_to_string(file.path()).unwrap();
        assert!(!stored.contains(&new.text), "{stored}");
        assert_eq!(check.find(&new.text).unwrap().unwrap(), new.record);
        assert_eq!(check.find(&new.text[1..]).unwrap(), None);
        let short = file.create(None, Scope::Admin, Some(Duration::ZERO)).unwrap();
        assert_eq!(check.find(&short.text).unwrap(), None);
        assert_eq!(file.list().unwrap(), std::slice::from_ref(&new.record));
        file.revoke("host").unwrap();
        assert_eq!(check.find(&new.text).unwrap(), None);
        assert!(matches!(file.revoke("host"), Err(Failure::Usage { code: "no_such_token", .. })));
    }

    #[test]
    fn names_are_unique_and_plain() {
        let (_folder, file) = tokens();
        file.create(Some("a"), Scope::Read, None).unwrap();
        let again = file.create(Some("a"), Scope::Read, None);
        assert!(matches!(again, Err(Failure::Usage { code: "token_exists", .. })));
        for name in ["", "server", "a b", "a\n", &"x".repeat(65)] {
            assert!(file.create(Some(name), Scope::Read, None).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_code_is_valid_once() {
        let (_folder, file) = tokens();
        let check = TokenCheck::new(file.clone());
        let code = file.create_code().unwrap();
        assert!(file.exchange("0").unwrap().is_none());
        let token = file.exchange(&code).unwrap().expect("it is valid");
        assert_eq!(check.find(&token.text).unwrap().unwrap().scope, Scope::Admin);
        assert!(token.record.expires_at.is_some());
        assert!(file.exchange(&code).unwrap().is_none());
    }

    #[test]
    fn a_damaged_file_makes_no_token_valid() {
        let (_folder, file) = tokens();
        let check = TokenCheck::new(file.clone());
        let new = file.create(None, Scope::Admin, None).unwrap();
        let text = fs::read_to_string(file.path()).unwrap();
        for damaged in [&text[..text.len() / 2], &text.replace("\"format\": 1", "\"format\": 2")] {
            fs::write(file.path(), damaged).unwrap();
            assert!(check.find(&new.text).is_err());
        }
    }
}
