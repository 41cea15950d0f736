//! Command lines. Windows passes one string to a program, which splits it into arguments itself: usual programs as
//! CommandLineToArgvW does, `cmd.exe` by rules of its own.

use std::ffi::OsStr;
use std::io;
use std::os::windows::ffi::OsStrExt;

/// The longest command line, with its NUL (CreateProcessW).
const MAX_UNITS: usize = 32_767;

/// Characters besides letters and digits that `cmd.exe` and batch files never treat specially.
const PLAIN: &str = r"#$*+-./:?@\_";

/// Joins a program and its arguments, so that the program finds exactly these (CommandLineToArgvW).
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if the line is too long, or a word contains NUL.
pub(super) fn join<W: AsRef<OsStr>>(program: &OsStr, arguments: &[W]) -> io::Result<Vec<u16>> {
    let mut line = Vec::new();
    // The program's name is read up to the next quote, without escapes. A path contains no quotes.
    line.push(u16::from(b'"'));
    line.extend(program.encode_wide());
    line.push(u16::from(b'"'));
    for argument in arguments {
        line.push(u16::from(b' '));
        append(&mut line, argument.as_ref());
    }
    checked(line)
}

/// Appends one argument. A backslash is special only before a quote: there, it and the quote are escaped by backslashes.
fn append(line: &mut Vec<u16>, argument: &OsStr) {
    let is_blank = |unit: u16| matches!(u8::try_from(unit), Ok(b' ' | b'\t' | b'\n' | 0x0b));
    let quoted = argument.is_empty() || argument.encode_wide().any(is_blank);
    if quoted {
        line.push(u16::from(b'"'));
    }
    let mut backslashes = 0;
    for unit in argument.encode_wide() {
        if unit == u16::from(b'"') {
            line.extend(std::iter::repeat_n(u16::from(b'\\'), backslashes + 1));
        }
        backslashes = if unit == u16::from(b'\\') { backslashes + 1 } else { 0 };
        line.push(unit);
    }
    if quoted {
        line.extend(std::iter::repeat_n(u16::from(b'\\'), backslashes));
        line.push(u16::from(b'"'));
    }
}

/// Returns the command line with which `cmd.exe` runs a batch file with these arguments. `%`, quotes and operators in them
/// have no effect in `cmd.exe` (CVE-2024-24576); the batch file itself may still expand them again.
///
/// # Errors
/// [`io::ErrorKind::InvalidInput`] if the line is too long, or a word contains NUL or the end of a line, which `cmd.exe`
/// cannot pass on.
pub(super) fn batch<W: AsRef<OsStr>>(
    interpreter: &OsStr,
    file: &OsStr,
    arguments: &[W],
) -> io::Result<Vec<u16>> {
    let mut line = join(interpreter, &[""; 0])?;
    // /e:on: command extensions, which `%%cd:~,%` below needs. /v:off: `!` is not special. /d: no AutoRun commands.
    line.extend(" /d /e:on /v:off /s /c \"".encode_utf16());
    line.push(u16::from(b'"'));
    append_file(&mut line, file)?;
    line.push(u16::from(b'"'));
    for argument in arguments {
        line.push(u16::from(b' '));
        append_to_batch(&mut line, argument.as_ref())?;
    }
    line.push(u16::from(b'"'));
    checked(line)
}

/// Returns the command line with which `cmd.exe` runs a script, so that its exit code is that of the script in every
/// form: at its end, by `exit`, and by `exit /b`.
///
/// # Errors
/// As [`batch`].
pub(super) fn script(interpreter: &OsStr, file: &OsStr) -> io::Result<Vec<u16>> {
    let mut line = join(interpreter, &[""; 0])?;
    // Without `call`, the code of an `exit /b` behind `||` is lost. `call` doubles each `^` in quotes.
    if file.encode_wide().any(|unit| unit == u16::from(b'^')) {
        return Err(invalid(
            "cmd.exe cannot run a script in a path with ^; use another shell or another home",
        ));
    }
    line.extend(" /d /e:on /v:off /s /c \"call \"".encode_utf16());
    append_file(&mut line, file)?;
    line.extend("\"\"".encode_utf16());
    checked(line)
}

