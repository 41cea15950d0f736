//! What distinguishes this machine from others. Only reads.
#![allow(unsafe_code, reason = "the registry and the name of the machine have no safe wrapper")]

use serde::{Deserialize, Serialize};
use windows_sys::Win32::System::Registry::{
    HKEY_LOCAL_MACHINE, RRF_RT_REG_SZ, RRF_SUBKEY_WOW6464KEY, RegGetValueW,
};
use windows_sys::Win32::System::SystemInformation::{ComputerNameDnsHostname, GetComputerNameExW};
use windows_sys::w;

/// Maximum length of a stored machine id or host name, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Identifies an instance of a pid namespace. Windows has only one, except in containers, which have a machine id of their
/// own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PidNamespace {
    /// Always 0.
    pub inode: u64,
    /// Always `None`: the identity of a process does not depend on a first one, because its start time is absolute.
    pub init_start_ticks: Option<u64>,
}

/// Returns the host name: at most 64 ASCII characters.
pub fn host_name() -> String {
    fail::fail_point!("host_name", Option::unwrap_or_default);
    let mut buffer = [0u16; 256];
    let mut length = 256;
    // SAFETY: the buffer has the length that is passed.
    let found =
        unsafe { GetComputerNameExW(ComputerNameDnsHostname, buffer.as_mut_ptr(), &raw mut length) } != 0;
    let name = buffer.get(..length as usize).filter(|_| found).unwrap_or_default();
    bounded(&String::from_utf16_lossy(name))
}

/// Returns the machine id, which the setup of Windows creates (`MachineGuid`); `None` if the system has none.
pub fn machine_id() -> Option<String> {
    fail::fail_point!("machine_id", |id| id);
    let mut buffer = [0u16; 128];
    let mut bytes = u32::try_from(size_of_val(&buffer)).expect("a small buffer");
    // SAFETY: both names end with a zero, and the buffer has the length that is passed.
    let error = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            w!(r"SOFTWARE\Microsoft\Cryptography"),
            w!("MachineGuid"),
            RRF_RT_REG_SZ | RRF_SUBKEY_WOW6464KEY,
            std::ptr::null_mut(),
            buffer.as_mut_ptr().cast(),
            &raw mut bytes,
        )
    };
    let text = String::from_utf16_lossy(buffer.get(..bytes as usize / 2).filter(|_| error == 0)?);
    let id = bounded(text.trim_end_matches('\0'));
    (!id.is_empty()).then_some(id)
}

fn bounded(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(MAX_NAME_BYTES).collect()
}

/// Returns the pid namespace of this process.
pub fn own_pid_namespace() -> Option<PidNamespace> {
    Some(PidNamespace { inode: 0, init_start_ticks: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_has_a_name_and_an_id() {
        assert!(!host_name().is_empty());
        let id = machine_id().expect("setup creates it");
        assert_eq!((id.len(), machine_id()), (36, Some(id.clone())), "{id}");
    }
}
