//! Creates processes that inherit exactly three handles and may begin inside a job object.
#![allow(unsafe_code, reason = "CreateProcessW with a list of attributes has no safe wrapper")]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::zeroed;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsHandle, BorrowedHandle, OwnedHandle};
use std::path::Path;
use std::ptr::{from_ref, null, null_mut};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Threading::{
    CREATE_UNICODE_ENVIRONMENT, CreateProcessW, DeleteProcThreadAttributeList, EXTENDED_STARTUPINFO_PRESENT,
    InitializeProcThreadAttributeList, LPPROC_THREAD_ATTRIBUTE_LIST, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
    PROC_THREAD_ATTRIBUTE_JOB_LIST, PROCESS_CREATION_FLAGS, PROCESS_INFORMATION, STARTF_USESTDHANDLES,
    STARTUPINFOEXW, UpdateProcThreadAttribute,
};

use super::job_object::JobObject;
use super::win32::{check, inheritable, owned, raw, wide};

/// A process to create.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewProcess<'a> {
    /// The file of the program.
    pub(super) program: &'a Path,
    /// The command line without NUL: the name of the program, then its arguments (`command_line.rs`).
    pub(super) command_line: &'a [u16],
    /// The working directory; that of this process if `None`.
    pub(super) directory: Option<&'a Path>,
    /// The environment ([`environment_block`]); that of this process if `None`.
    pub(super) environment: Option<&'a [u16]>,
    /// Standard input, output and error. It inherits copies of these and no other handles.
    pub(super) standard: [BorrowedHandle<'a>; 3],
    /// The job object that it begins in, in addition to those of this process.
    pub(super) job: Option<&'a JobObject>,
    /// `CREATE_…`.
    pub(super) flags: PROCESS_CREATION_FLAGS,
}

/// A process that was created.
#[derive(Debug)]
pub(super) struct CreatedProcess {
    /// Its handle, with all rights.
    pub(super) process: OwnedHandle,
    /// The handle of its first thread.
    pub(super) thread: OwnedHandle,
    /// Its pid.
    pub(super) pid: u32,
}

impl NewProcess<'_> {
    /// Creates the process.
    ///
    /// # Errors
    /// If the program or the directory cannot be used, or the system refuses.
    pub(super) fn create(&self) -> io::Result<CreatedProcess> {
        let copies = [
            inheritable(&self.standard[0])?,
            inheritable(&self.standard[1])?,
            inheritable(&self.standard[2])?,
        ];
        let handles: [HANDLE; 3] = [raw(&copies[0]), raw(&copies[1]), raw(&copies[2])];
        let jobs: Option<[HANDLE; 1]> = self.job.map(|job| [raw(job)]);
        let mut attributes = AttributeList::new(1 + u32::from(jobs.is_some()))?;
        // SAFETY: both arrays live until the process is created.
        unsafe {
            attributes.set(PROC_THREAD_ATTRIBUTE_HANDLE_LIST, &handles)?;
            if let Some(jobs) = &jobs {
                attributes.set(PROC_THREAD_ATTRIBUTE_JOB_LIST, jobs)?;
            }
        }
        // SAFETY: zeros are a valid value of this plain structure.
        let mut startup: STARTUPINFOEXW = unsafe { zeroed() };
        startup.StartupInfo.cb = u32::try_from(size_of::<STARTUPINFOEXW>()).unwrap_or(0);
        startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
        startup.StartupInfo.hStdInput = handles[0];
        startup.StartupInfo.hStdOutput = handles[1];
        startup.StartupInfo.hStdError = handles[2];
        startup.lpAttributeList = attributes.as_ptr();
        self.call(&startup)
    }

    fn call(&self, startup: &STARTUPINFOEXW) -> io::Result<CreatedProcess> {
        let program = wide(self.program)?;
        let mut line: Vec<u16> = self.command_line.iter().copied().chain([0]).collect();
        let directory = self.directory.map(wide).transpose()?;
        let directory = directory.as_ref().map_or(null(), Vec::as_ptr);
        let environment = self.environment.map_or(null(), |block| block.as_ptr().cast());
        let flags = self.flags | EXTENDED_STARTUPINFO_PRESENT | CREATE_UNICODE_ENVIRONMENT;
        // SAFETY: all strings end with NUL, the environment with two, and everything lives during the call; the new
        // handles have no other owner.
        unsafe {
            let mut created: PROCESS_INFORMATION = zeroed();
            let startup = from_ref(startup).cast();
            check(CreateProcessW(
                program.as_ptr(),
                line.as_mut_ptr(),
                null(),
                null(),
                1,
                flags,
                environment,
                directory,
                startup,
                &mut created,
            ))?;
            Ok(CreatedProcess {
                process: owned(created.hProcess)?,
                thread: owned(created.hThread)?,
                pid: created.dwProcessId,
            })
        }
    }
}

/// A list of attributes for CreateProcessW.
struct AttributeList {
    /// Words, because the list needs their alignment.
    buffer: Vec<usize>,
}

