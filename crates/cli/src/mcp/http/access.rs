//! Who may come in: whoever has the token.

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use super::token::Token;

/// Lets in or refuses.
pub(super) struct Access {
    token: Token,
}

/// Why somebody is not let in. Says nothing that helps to guess.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no token.
    NoToken,
    /// It is not ours.
    WrongToken,
}

impl Access {
    pub(super) fn new(token: Token) -> Access {
        Access { token }
    }

    /// Lets in who shows the token.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        // Of several, no one could say which counts.
        let (Some(shown), None) = (shown.next(), shown.next()) else { return Err(Refusal::NoToken) };
        let (scheme, token) =
            shown.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Refusal::NoToken)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refusal::NoToken);
        }
        if self.token.is(token.trim()) { Ok(()) } else { Err(Refusal::WrongToken) }
    }
}

impl Refusal {
    /// In words for whoever set up the client.
    pub(super) fn message(&self) -> &'static str {
        match self {
            Refusal::NoToken => "send the token as Authorization: Bearer TOKEN",
            Refusal::WrongToken => "the token is not the one of this server",
        }
    }
}