fn append_file(line: &mut Vec<u16>, file: &OsStr) -> io::Result<()> {
    // No quoting protects `%` in a path that must be found exactly.
    if file.encode_wide().any(|unit| matches!(u8::try_from(unit), Ok(b'"' | b'%' | b'\r' | b'\n'))) {
        return Err(invalid("cmd.exe cannot run a file whose path contains a percent sign or a quote"));
    }
    line.extend(file.encode_wide());
    Ok(())
}

fn append_to_batch(line: &mut Vec<u16>, argument: &OsStr) -> io::Result<()> {
    let is_special = |unit: u16| {
        let character = char::from_u32(u32::from(unit));
        character.is_some_and(|c| {
            c.is_control() || (c.is_ascii() && !c.is_ascii_alphanumeric() && !PLAIN.contains(c))
        })
    };
    let ends_with_backslash = argument.encode_wide().last() == Some(u16::from(b'\\'));
    let quoted = argument.is_empty() || ends_with_backslash || argument.encode_wide().any(is_special);
    if quoted {
        line.push(u16::from(b'"'));
    }
    let mut backslashes = 0;
    for unit in argument.encode_wide() {
        match u8::try_from(unit) {
            Ok(b'\r' | b'\n') => {
                return Err(invalid(
                    "an argument of a batch file (.cmd or .bat) cannot contain the end of a line",
                ));
            }
            // A quote is doubled; backslashes before it would escape it for the program that the file starts.
            Ok(b'"') => {
                line.extend(std::iter::repeat_n(u16::from(b'\\'), backslashes).chain([u16::from(b'"')]));
            }
            // An empty part of the variable CD keeps `cmd.exe` from reading `%NAME%`.
            Ok(b'%') => line.extend("%%cd:~,".encode_utf16()),
            _ => {}
        }
        backslashes = if unit == u16::from(b'\\') { backslashes + 1 } else { 0 };
        line.push(unit);
    }
    if quoted {
        line.extend(std::iter::repeat_n(u16::from(b'\\'), backslashes));
        line.push(u16::from(b'"'));
    }
    Ok(())
}

fn checked(line: Vec<u16>) -> io::Result<Vec<u16>> {
    if line.contains(&0) {
        return Err(invalid("its command contains a NUL character"));
    }
    if line.len() >= MAX_UNITS {
        return Err(invalid("its command is longer than 32,766 characters, the limit of Windows"));
    }
    Ok(line)
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: io::Result<Vec<u16>>) -> String {
        String::from_utf16(&line.unwrap()).unwrap()
    }

    #[test]
    fn arguments_are_quoted_for_usual_programs() {
        let words = ["a", "", "b c", r#"d"e"#, r"f\", r"g h\", r#"i\"j"#, "k&l%m^n"];
        let expected = r#""C:\p q.exe" a "" "b c" d\"e f\ "g h\\" i\\\"j k&l%m^n"#;
        assert_eq!(text(join(OsStr::new(r"C:\p q.exe"), &words)), expected);
    }

    #[test]
    fn arguments_of_batch_files_have_no_effect_in_cmd() {
        let words = ["a", "", r"c:\d\", "e&f", r#"g"h"#, "%PATH%"];
        let expected = concat!(
            r#""cmd.exe" /d /e:on /v:off /s /c ""C:\x y.cmd" a "" "c:\d\\" "e&f" "g""h" "#,
            r#""%%cd:~,%PATH%%cd:~,%"""#
        );
        assert_eq!(text(batch(OsStr::new("cmd.exe"), OsStr::new(r"C:\x y.cmd"), &words)), expected);
    }

    #[test]
    fn what_cannot_be_passed_is_refused() {
        let cmd = OsStr::new("cmd.exe");
        for word in ["a\nb", "a\rb", "a\0b"] {
            assert!(batch(cmd, OsStr::new("x.cmd"), &[word]).is_err(), "{word:?}");
        }
        assert!(batch(cmd, OsStr::new("%x%.cmd"), &["a"]).is_err());
        assert!(script(cmd, OsStr::new(r"C:\a^b\x.cmd")).is_err());
        assert!(join(cmd, &["x".repeat(40_000)]).is_err());
        assert!(join(cmd, &["a\0b"]).is_err());
    }

    #[test]
    fn script_is_called() {
        let line = script(OsStr::new(r"C:\w\cmd.exe"), OsStr::new(r"C:\a & b\command.cmd"));
        assert_eq!(text(line), r#""C:\w\cmd.exe" /d /e:on /v:off /s /c "call "C:\a & b\command.cmd"""#);
    }
}
