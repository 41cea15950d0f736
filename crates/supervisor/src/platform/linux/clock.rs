//! The clocks: one that people read and that may jump, and one that only goes forward.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use super::procfs;

/// The wall clock, in milliseconds since the epoch.
pub fn wall_millis() -> i64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec.saturating_mul(1000) + now.tv_nsec / 1_000_000 + injected_jump()
}

/// A length of time as poll(2) takes it; what is longer than it can say is cut to 68 years.
pub fn timespec(duration: Duration) -> Timespec {
    let longest = Timespec { tv_sec: i64::from(i32::MAX), tv_nsec: 0 };
    Timespec::try_from(duration)
        .map_or(longest, |time| if time.tv_sec > longest.tv_sec { longest } else { time })
}

/// Time since boot without the time spent asleep (`CLOCK_MONOTONIC`): limits and durations are measured on it.
pub fn monotonic() -> Duration {
    as_duration(ClockId::Monotonic)
}

/// Time since boot with the time spent asleep (`CLOCK_BOOTTIME`): comparable between processes, orders jobs.
pub fn uptime() -> Duration {
    as_duration(ClockId::Boottime)
}

fn as_duration(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// What names this boot of the machine (random(4)); it changes at every boot and never otherwise.
///
/// # Errors
/// When `/proc` is not there.
pub fn boot_id() -> std::io::Result<String> {
    fail::fail_point!("boot_id", |id| Ok(id.unwrap_or_default()));
    let mut buffer = [0; 64];
    let id = procfs::read_short("/proc/sys/kernel/random/boot_id", &mut buffer)?;
    Ok(String::from_utf8_lossy(id).trim().to_owned())
}

/// A jump of the wall clock in milliseconds, which the fault tests inject.
fn injected_jump() -> i64 {
    fail::fail_point!("wall_clock", |millis| millis.and_then(|text| text.parse().ok()).unwrap_or(0));
    0
}
