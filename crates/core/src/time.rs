//! Timestamps and durations, and their text forms.

use std::fmt;
use std::time::Duration;

use jiff::fmt::friendly::SpanParser;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A wall-clock time in milliseconds since 1970-01-01T00:00:00Z. As text: RFC 3339, UTC, with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Creates a time from milliseconds since the epoch, clamped to the range that a calendar date can represent.
    pub fn from_unix_millis(millis: i64) -> Timestamp {
        let (min, max) = (jiff::Timestamp::MIN.as_millisecond(), jiff::Timestamp::MAX.as_millisecond());
        Timestamp(millis.clamp(min, max))
    }

    /// Returns the milliseconds since the epoch.
    pub fn as_unix_millis(self) -> i64 {
        self.0
    }

    /// Returns the time from `earlier` to this time; zero if `earlier` is later.
    pub fn saturating_since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Returns the time `duration` after this time.
    pub fn saturating_add(self, duration: Duration) -> Timestamp {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_unix_millis(self.0.saturating_add(millis))
    }

    /// Returns the time `duration` before this time.
    pub fn saturating_sub(self, duration: Duration) -> Timestamp {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_unix_millis(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        f.pad(&format!("{time:.3}"))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(de::Error::custom)?;
        Ok(Timestamp(time.as_millisecond()))
    }
}

/// Maximum duration that is accepted: ten years.
const MAX_DURATION: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// Parses a duration such as `90s`, `2h`, `1h30m`, `1.5h`, `7d` or `250ms`. A number without a unit is refused.
///
/// # Errors
/// If the text is not a duration, or the duration is negative or longer than ten years.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let invalid = || DurationError(text.chars().take(40).collect());
    let duration = match parse_days(text) {
        Some(days) => days,
        None => Duration::try_from(SpanParser::new().parse_duration(text.trim()).map_err(|_| invalid())?)
            .map_err(|_| invalid())?,
    };
    if duration > MAX_DURATION { Err(invalid()) } else { Ok(duration) }
}

/// Parses days and weeks with 24 hours a day. jiff does not, because their length depends on the calendar.
fn parse_days(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (number, seconds_each) = match text.strip_suffix('d') {
        Some(number) => (number, 86_400),
        None => (text.strip_suffix('w')?, 7 * 86_400),
    };
    let number: u64 = number.trim().parse().ok()?;
    number.checked_mul(seconds_each).map(Duration::from_secs)
}

/// Writes a duration for people, in at most two units: `250ms`, `1.2s`, `1m 12s`, `2h 5m`, `3d 4h`.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let pair = |large: u64, large_unit: &str, small: u64, small_unit: &str| {
        if small == 0 {
            format!("{large}{large_unit}")
        } else {
            format!("{large}{large_unit} {small}{small_unit}")
        }
    };
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..=9 if duration.subsec_millis() >= 100 => format!("{seconds}.{}s", duration.subsec_millis() / 100),
        1..=59 => format!("{seconds}s"),
        60..=3_599 => pair(seconds / 60, "m", seconds % 60, "s"),
        3_600..=86_399 => pair(seconds / 3_600, "h", seconds % 3_600 / 60, "m"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// The text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration")]
pub struct DurationError(String);

impl DurationError {
    /// Returns a hint for the user.
    pub fn hint(&self) -> &'static str {
        "write a number with its unit, such as 90s, 15m, 2h, 1h30m or 7d"
    }
}

/// Returns whole milliseconds, the unit of every `_ms` field. Saturates.
pub fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_with_units_are_parsed() {
        let seconds = |text: &str| parse_duration(text).map(|duration| duration.as_secs_f64());
        assert_eq!(seconds("90s"), Ok(90.0));
        assert_eq!(seconds("2h"), Ok(7_200.0));
        assert_eq!(seconds("1h30m"), Ok(5_400.0));
        assert_eq!(seconds("1.5h"), Ok(5_400.0));
        assert_eq!(seconds("250ms"), Ok(0.25));
        assert_eq!(seconds("7d"), Ok(604_800.0));
        assert_eq!(seconds("0s"), Ok(0.0));
    }

    #[test]
    fn invalid_durations_are_refused() {
        for text in
            ["", "90", "soon", "-5s", "5 parsecs", "99999999999999w", "18446744073709551615d", "200000h"]
        {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn durations_are_written_in_at_most_two_units() {
        let text = |millis| format_duration(Duration::from_millis(millis));
        assert_eq!(text(0), "0ms");
        assert_eq!(text(1_250), "1.2s");
        assert_eq!(text(12_900), "12s");
        assert_eq!(text(72_000), "1m 12s");
        assert_eq!(text(7_200_000), "2h");
        assert_eq!(text(273_600_000), "3d 4h");
    }

    #[test]
    fn times_are_written_with_milliseconds_in_utc() {
        let time = Timestamp::from_unix_millis(1_795_345_200_123);
        assert_eq!(time.to_string(), "2026-11-22T11:00:00.123Z");
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
    }
}
