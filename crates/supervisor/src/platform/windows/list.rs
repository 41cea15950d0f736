//! Reads the entries of a directory with their attributes.
#![allow(unsafe_code, reason = "the system fills a buffer with records of different lengths")]

use std::io;
use std::mem::offset_of;
use std::os::windows::io::{AsRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_NO_MORE_FILES};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_REPARSE_POINT, FILE_FULL_DIR_INFO, FileFullDirectoryInfo, GetFileInformationByHandleEx,
};

use super::attributes::Attributes;

/// Size of the buffer, in bytes. The longest name has 510 bytes.
const BUFFER: usize = 16 << 10;

/// Reads all entries from the position of the handle, which no other thread may use. Leaves out `.` and `..`.
pub(super) fn entries(directory: &OwnedHandle) -> io::Result<Vec<(String, Attributes)>> {
    let mut buffer = vec![0u64; BUFFER / 8];
    let mut entries = Vec::new();
    while fill(directory, &mut buffer)? {
        let mut position = 0;
        loop {
            let (next, units, attributes) = record(&buffer, position);
            if let Ok(name) = String::from_utf16(&units)
                && name != "."
                && name != ".."
            {
                entries.push((name, attributes));
            }
            if next == 0 {
                break;
            }
            position += next;
        }
    }
    Ok(entries)
}

/// Reads the next records. Returns false at the end of the directory.
fn fill(directory: &OwnedHandle, buffer: &mut [u64]) -> io::Result<bool> {
    let size = u32::try_from(size_of_val(buffer)).expect("a small buffer");
    let (handle, place) = (directory.as_raw_handle(), buffer.as_mut_ptr().cast());
    // SAFETY: the handle is open, and the buffer has this size.
    if unsafe { GetFileInformationByHandleEx(handle, FileFullDirectoryInfo, place, size) } != 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error().map(i32::cast_unsigned) {
        // The root of an empty drive has no entries at all.
        Some(ERROR_NO_MORE_FILES | ERROR_FILE_NOT_FOUND) => Ok(false),
        _ => Err(error),
    }
}

/// Returns the distance to the next record (0 for the last one), the name and the attributes.
fn record(buffer: &[u64], position: usize) -> (usize, Vec<u16>, Attributes) {
    let start = offset_of!(FILE_FULL_DIR_INFO, FileName);
    assert!(position + size_of::<FILE_FULL_DIR_INFO>() <= size_of_val(buffer), "a record is in the buffer");
    // SAFETY: the system has put a record at this position, which is in the buffer.
    let record =
        unsafe { buffer.as_ptr().cast::<u8>().add(position).cast::<FILE_FULL_DIR_INFO>().read_unaligned() };
    let length = record.FileNameLength as usize;
    assert!(position + start + length <= size_of_val(buffer), "the name is in the buffer");
    // SAFETY: the name is in the buffer, and any bytes are valid.
    let bytes =
        unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>().add(position + start), length) };
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
    let is_reparse_point = record.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT != 0;
    let attributes = Attributes {
        flags: record.FileAttributes,
        // For reparse points, this field holds the tag ([MS-FSCC] 2.4.14).
        reparse_tag: if is_reparse_point { record.EaSize } else { 0 },
    };
    (record.NextEntryOffset as usize, units, attributes)
}
