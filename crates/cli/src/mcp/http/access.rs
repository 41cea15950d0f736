//! Checks the token of a request.

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use super::token::Token;

/// Accepts or refuses requests.
pub(super) struct Access {
    token: Token,
}

/// Why a request is refused. Reveals nothing that helps to guess the token.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request has no token.
    NoToken,
    /// The token is not the one of this server.
    WrongToken,
}

impl Access {
    pub(super) fn new(token: Token) -> Access {
        Access { token }
    }

    /// Accepts a request that carries the token.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut sent = headers.get_all(AUTHORIZATION).iter();
        // Repeated headers are ambiguous.
        let (Some(sent), None) = (sent.next(), sent.next()) else { return Err(Refusal::NoToken) };
        let (scheme, token) =
            sent.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(Refusal::NoToken)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refusal::NoToken);
        }
        if self.token.is(token.trim()) { Ok(()) } else { Err(Refusal::WrongToken) }
    }
}

impl Refusal {
    /// A message for the person who configures the client.
    pub(super) fn message(&self) -> &'static str {
        match self {
            Refusal::NoToken => "send the token as Authorization: Bearer TOKEN",
            Refusal::WrongToken => "wrong token",
        }
    }
}
