//! Options of `run` after the first word of the command. They would silently belong to the command: `homing run make
//! --timeout 5m` would run make with an option that it does not have, and without a timeout.

use std::ffi::OsString;

use homing::JobCommand;

use super::optional_wait::{is_value, takes_value};
use super::run_definition;
use crate::exit::Failure;

/// Returns the error if the last `count` words, which are the command of a job, begin without `--` before them and contain
/// an option of `run`. Options after a `--` within the command belong to the command.
pub(super) fn find(words: &[OsString], count: usize) -> Option<Failure> {
    let (before, command) = words.split_at_checked(words.len().checked_sub(count)?)?;
    let command: Vec<&str> = command.iter().map(|word| word.to_str()).collect::<Option<_>>()?;
    let checked = command.iter().position(|word| *word == "--").unwrap_or(command.len());
    let has_options = command[..checked].iter().skip(1).any(|word| is_long(word));
    if !has_options || before.last().is_some_and(|word| word == "--") {
        return None;
    }
    let before: Vec<&str> = before.get(2..)?.iter().map(|word| word.to_str()).collect::<Option<_>>()?;
    let (options, rest) = separate(&command, checked);
    let first = options.first()?.split('=').next()?.to_owned();
    let corrected = line(&[&before, &as_strs(&options)[..], &rest].concat());
    let exact = line(&[&before[..], &["--"], &command].concat());
    Some(Failure::Usage {
        code: "misplaced_option",
        message: format!(
            "{first} stands after the command, so it would be an option of the command, not of homing run"
        ),
        hint: Some(format!("run {corrected}; or, if {first} is for the command, run {exact}")),
    })
}

fn is_long(word: &str) -> bool {
    word.len() > 2 && word.starts_with("--")
}

/// Separates the options of `run`, with their values, from the other words. Only the first `checked` words may be options.
fn separate<'a>(command: &[&'a str], checked: usize) -> (Vec<String>, Vec<&'a str>) {
    let run = run_definition();
    let (mut options, mut rest) = (Vec::new(), Vec::new());
    let mut words = command.iter().enumerate();
    while let Some((index, word)) = words.next() {
        let name = word.trim_start_matches('-').split('=').next().unwrap_or_default();
        let is_ours = index > 0
            && index < checked
            && is_long(word)
            && run.get_arguments().any(|argument| argument.get_long() == Some(name));
        if !is_ours {
            rest.push(*word);
            continue;
        }
        let next = command[..checked].get(index + 1).filter(|_| !word.contains('='));
        match next {
            Some(value) if takes_value(&run, name) => {
                options.extend([(*word).to_owned(), (*value).to_owned()]);
                words.next();
            }
            // The only option whose value is optional.
            Some(value) if name == "wait" && is_value(value) => {
                options.push(format!("{word}={value}"));
                words.next();
            }
            Some(_) | None => options.push((*word).to_owned()),
        }
    }
    (options, rest)
}

fn as_strs(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

/// The command line, quoted for a shell.
fn line(arguments: &[&str]) -> String {
    let words = ["homing", "run"].iter().chain(arguments).map(|word| (*word).to_owned());
    JobCommand::Argv(words.collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The two lines that the hint offers; `None` without an error. `|` stands before the command.
    fn offered(line: &str) -> Option<(String, String)> {
        let (before, command) = line.split_once(" | ").expect("a command");
        let words: Vec<OsString> =
            before.split(' ').chain(command.split(' ')).map(|word| word.replace('_', " ").into()).collect();
        match find(&words, command.split(' ').count())? {
            Failure::Usage { hint: Some(hint), .. } => {
                let (first, second) = hint.split_once("; or, if --").expect("two lines");
                let second = second.split_once("is for the command, run ").expect("a second line").1;
                Some((first.strip_prefix("run ")?.to_owned(), second.to_owned()))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_after_the_command_are_moved_before_it() {
        let cases = [
            (
                "homing run | make --timeout 5m",
                "homing run --timeout 5m make",
                "homing run -- make --timeout 5m",
            ),
            (
                "homing run --name n | make_-j2 --json --wait 30s",
                "homing run --name n --json '--wait=30s' 'make -j2'",
                "homing run --name n -- 'make -j2' --json --wait 30s",
            ),
            (
                "homing run | cargo test --timeout=5m --lib",
                "homing run '--timeout=5m' cargo test --lib",
                "homing run -- cargo test '--timeout=5m' --lib",
            ),
            ("homing run | make --timeout", "homing run --timeout make", "homing run -- make --timeout"),
            ("homing run | make --wait", "homing run --wait make", "homing run -- make --wait"),
            (
                "homing run | cargo test --env A -- --name x",
                "homing run --env A cargo test -- --name x",
                "homing run -- cargo test --env A -- --name x",
            ),
        ];
        for (line, corrected, exact) in cases {
            assert_eq!(offered(line), Some((corrected.to_owned(), exact.to_owned())), "{line}");
        }
    }

    #[test]
    fn other_words_belong_to_the_command() {
        for line in [
            "homing run | make",
            "homing run --timeout 5m | make",
            "homing run -- | make --timeout 5m",
            "homing run | cargo bench --quiet -q --time",
            "homing run | cargo test -- --name x --timeout 5m",
            "homing run | make -- --timeout 5m",
            "homing run | echo --",
            "homing run | --timeout",
            "homing run | make_--timeout_5m",
        ] {
            assert_eq!(offered(line), None, "{line}");
        }
    }
}
