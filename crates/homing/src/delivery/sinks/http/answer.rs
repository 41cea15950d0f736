//! Answers of servers, and their meaning for a wake.

use std::time::{Duration, SystemTime};

use homing_core::Delivery;
use homing_core::text::{clean, flatten};

/// How much of a body's first line is shown, in characters.
const MAX_LINE_CHARS: usize = 200;

/// An answer of any status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpAnswer {
    /// The status, 200 to 599.
    pub(crate) status: u16,
    /// The parsed `Retry-After`; not bounded.
    pub(crate) retry_after: Option<Duration>,
    /// The beginning of the body.
    pub(crate) body: Vec<u8>,
}

impl HttpAnswer {
    /// The result of an attempt with this answer. 2xx means delivered.
    pub(crate) fn into_delivery(self) -> Delivery {
        match self.status {
            200..=299 => Delivery::Delivered,
            300..=399 => {
                Delivery::Failed { error: format!("HTTP {}: redirects are not followed", self.status) }
            }
            404 | 410 => Delivery::Gone { reason: self.describe() },
            409 | 425 | 429 | 503 => {
                Delivery::Busy { retry_after: self.retry_after, reason: self.describe() }
            }
            _ => Delivery::Failed { error: self.describe() },
        }
    }

    /// The status and the body's first line.
    fn describe(&self) -> String {
        let body = clean(&self.body);
        match body.lines().map(str::trim).find(|line| !line.is_empty()) {
            None => format!("HTTP {}", self.status),
            Some(line) => {
                let line = flatten(line);
                let shown: String = line.chars().take(MAX_LINE_CHARS).collect();
                let more = if shown.len() < line.len() { "…" } else { "" };
                format!("HTTP {}: {shown}{more}", self.status)
            }
        }
    }
}

/// Parses `Retry-After` (RFC 9110, 10.2.3): seconds, or a date. A past date means now. Other values count as missing.
pub(super) fn parse_retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.parse().ok().map(Duration::from_secs);
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(status: u16, body: &str) -> Delivery {
        HttpAnswer { status, retry_after: None, body: body.as_bytes().to_vec() }.into_delivery()
    }

    #[test]
    fn every_status_has_an_answer() {
        for status in 100..1_000 {
            let expected = match status {
                200..=299 => "delivered",
                409 | 425 | 429 | 503 => "busy",
                404 | 410 => "gone",
                _ => "failed",
            };
            assert_eq!(delivery(status, "").as_str(), expected, "HTTP {status}");
        }
    }

    #[test]
    fn only_a_short_readable_line_of_the_body_is_shown() {
        let error = delivery(500, "\n\n  \x1b[31mno \x07room\x1b[0m\nat com.example.Stack(17)");
        assert_eq!(error.reason(), Some("HTTP 500: no room"));
        let error = delivery(500, &"\u{e9}".repeat(4_000));
        assert_eq!(error.reason(), Some(format!("HTTP 500: {}…", "\u{e9}".repeat(200)).as_str()));
        assert_eq!(delivery(410, "").reason(), Some("HTTP 410"));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 11:00:00 GMT").unwrap();
        let seconds = |text| parse_retry_after(text, now).map(|duration| duration.as_secs());
        assert_eq!(seconds(" 120 "), Some(120));
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("Sun, 22 Nov 2026 11:01:30 GMT"), Some(90));
        assert_eq!(seconds("Sunday, 22-Nov-26 11:01:30 GMT"), Some(90));
        assert_eq!(seconds("Sun, 22 Nov 2026 10:00:00 GMT"), Some(0));
        for text in ["", "-5", "1.5", "soon", "99999999999999999999999"] {
            assert_eq!(seconds(text), None, "{text:?}");
        }
    }
}
