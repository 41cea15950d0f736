//! The arguments and the environment that a process was started with (`KERN_PROCARGS2`, sysctl(3)).
//!
//! The kernel shows them to the user of the process. It hides the environment of programs that System Integrity Protection
//! restricts, which are most programs of macOS itself, such as `/bin/sh` and `/bin/sleep`. Programs that users install, and
//! homing itself, are not restricted.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::sysctl;

/// Whether the process was started with this environment variable (`NAME=value`). False if its environment is hidden.
pub fn has_environment(pid: u32, variable: &str) -> bool {
    start(pid).environment.iter().any(|entry| entry == variable.as_bytes())
}

/// Whether the process was started with an environment variable of this name. False if its environment is hidden.
pub fn environment_names(pid: u32, name: &str) -> bool {
    start(pid).environment.iter().any(|entry| value(entry, name).is_some())
}

/// Returns the value of an environment variable that the process was started with.
pub fn variable(pid: u32, name: &str) -> Option<OsString> {
    start(pid)
        .environment
        .iter()
        .find_map(|entry| value(entry, name).map(|value| OsString::from_vec(value.to_vec())))
}

/// Returns the arguments that the process was started with.
pub fn arguments(pid: u32) -> Vec<OsString> {
    start(pid).arguments.into_iter().map(OsString::from_vec).collect()
}

fn value<'a>(entry: &'a [u8], name: &str) -> Option<&'a [u8]> {
    entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")
}

/// What a process was started with.
#[derive(Debug, Default, PartialEq, Eq)]
struct Start {
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
}

fn start(pid: u32) -> Start {
    sysctl::process_arguments(pid).ok().and_then(|bytes| parse(&bytes)).unwrap_or_default()
}

/// `bytes` as in [`sysctl::process_arguments`]. The path of the program is filled up with NULs; each argument and variable
/// ends with NUL; an empty string ends the environment, and strings of the loader follow.
fn parse(bytes: &[u8]) -> Option<Start> {
    let (count, rest) = bytes.split_first_chunk::<4>()?;
    let count = usize::try_from(i32::from_ne_bytes(*count)).ok()?;
    let path_end = rest.iter().position(|byte| *byte == 0)?;
    let rest = &rest[path_end..];
    let first = rest.iter().position(|byte| *byte != 0).unwrap_or(rest.len());
    // An empty first argument cannot be told from the filling.
    let mut strings = rest[first..].split(|byte| *byte == 0).map(<[u8]>::to_vec);
    let arguments = strings.by_ref().take(count).collect();
    let environment = strings.take_while(|entry| !entry.is_empty()).collect();
    Some(Start { arguments, environment })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<Start> {
        parse(&[&2_i32.to_ne_bytes(), text.as_bytes()].concat())
    }

    #[test]
    fn arguments_and_environment_are_separated() {
        let strings = |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
        let found = parsed("/bin/a\0\0\0\0a\0\0HOME=/\0B=\0\0executable_path=/bin/a\0").unwrap();
        assert_eq!(found.arguments, strings(&["a", ""]));
        assert_eq!(found.environment, strings(&["HOME=/", "B="]));
        let hidden = parsed("/bin/sleep\0\0sleep\0600\0").unwrap();
        assert_eq!(hidden.arguments, strings(&["sleep", "600"]));
        assert_eq!(hidden.environment, strings(&[]));
        assert_eq!(parsed("no end"), None);
        assert_eq!(parse(b"abc"), None);
    }

    #[test]
    fn own_arguments_and_environment_are_found() {
        let me = std::process::id();
        assert_eq!(arguments(me), std::env::args_os().collect::<Vec<_>>());
        let (name, _) = std::env::vars().next().expect("a test has an environment");
        assert!(environment_names(me, &name));
    }
}
