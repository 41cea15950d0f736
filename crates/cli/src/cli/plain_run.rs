//! `run` without options, which is how most jobs are launched. Nothing is left to parse, so no parser is built, which takes
//! 0.16 ms (docs/benchmarks.md).

use std::ffi::OsString;

use super::is_command;
use crate::commands::run::RunArgs;

/// Reads `homing run SCRIPT` and `homing run -- WORD...`. Returns `None` for everything else, including words that are not
/// valid; the parser then produces the result.
pub(super) fn parse(words: &[OsString]) -> Option<RunArgs> {
    if !is_command(words, "run") {
        return None;
    }
    let text = |word: &OsString| word.to_str().map(str::to_owned);
    let command: Vec<String> = match &words[2..] {
        [script] => vec![text(script).filter(|script| !script.starts_with('-'))?],
        [separator, command @ ..] if separator == "--" => command.iter().map(text).collect::<Option<_>>()?,
        _ => return None,
    };
    (!command.is_empty()).then(|| RunArgs::for_command(command))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Command, parse_run_only};

    fn words(line: &[&str]) -> Vec<OsString> {
        ["homing"].iter().chain(line).map(OsString::from).collect()
    }

    #[test]
    fn the_result_is_that_of_the_parser() {
        for line in [
            &["run", "make"][..],
            &["run", "make && make test; echo --wait"],
            &["run", ""],
            &["run", "+x"],
            &["run", "--", "make"],
            &["run", "--", "cargo", "bench", "--quiet", "--wait", "30s"],
            &["run", "--", "--", "-x", "--json"],
            &["run", "--", "-h"],
            &["run", "--", ""],
        ] {
            let words = words(line);
            let parsed = parse_run_only(&words).map(|run| format!("{run:?}"));
            assert_eq!(parse(&words).map(|run| format!("{run:?}")), parsed, "{line:?}");
            assert!(parsed.is_some(), "{line:?}");
        }
    }

    #[test]
    fn everything_else_is_left_to_the_parser() {
        for line in [
            &[][..],
            &["run"],
            &["run", "--"],
            &["run", "-h"],
            &["run", "--json"],
            &["run", "-"],
            &["run", "make", "test"],
            &["run", "make", "--wait"],
            &["run", "--json", "--", "make"],
            &["list", "make"],
            &["--help", "run", "make"],
        ] {
            assert!(parse(&words(line)).is_none(), "{line:?}");
        }
        let parsed = crate::cli::parse(words(&["run", "make", "test"]));
        assert!(matches!(parsed, Ok(Command::Run(_))));
    }
}
