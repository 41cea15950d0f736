//! The actions of the program.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[cfg(windows)]
use crate::job_object;
use crate::{keyboard, processes, request};

/// Pause between two checks of a file.
const PAUSE: Duration = Duration::from_millis(2);

/// How many bytes are written at once.
const CHUNK: u64 = 64 << 10;

/// Performs one action.
///
/// # Errors
/// If it is unknown, has other arguments, or fails.
pub(crate) fn perform(name: &str, arguments: &[String]) -> io::Result<()> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match (name, words.as_slice()) {
        ("sleep", [seconds]) => sleep(seconds),
        ("exit", [code]) => exit(code),
        ("crash", []) => std::process::abort(),
        ("print", texts) => print(&texts.join(" ")),
        ("print-error", texts) => writeln!(io::stderr(), "{}", texts.join(" ")),
        ("write", [count]) => write_pattern(&mut io::stdout().lock(), parsed(count)?),
        ("write-error", [count]) => write_pattern(&mut io::stderr().lock(), parsed(count)?),
        ("echo-args", texts) => texts.iter().try_for_each(|text| print(text)),
        ("echo-env", [name]) => print(&std::env::var(name).unwrap_or_else(|_| "(none)".to_owned())),
        ("pid", []) => print(&std::process::id().to_string()),
        ("directory", []) => print(&std::env::current_dir()?.display().to_string()),
        ("read-stdin", []) => io::copy(&mut io::stdin().lock(), &mut io::stdout().lock()).map(|_| ()),
        ("touch", [file]) => File::create(file).map(|_| ()),
        ("append", [file, text]) => append(file, text),
        ("stamp", [file]) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
            append(file, &now.as_nanos().to_string())
        }
        ("append-stdin", [file]) => {
            let mut text = String::new();
            io::stdin().lock().read_to_string(&mut text)?;
            append(file, text.trim_end())
        }
        ("wait-for-file", [file]) => {
            while !Path::new(file).exists() {
                std::thread::sleep(PAUSE);
            }
            Ok(())
        }
        ("exit-if", [file, code]) if Path::new(file).exists() => exit(code),
        ("exit-if", [_, _]) => Ok(()),
        ("run", [program, arguments @ ..]) => processes::run(program, arguments),
        ("run-with-large-environment", [count, program, arguments @ ..]) => {
            processes::run_with_large_environment(parsed(count)?, program, arguments)
        }
        ("interrupt", [pause, program, arguments @ ..]) => {
            keyboard::interrupt(Duration::from_millis(parsed(pause)?), program, arguments)
        }
        #[cfg(windows)]
        ("run-in-job-object", [kind, program, arguments @ ..]) => job_object::run(kind, program, arguments),
        ("spawn", words) => processes::spawn(words),
        ("tree" | "stubborn-tree", [depth, seconds]) => {
            if name == "stubborn-tree" {
                request::ignore()?;
            }
            processes::grow(name, parsed(depth)?, seconds)?;
            print(&std::process::id().to_string())?;
            sleep(seconds)
        }
        ("ignore-term", []) => request::ignore(),
        ("wait-for-term", [ready]) => request::wait(ready),
        _ => Err(io::Error::other("unknown action, or wrong arguments")),
    }
}

fn sleep(seconds: &str) -> io::Result<()> {
    std::thread::sleep(Duration::from_secs_f64(parsed(seconds)?));
    Ok(())
}

/// Exits with a code of 32 bits.
fn exit(code: &str) -> io::Result<()> {
    let code: u32 = parsed(code)?;
    std::process::exit(code.cast_signed());
}

fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

fn write_pattern(stream: &mut impl Write, count: u64) -> io::Result<()> {
    let mut written = 0;
    while written < count {
        let length = CHUNK.min(count - written);
        stream.write_all(&testkit::pattern(written, usize::try_from(length).expect("a chunk")))?;
        written += length;
    }
    stream.flush()
}

/// Appends a line with one write, so that lines of several processes do not mix.
fn append(file: &str, text: &str) -> io::Result<()> {
    File::options().append(true).create(true).open(file)?.write_all(format!("{text}\n").as_bytes())
}

fn parsed<T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>>(text: &str) -> io::Result<T> {
    text.parse().map_err(io::Error::other)
}
