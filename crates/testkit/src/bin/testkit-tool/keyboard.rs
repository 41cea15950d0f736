//! Ctrl-C, as a terminal sends it to the program in its foreground.

use std::io;
use std::process::{Child, Command};
use std::time::Duration;

use crate::processes;

/// Runs a program, presses Ctrl-C after a pause, and exits as the program does. On Windows, every process of this console
/// gets the request, so this program needs one of its own.
///
/// # Errors
/// If the program does not start, or a signal has ended it.
pub(crate) fn interrupt(pause: Duration, program: &str, arguments: &[&str]) -> io::Result<()> {
    let mut child = start(Command::new(program).args(arguments))?;
    std::thread::sleep(pause);
    // If the program has ended, its status says why.
    if child.try_wait()?.is_none() {
        press(&child)?;
    }
    processes::exit_as(child.wait()?)
}

#[cfg(unix)]
fn start(command: &mut Command) -> io::Result<Child> {
    std::os::unix::process::CommandExt::process_group(command, 0).spawn()
}

#[cfg(unix)]
fn press(child: &Child) -> io::Result<()> {
    let group = format!("-{}", child.id());
    Command::new("kill").args(["-INT", "--", &group]).status().map(|_| ())
}

#[cfg(windows)]
fn start(command: &mut Command) -> io::Result<Child> {
    // Only this process survives it: programs inherit that Ctrl-C is ignored, but no handler.
    ctrlc::set_handler(|| {}).map_err(io::Error::other)?;
    command.spawn()
}

#[cfg(windows)]
#[allow(unsafe_code, reason = "GenerateConsoleCtrlEvent has no safe wrapper")]
fn press(_child: &Child) -> io::Result<()> {
    use windows_sys::Win32::System::Console::{CTRL_C_EVENT, GenerateConsoleCtrlEvent};
    // SAFETY: the call takes numbers only; 0 stands for all processes of this console.
    match unsafe { GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0) } {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
