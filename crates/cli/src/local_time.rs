//! Times for people, in the time zone of this machine or of `TZ`. Documents for programs use UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use homing::core::{Timestamp, parse_duration};
use jiff::civil;
use jiff::tz::TimeZone;

/// The forms that [`parse_since`] accepts.
const USAGE: &str = "use an age such as 2h or 7d, a local time such as 14:30, 2026-11-29 or \
                     2026-11-29T14:30, or a time with an offset such as 2026-11-29T14:30Z";

/// The current wall-clock time.
pub(crate) fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// Date, time and offset: `2026-11-22 12:00:00 +01:00`.
pub(crate) fn date_and_time(time: Timestamp) -> String {
    written(time, TimeZone::system(), "%Y-%m-%d %H:%M:%S %:z")
}

/// The time of day: `12:00:07`.
pub(crate) fn time_of_day(time: Timestamp) -> String {
    written(time, TimeZone::system(), "%H:%M:%S")
}

/// The time of day, or the day if it is another one than that of `now`: `12:00:07`, `Nov 22`.
#[cfg(feature = "top")]
pub(crate) fn time_or_day(time: Timestamp, now: Timestamp) -> String {
    time_or_day_in(time, now, TimeZone::system())
}

#[cfg(feature = "top")]
fn time_or_day_in(time: Timestamp, now: Timestamp, zone: TimeZone) -> String {
    let day = |time| written(time, zone.clone(), "%Y-%m-%d");
    let format = if day(time) == day(now) { "%H:%M:%S" } else { "%b %d" };
    written(time, zone, format)
}

/// The time of day, with the date if it is not today: `12:00:07`, `2026-11-22 12:00:07`.
pub(crate) fn short_time(time: Timestamp, now: Timestamp) -> String {
    let day = |time| written(time, TimeZone::system(), "%Y-%m-%d");
    if day(time) == day(now) {
        time_of_day(time)
    } else {
        written(time, TimeZone::system(), "%Y-%m-%d %H:%M:%S")
    }
}

fn written(time: Timestamp, zone: TimeZone, format: &str) -> String {
    match jiff::Timestamp::from_millisecond(time.as_unix_millis()) {
        Ok(instant) => instant.to_zoned(zone).strftime(format).to_string(),
        // A timestamp is always within the range of jiff.
        Err(_) => time.to_string(),
    }
}

/// Parses the beginning of a period: an age, or a local or absolute time.
///
/// # Errors
/// If the text is none of them.
pub(crate) fn parse_since(text: &str) -> Result<Timestamp, String> {
    since(text.trim(), now(), TimeZone::system()).ok_or_else(|| USAGE.to_owned())
}

fn since(text: &str, now: Timestamp, zone: TimeZone) -> Option<Timestamp> {
    if let Ok(age) = parse_duration(text) {
        return Some(now.saturating_sub(age));
    }
    let instant = if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        instant
    } else if let Ok(local) = text.parse::<civil::DateTime>() {
        local.to_zoned(zone).ok()?.timestamp()
    } else {
        let time: civil::Time = text.parse().ok()?;
        let today =
            jiff::Timestamp::from_millisecond(now.as_unix_millis()).ok()?.to_zoned(zone.clone()).date();
        today.to_datetime(time).to_zoned(zone).ok()?.timestamp()
    };
    Some(Timestamp::from_unix_millis(instant.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_local_and_name_their_offset() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let time = Timestamp::from_unix_millis(1_795_345_200_123);
        assert_eq!(written(time, zone, "%Y-%m-%d %H:%M:%S %:z"), "2026-11-22 13:00:00 +02:00");
    }

    #[cfg(feature = "top")]
    #[test]
    fn another_day_is_shown_instead_of_the_time() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now = Timestamp::from_unix_millis(1_795_345_200_000);
        assert_eq!(time_or_day_in(now, now, zone.clone()), "13:00:00");
        let before = Timestamp::from_unix_millis(1_795_345_200_000 - 14 * 3_600_000);
        assert_eq!(time_or_day_in(before, now, zone), "Nov 21");
    }

    #[test]
    fn a_period_begins_at_an_age_a_local_time_or_an_instant() {
        // 2026-11-22T11:00:00Z.
        let now = Timestamp::from_unix_millis(1_795_345_200_000);
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        for (text, expected) in [
            ("2h", "2026-11-22T09:00:00.000Z"),
            ("7d", "2026-11-15T11:00:00.000Z"),
            ("12:30", "2026-11-22T10:30:00.000Z"),
            ("2026-11-21", "2026-11-20T22:00:00.000Z"),
            ("2026-11-21 08:00", "2026-11-21T06:00:00.000Z"),
            ("2026-11-21T08:00", "2026-11-21T06:00:00.000Z"),
            ("2026-11-21T08:00:00Z", "2026-11-21T08:00:00.000Z"),
            ("2026-11-21T08:00:00-05:00", "2026-11-21T13:00:00.000Z"),
        ] {
            assert_eq!(
                since(text, now, zone.clone()).map(|time| time.to_string()).as_deref(),
                Some(expected),
                "{text}"
            );
        }
        for text in ["", "yesterday-ish", "90", "-2h", "2026-13-01", "25:00"] {
            assert_eq!(since(text, now, zone.clone()), None, "{text}");
        }
    }
}
