//! Named points at which fault tests kill this process, as `kill -9` would. Without the feature `failpoints` they
//! compile to nothing.

/// Kills this process if the fault test selects this point, for example `FAILPOINTS="launch/spec=return"`.
#[inline]
pub fn crash_point(name: &str) {
    fail::fail_point!(name, |_| crash());
    let _ = name;
}

/// Reads `FAILPOINTS` from the environment in a build for fault tests.
#[inline]
pub fn arm_crash_points() {
    #[cfg(feature = "failpoints")]
    // Never torn down: the points stay armed until the process ends.
    std::mem::forget(fail::FailScenario::setup());
}

#[cfg(feature = "failpoints")]
fn crash() {
    crate::platform::process::kill_this_process();
}

/// Returns the duration that the fault test injects under this name, in milliseconds.
#[inline]
pub fn injected_millis(name: &str) -> Option<std::time::Duration> {
    fail::fail_point!(name, |millis| {
        millis.and_then(|text| text.parse().ok()).map(std::time::Duration::from_millis)
    });
    let _ = name;
    None
}