impl AttributeList {
    fn new(attributes: u32) -> io::Result<AttributeList> {
        let mut bytes = 0;
        // SAFETY: with a null list, the call only returns the size that it needs, and an error.
        unsafe { InitializeProcThreadAttributeList(null_mut(), attributes, 0, &mut bytes) };
        let mut list = AttributeList { buffer: vec![0; bytes.div_ceil(size_of::<usize>())] };
        // SAFETY: the buffer has the size that the call asked for.
        let result =
            unsafe { check(InitializeProcThreadAttributeList(list.as_ptr(), attributes, 0, &mut bytes)) };
        match result {
            Ok(()) => Ok(list),
            Err(error) => {
                // It is not a list that could be deleted.
                std::mem::forget(list);
                Err(error)
            }
        }
    }

    fn as_ptr(&mut self) -> LPPROC_THREAD_ATTRIBUTE_LIST {
        self.buffer.as_mut_ptr().cast()
    }

    /// Sets an attribute to handles.
    ///
    /// # Safety
    /// The handles are open and the slice stays where it is until the process is created.
    unsafe fn set(&mut self, attribute: u32, handles: &[HANDLE]) -> io::Result<()> {
        let list = self.as_ptr();
        let (values, bytes) = (handles.as_ptr().cast(), size_of_val(handles));
        // SAFETY: the list is initialised; the caller guarantees the values.
        unsafe {
            check(UpdateProcThreadAttribute(list, 0, attribute as usize, values, bytes, null_mut(), null()))
        }
    }
}

impl Drop for AttributeList {
    fn drop(&mut self) {
        // SAFETY: the list was initialised, and is not used after this.
        unsafe { DeleteProcThreadAttributeList(self.as_ptr()) };
    }
}

/// Returns the environment of this process with some changes, in order, as CreateProcessW takes it: entries
/// `NAME=value`, sorted by name, each ended by NUL, and one more NUL. Letter case of names does not count. `None` removes a
/// variable.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if a change contains NUL.
pub(super) fn environment_block(changes: &[(&str, Option<&OsStr>)]) -> io::Result<Vec<u16>> {
    let key = |name: &OsStr| name.to_string_lossy().to_uppercase();
    let inherited = std::env::vars_os();
    let mut variables: BTreeMap<String, (OsString, OsString)> =
        inherited.map(|(name, value)| (key(&name), (name, value))).collect();
    for (name, value) in changes {
        let name = OsString::from(*name);
        match value {
            Some(value) => variables.insert(key(&name), (name, (*value).to_owned())),
            None => variables.remove(&key(&name)),
        };
    }
    let mut block = Vec::new();
    for (name, value) in variables.into_values() {
        if name.encode_wide().chain(value.encode_wide()).any(|unit| unit == 0) {
            let message = format!("the environment variable {} contains a NUL character", name.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        block.extend(name.encode_wide().chain([u16::from(b'=')]).chain(value.encode_wide()).chain([0]));
    }
    if block.is_empty() {
        block.push(0);
    }
    block.push(0);
    Ok(block)
}

/// Returns a path without the prefix `\\?\`, which working directories and `cmd.exe` do not support.
pub(super) fn without_verbatim_prefix(path: &Path) -> OsString {
    let units: Vec<u16> = path.as_os_str().encode_wide().collect();
    let is = |prefix: &str| {
        units.get(..prefix.len()).is_some_and(|start| start.iter().copied().eq(prefix.encode_utf16()))
    };
    if is(r"\\?\UNC\") {
        let share = r"\\".encode_utf16().chain(units[r"\\?\UNC\".len()..].iter().copied());
        return OsString::from_wide(&share.collect::<Vec<_>>());
    }
    let rest = units.get(4..).unwrap_or_default();
    let is_drive = is(r"\\?\") && rest.get(1) == Some(&u16::from(b':'));
    if is_drive { OsString::from_wide(rest) } else { path.as_os_str().to_owned() }
}

/// Returns the three standard handles as borrowed ones.
pub(super) fn borrowed<'a>(standard: &'a [OwnedHandle; 3]) -> [BorrowedHandle<'a>; 3] {
    [standard[0].as_handle(), standard[1].as_handle(), standard[2].as_handle()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_is_sorted_and_names_ignore_case() {
        let block = environment_block(&[
            ("homing_block_b", Some(OsStr::new("1"))),
            ("HOMING_BLOCK_A", Some(OsStr::new("a=b"))),
            ("Homing_Block_B", Some(OsStr::new("2"))),
            ("PATH", None),
        ])
        .unwrap();
        let text = String::from_utf16(&block).unwrap();
        assert!(text.ends_with("\0\0"));
        let ours: Vec<&str> =
            text.split('\0').filter(|entry| entry.to_uppercase().starts_with("HOMING_BLOCK")).collect();
        assert_eq!(ours, ["HOMING_BLOCK_A=a=b", "Homing_Block_B=2"]);
        assert!(!text.split('\0').any(|entry| entry.to_uppercase().starts_with("PATH=")));
    }

    #[test]
    fn verbatim_prefix_is_removed() {
        for (path, plain) in [
            (r"\\?\C:\a b", r"C:\a b"),
            (r"\\?\UNC\server\share\x", r"\\server\share\x"),
            (r"C:\x", r"C:\x"),
            (r"\\?\Volume{1}\x", r"\\?\Volume{1}\x"),
        ] {
            assert_eq!(without_verbatim_prefix(Path::new(path)), plain);
        }
    }
}
