//! The clocks: the wall clock, which may jump, and monotonic clocks, which do not.
#![allow(unsafe_code, reason = "clock_gettime(3) with the clocks of Darwin has no safe wrapper")]

use std::mem;
use std::time::Duration;

use super::sysctl;

/// Returns the wall-clock time in milliseconds since the epoch.
pub fn wall_millis() -> i64 {
    let now = read(libc::CLOCK_REALTIME);
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX).saturating_add(injected_jump())
}

/// Returns the wall-clock time since the epoch, without injected jumps.
pub(super) fn wall() -> Duration {
    read(libc::CLOCK_REALTIME)
}

/// Returns the time since boot without suspend (`CLOCK_UPTIME_RAW`, which is mach_absolute_time). Timeouts and durations
/// use it.
pub fn monotonic() -> Duration {
    read(libc::CLOCK_UPTIME_RAW)
}

/// Returns the time since boot including suspend (`CLOCK_MONOTONIC_RAW`, which is mach_continuous_time). Launch times use
/// it.
pub fn uptime() -> Duration {
    read(libc::CLOCK_MONOTONIC_RAW)
}

/// Returns how many units of the start times of processes a second has: microseconds.
pub fn ticks_per_second() -> u64 {
    1_000_000
}

fn read(clock: libc::clockid_t) -> Duration {
    // SAFETY: the time is a live local, and all zeros are a valid value. The clocks exist on every macOS since 10.12.
    let now = unsafe {
        let mut now: libc::timespec = mem::zeroed();
        libc::clock_gettime(clock, &mut now);
        now
    };
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Converts a time on the clock of [`uptime`] to ticks of mach_continuous_time. Rounds up.
pub(super) fn continuous_ticks(at: Duration) -> u64 {
    let (numerator, denominator) = nanoseconds_per_tick();
    let ticks = (at.as_nanos() * denominator).div_ceil(numerator);
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// Converts ticks of mach_absolute_time to a time.
pub(super) fn from_absolute_ticks(ticks: u64) -> Duration {
    let (numerator, denominator) = nanoseconds_per_tick();
    let nanoseconds = u128::from(ticks) * numerator / denominator;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// Returns the nanoseconds of a tick of the Mach clocks, as numerator and denominator.
fn nanoseconds_per_tick() -> (u128, u128) {
    let mut base = TimeBase { numerator: 1, denominator: 1 };
    // SAFETY: the structure is a live local with the layout that the call writes.
    unsafe { mach_timebase_info(&mut base) };
    (u128::from(base.numerator.max(1)), u128::from(base.denominator.max(1)))
}

/// `struct mach_timebase_info` of `mach/mach_time.h`: a tick has `numerator / denominator` nanoseconds.
#[repr(C)]
struct TimeBase {
    numerator: u32,
    denominator: u32,
}

unsafe extern "C" {
    /// `mach/mach_time.h`. The libc crate has deprecated its declaration.
    fn mach_timebase_info(info: *mut TimeBase) -> libc::c_int;
}

/// Returns the id of this boot (`kern.bootsessionuuid`, sysctl(3)). It is different after every boot.
///
/// # Errors
/// If the system does not tell.
pub fn boot_id() -> std::io::Result<String> {
    fail::fail_point!("boot_id", |id| Ok(id.unwrap_or_default()));
    sysctl::text(c"kern.bootsessionuuid")
}

/// Returns the jump of the wall clock that the fault test injects, in milliseconds.
fn injected_jump() -> i64 {
    fail::fail_point!("wall_clock", |millis| millis.and_then(|text| text.parse().ok()).unwrap_or(0));
    0
}
