//! The clocks: the wall clock, which may jump, and monotonic clocks, which do not.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use super::procfs;

/// Returns the wall-clock time in milliseconds since the epoch.
pub fn wall_millis() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec.saturating_mul(1000) + now.tv_nsec / 1_000_000 + injected_jump()
}

/// Converts a duration for poll(2). Limits it to 68 years.
pub(super) fn timespec(duration: Duration) -> Timespec {
    let longest = Timespec { tv_sec: i64::from(i32::MAX), tv_nsec: 0 };
    Timespec::try_from(duration)
        .map_or(longest, |time| if time.tv_sec > longest.tv_sec { longest } else { time })
}

/// Returns the time since boot without suspend (`CLOCK_MONOTONIC`). Timeouts and durations use it.
pub fn monotonic() -> Duration {
    as_duration(ClockId::Monotonic)
}

/// Returns the time since boot including suspend (`CLOCK_BOOTTIME`). Launch times use it.
pub fn uptime() -> Duration {
    as_duration(ClockId::Boottime)
}

/// Returns how many clock ticks a second has; never 0. The start times of processes are in ticks.
pub fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second().max(1)
}

fn as_duration(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Returns the id of this boot (random(4)). It is different after every boot.
///
/// # Errors
/// If `/proc` is not available.
pub fn boot_id() -> std::io::Result<String> {
    fail::fail_point!("boot_id", |id| Ok(id.unwrap_or_default()));
    let mut buffer = [0; 64];
    let id = procfs::read_short("/proc/sys/kernel/random/boot_id", &mut buffer)?;
    Ok(String::from_utf8_lossy(id).trim().to_owned())
}

/// Returns the jump of the wall clock that the fault test injects, in milliseconds.
fn injected_jump() -> i64 {
    fail::fail_point!("wall_clock", |millis| millis.and_then(|text| text.parse().ok()).unwrap_or(0));
    0
}
