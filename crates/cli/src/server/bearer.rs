//! Reads the token of a request.

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

/// The token in `Authorization: Bearer TOKEN`; `None` without one, and for a header that is repeated, because two
/// programs could read different ones.
pub(crate) fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let (Some(sent), None) = (sent.next(), sent.next()) else { return None };
    let (scheme, token) = sent.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token_in(values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, hyper::header::HeaderValue::from_static(value));
        }
        bearer_token(&headers).map(str::to_owned)
    }

    #[test]
    fn one_header_with_one_token_is_accepted() {
        assert_eq!(token_in(&["Bearer abc"]).as_deref(), Some("abc"));
        assert_eq!(token_in(&["bearer  abc "]).as_deref(), Some("abc"));
        for values in [&[][..], &["abc"], &["Basic abc"], &["Bearer abc", "Bearer abc"]] {
            assert_eq!(token_in(values), None, "{values:?}");
        }
    }
}
