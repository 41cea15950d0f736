//! The clocks: the wall clock, which may jump, and monotonic clocks, which do not.
#![allow(unsafe_code, reason = "the clocks of the system have no safe wrapper")]

use std::io;
use std::ptr::null_mut;
use std::time::{Duration, SystemTime};

use windows_sys::Wdk::System::SystemInformation::{NtQuerySystemInformation, SystemTimeOfDayInformation};
use windows_sys::Win32::System::WindowsProgramming::{
    QueryInterruptTimePrecise, QueryUnbiasedInterruptTimePrecise,
};

use super::nt::error_of;

/// Units of the clocks in a second: 100 ns.
const UNITS: u64 = 10_000_000;

/// Returns the wall-clock time in milliseconds since the epoch.
pub fn wall_millis() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(i64::MAX)) + injected_jump()
}

/// Returns the time since boot without sleep and hibernation. Timeouts and durations use it.
pub fn monotonic() -> Duration {
    let mut units = 0;
    // SAFETY: the call writes one number.
    unsafe { QueryUnbiasedInterruptTimePrecise(&raw mut units) };
    as_duration(units)
}

/// Returns the time since boot including sleep and hibernation. Launch times use it.
pub fn uptime() -> Duration {
    let mut units = 0;
    // SAFETY: the call writes one number.
    unsafe { QueryInterruptTimePrecise(&raw mut units) };
    as_duration(units)
}

/// Returns how many ticks a second has. The start times of processes are in ticks, since 1601.
pub fn ticks_per_second() -> u64 {
    UNITS
}

fn as_duration(units: u64) -> Duration {
    Duration::new(units / UNITS, u32::try_from(units % UNITS).unwrap_or(0) * 100)
}

/// Returns the id of this boot. It is different after every boot, and the same after sleep and hibernation, which end no
/// process. After a shutdown with fast startup, the kernel continues, so it is the same too: then a process is
/// distinguished by its start time, which is absolute.
///
/// It consists of two numbers that the kernel never changes between two boots: a counter of boots, which is 0 on some
/// systems, and the time of the boot by the wall clock of that moment. For the second, the kernel adds each later change of
/// the wall clock both to the time of the boot and to a separate sum, which is subtracted here.
///
/// # Errors
/// If the system does not report the time of the boot.
pub fn boot_id() -> io::Result<String> {
    fail::fail_point!("boot_id", |id| Ok(id.unwrap_or_default()));
    /// `SYSTEM_TIMEOFDAY_INFORMATION`, of which the headers of Windows name no fields.
    #[repr(C)]
    #[derive(Default)]
    struct TimeOfDay {
        boot_time: i64,
        current_time: i64,
        time_zone_bias: i64,
        time_zone_id: u32,
        reserved: u32,
        boot_time_bias: i64,
        sleep_time_bias: i64,
    }
    let mut time = TimeOfDay::default();
    let size = u32::try_from(size_of::<TimeOfDay>()).expect("a small structure");
    // SAFETY: the structure has this size, and the system writes plain numbers.
    let status = unsafe {
        NtQuerySystemInformation(SystemTimeOfDayInformation, (&raw mut time).cast(), size, null_mut())
    };
    if status < 0 {
        return Err(error_of(status));
    }
    Ok(format!("{:x}-{:x}", boot_count(), time.boot_time.wrapping_sub(time.boot_time_bias)))
}

/// The field `BootId` of `KUSER_SHARED_DATA`, a page that the kernel maps at the same address into every process.
fn boot_count() -> u32 {
    const ADDRESS: usize = 0x7ffe_0000 + 0x2c4;
    // SAFETY: the page is always mapped for reading, and the field has this place since Windows 10 1607.
    unsafe { std::ptr::with_exposed_provenance::<u32>(ADDRESS).read_volatile() }
}

/// Returns the jump of the wall clock that the fault test injects, in milliseconds.
fn injected_jump() -> i64 {
    fail::fail_point!("wall_clock", |millis| millis.and_then(|text| text.parse().ok()).unwrap_or(0));
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_go_on_and_agree() {
        let (uptime_before, monotonic_before) = (uptime(), monotonic());
        assert!(monotonic_before <= uptime_before + Duration::from_secs(1));
        std::thread::sleep(Duration::from_millis(2));
        assert!(uptime() > uptime_before && monotonic() > monotonic_before);
        assert!(wall_millis() > 1_700_000_000_000);
        assert_eq!(as_duration(UNITS + 1), Duration::new(1, 100));
    }

    #[test]
    fn boot_id_does_not_change() {
        let id = boot_id().unwrap();
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(boot_id().unwrap(), id);
        assert!(!id.ends_with("-0"), "{id}");
    }
}
