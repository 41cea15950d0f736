//! Detects features of the system.
#![allow(unsafe_code, reason = "the version and job objects have no safe wrapper")]

use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::ptr::null;

use windows_sys::Wdk::System::SystemServices::RtlGetVersion;
use windows_sys::Win32::System::JobObjects::CreateJobObjectW;
use windows_sys::Win32::System::SystemInformation::OSVERSIONINFOW;

/// Build number of Windows 10 1809.
const OLDEST_BUILD: u32 = 17_763;

/// A feature of the system that homing uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// Whether the system has it.
    pub available: bool,
    /// Whether homing requires it.
    pub required: bool,
    /// The benefit of the feature.
    pub detail: &'static str,
}

/// Detects all features.
pub fn detect() -> Vec<Feature> {
    let feature = |name, available, required, detail| Feature { name, available, required, detail };
    vec![
        feature("Windows 10 1809", build() >= OLDEST_BUILD, true, "names of removed files are free at once"),
        feature("job objects", has_job_objects(), true, "processes cannot leave the tree of their job"),
    ]
}

fn build() -> u32 {
    let size = u32::try_from(size_of::<OSVERSIONINFOW>()).expect("a small structure");
    let mut version = OSVERSIONINFOW { dwOSVersionInfoSize: size, ..OSVERSIONINFOW::default() };
    // SAFETY: the structure has the size that it states.
    match unsafe { RtlGetVersion(&raw mut version) } {
        0.. => version.dwBuildNumber,
        _ => 0,
    }
}

fn has_job_objects() -> bool {
    // SAFETY: attributes and name are optional.
    let job = unsafe { CreateJobObjectW(null(), null()) };
    if job.is_null() {
        return false;
    }
    // SAFETY: the call returned a handle that nothing else owns; this closes it.
    drop(unsafe { OwnedHandle::from_raw_handle(job) });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_features_are_available() {
        let missing: Vec<_> =
            detect().into_iter().filter(|found| found.required && !found.available).collect();
        assert_eq!(missing, []);
    }
}
