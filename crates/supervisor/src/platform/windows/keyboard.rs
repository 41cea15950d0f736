//! Reads the keys of the console, for a program that draws on it.
#![allow(unsafe_code, reason = "modes and events of the console")]

use std::io::{self, Stdin, Stdout};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Console::{
    CONSOLE_MODE, ENABLE_ECHO_INPUT, ENABLE_LINE_INPUT, ENABLE_PROCESSED_INPUT, ENABLE_PROCESSED_OUTPUT,
    ENABLE_VIRTUAL_TERMINAL_INPUT, ENABLE_VIRTUAL_TERMINAL_PROCESSING, GetConsoleMode,
    GetNumberOfConsoleInputEvents, INPUT_RECORD, KEY_EVENT, ReadConsoleInputW, SetConsoleMode,
};

use super::wait::{AsWaitSource, WaitSource};
use super::win32::{check, raw};

/// The most events that one read takes.
const MAX_EVENTS: usize = 128;

/// The keyboard of the console on standard input. Ready for a wait when the console has events, such as keys that were
/// pressed.
#[derive(Debug)]
pub struct Keyboard {
    stdin: Stdin,
    stdout: Stdout,
    /// The modes to restore.
    input_before: CONSOLE_MODE,
    output_before: CONSOLE_MODE,
}

impl Keyboard {
    /// Opens it, and changes nothing yet.
    ///
    /// # Errors
    /// If standard input or standard output is not a console.
    pub fn open() -> io::Result<Keyboard> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let (input_before, output_before) = (mode(raw(&stdin))?, mode(raw(&stdout))?);
        Ok(Keyboard { stdin, stdout, input_before, output_before })
    }

    /// Makes the console pass each key at once, and not show it. Ctrl-C keeps its effect. Also makes the console interpret
    /// the control sequences of an xterm.
    ///
    /// # Errors
    /// If the console refuses.
    pub fn start(&self) -> io::Result<()> {
        let input = self.input_before & !(ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT);
        set_mode(raw(&self.stdin), input | ENABLE_PROCESSED_INPUT | ENABLE_VIRTUAL_TERMINAL_INPUT)?;
        let output = self.output_before | ENABLE_PROCESSED_OUTPUT | ENABLE_VIRTUAL_TERMINAL_PROCESSING;
        set_mode(raw(&self.stdout), output)
    }

    /// Restores the modes that the console had when this was opened.
    ///
    /// # Errors
    /// If the console refuses.
    pub fn stop(&self) -> io::Result<()> {
        let input = set_mode(raw(&self.stdin), self.input_before);
        set_mode(raw(&self.stdout), self.output_before).and(input)
    }

    /// Appends the keys that were pressed, as an xterm sends them, in UTF-8. Does not wait. Returns `true`: the system ends
    /// this process when the console is closed.
    ///
    /// # Errors
    /// If the console cannot be read.
    pub fn read(&self, keys: &mut Vec<u8>) -> io::Result<bool> {
        let mut units = Vec::new();
        let mut pending = 0;
        // SAFETY: the handle is open, and the number is written to a live local.
        check(unsafe { GetNumberOfConsoleInputEvents(raw(&self.stdin), &mut pending) })?;
        // Reading more than there is would wait.
        while pending > 0 {
            let mut events = [INPUT_RECORD::default(); MAX_EVENTS];
            let mut count = 0;
            let wanted = pending.min(MAX_EVENTS as u32);
            // SAFETY: the handle is open, and there is space for as many events as are asked for.
            check(unsafe { ReadConsoleInputW(raw(&self.stdin), events.as_mut_ptr(), wanted, &mut count) })?;
            events[..count as usize].iter().for_each(|event| add_key(event, &mut units));
            pending = if count == 0 { 0 } else { pending - count.min(pending) };
        }
        let text = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
        keys.extend_from_slice(text.collect::<String>().as_bytes());
        Ok(true)
    }
}

/// Adds the unit of UTF-16 that a pressed key has. Keys such as arrows arrive as several keys, the characters of a control
/// sequence.
fn add_key(event: &INPUT_RECORD, units: &mut Vec<u16>) {
    if u32::from(event.EventType) != KEY_EVENT {
        return;
    }
    // SAFETY: the type says which member of the union is set.
    let key = unsafe { event.Event.KeyEvent };
    // SAFETY: ReadConsoleInputW sets this member.
    let unit = unsafe { key.uChar.UnicodeChar };
    if key.bKeyDown != 0 && unit != 0 {
        units.extend(std::iter::repeat_n(unit, usize::from(key.wRepeatCount.max(1))));
    }
}

fn mode(console: HANDLE) -> io::Result<CONSOLE_MODE> {
    let mut mode = 0;
    // SAFETY: the handle is open or null, and the mode is written to a live local.
    check(unsafe { GetConsoleMode(console, &mut mode) })?;
    Ok(mode)
}

fn set_mode(console: HANDLE, mode: CONSOLE_MODE) -> io::Result<()> {
    // SAFETY: the handle is open.
    check(unsafe { SetConsoleMode(console, mode) })
}

impl AsWaitSource for Keyboard {
    fn as_wait_source(&self) -> WaitSource<'_> {
        self.stdin.as_wait_source()
    }
}
