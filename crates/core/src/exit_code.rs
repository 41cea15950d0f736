//! Names of exit codes with which Windows ends a process: values of NTSTATUS.

/// Returns what an exit code stands for; `None` for all other codes, which a program has chosen itself.
pub(crate) fn exit_code_name(code: u32) -> Option<&'static str> {
    let name = match code {
        0x4000_0015 => "STATUS_FATAL_APP_EXIT",
        0x4001_0004 => "DBG_TERMINATE_PROCESS",
        0x8000_0001 => "STATUS_GUARD_PAGE_VIOLATION",
        0x8000_0002 => "STATUS_DATATYPE_MISALIGNMENT",
        0x8000_0003 => "STATUS_BREAKPOINT",
        0x8000_0004 => "STATUS_SINGLE_STEP",
        0xC000_0005 => "STATUS_ACCESS_VIOLATION",
        0xC000_0006 => "STATUS_IN_PAGE_ERROR",
        0xC000_0008 => "STATUS_INVALID_HANDLE",
        0xC000_000D => "STATUS_INVALID_PARAMETER",
        0xC000_0017 => "STATUS_NO_MEMORY",
        0xC000_001D => "STATUS_ILLEGAL_INSTRUCTION",
        0xC000_0022 => "STATUS_ACCESS_DENIED",
        0xC000_0025 => "STATUS_NONCONTINUABLE_EXCEPTION",
        0xC000_0026 => "STATUS_INVALID_DISPOSITION",
        0xC000_008C => "STATUS_ARRAY_BOUNDS_EXCEEDED",
        0xC000_008E => "STATUS_FLOAT_DIVIDE_BY_ZERO",
        0xC000_0094 => "STATUS_INTEGER_DIVIDE_BY_ZERO",
        0xC000_0095 => "STATUS_INTEGER_OVERFLOW",
        0xC000_0096 => "STATUS_PRIVILEGED_INSTRUCTION",
        0xC000_00FD => "STATUS_STACK_OVERFLOW",
        0xC000_0135 => "STATUS_DLL_NOT_FOUND",
        0xC000_0138 => "STATUS_ORDINAL_NOT_FOUND",
        0xC000_0139 => "STATUS_ENTRYPOINT_NOT_FOUND",
        0xC000_013A => "STATUS_CONTROL_C_EXIT",
        0xC000_0142 => "STATUS_DLL_INIT_FAILED",
        0xC000_0194 => "STATUS_POSSIBLE_DEADLOCK",
        0xC000_0374 => "STATUS_HEAP_CORRUPTION",
        0xC000_0409 => "STATUS_STACK_BUFFER_OVERRUN",
        0xC000_0417 => "STATUS_INVALID_CRUNTIME_PARAMETER",
        0xC000_041D => "STATUS_FATAL_USER_CALLBACK_EXCEPTION",
        0xC000_0420 => "STATUS_ASSERTION_FAILURE",
        0xC000_0602 => "STATUS_FAIL_FAST_EXCEPTION",
        0xE06D_7363 => "an uncaught C++ exception",
        0xE043_4352 => "an uncaught .NET exception",
        _ => return None,
    };
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::exit_code_name;

    #[test]
    fn only_values_of_the_system_have_names() {
        assert_eq!(exit_code_name(0xC000_0005), Some("STATUS_ACCESS_VIOLATION"));
        assert_eq!(exit_code_name(0xC000_013A), Some("STATUS_CONTROL_C_EXIT"));
        for code in [0, 1, 9, 255, u32::MAX] {
            assert_eq!(exit_code_name(code), None);
        }
    }
}
