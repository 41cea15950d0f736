//! The optional value of `run --wait`. Joins it to the option before parsing, because clap cannot tell the duration
//! from the first word of the command.

use std::ffi::OsString;

use homing::core::parse_duration;

use super::{is_command, run_definition};

const WAIT: &str = "--wait";

/// Joins `--wait 30s` into `--wait=30s` where `--wait` is an option of `run`. The next word is the value if it is a
/// duration, or a bare number, which the parser then rejects because it has no unit. Any other word starts the
/// command.
pub(super) fn join(words: Vec<OsString>) -> Vec<OsString> {
    if !is_command(&words, "run") || !words.iter().any(|word| word == WAIT) {
        return words;
    }
    let run = run_definition();
    let mut words = words.into_iter();
    let mut joined: Vec<OsString> = words.by_ref().take(2).collect();
    while let Some(word) = words.next() {
        if let Some(value_follows) = word.to_str().and_then(|text| short_option(&run, text)) {
            joined.push(word);
            joined.extend(value_follows.then(|| words.next()).flatten());
            continue;
        }
        let Some(option) = word.to_str().filter(|text| text.starts_with("--") && text.len() > 2) else {
            // The command starts here, or the `--` before it.
            joined.push(word);
            break;
        };
        if option == WAIT
            && let Some(duration) =
                words.as_slice().first().and_then(|next| next.to_str()).filter(|text| is_value(text))
        {
            joined.push(format!("{WAIT}={duration}").into());
            words.next();
            continue;
        }
        let takes_value = takes_value(&run, &option[2..]);
        joined.push(word);
        if takes_value {
            joined.extend(words.next());
        }
    }
    joined.extend(words);
    joined
}

/// Whether a word after `--wait` is its value.
pub(super) fn is_value(text: &str) -> bool {
    parse_duration(text).is_ok() || (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// For a short option with a value, such as `-s NAME` or `-sNAME`: whether the next word is the value.
fn short_option(run: &clap::Command, word: &str) -> Option<bool> {
    let mut letters = word.strip_prefix('-')?.chars();
    let letter = letters.next()?;
    let option = run.get_arguments().find(|argument| argument.get_short() == Some(letter))?;
    option.get_action().takes_values().then(|| letters.next().is_none())
}

/// Whether the next word is the value of this option.
pub(super) fn takes_value(run: &clap::Command, option: &str) -> bool {
    run.get_arguments()
        .find(|argument| argument.get_long() == Some(option))
        .is_some_and(|argument| argument.get_action().takes_values() && !argument.is_require_equals_set())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(words: &str) -> String {
        let words = words.split(' ').map(OsString::from).collect();
        let joined = join(words);
        joined.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_duration_after_wait_is_its_value() {
        assert_eq!(joined("homing run --wait 30s make"), "homing run --wait=30s make");
        assert_eq!(
            joined("homing run --json --wait 1h30m -- make"),
            "homing run --json --wait=1h30m -- make"
        );
        assert_eq!(joined("homing run --wait 30 make"), "homing run --wait=30 make");
        assert_eq!(joined("homing run -s a --wait 3s make"), "homing run -s a --wait=3s make");
        assert_eq!(joined("homing run -sa --wait 3s make"), "homing run -sa --wait=3s make");
    }

    #[test]
    fn the_words_of_the_command_stay_as_they_are() {
        for words in [
            "homing run --wait make -j4",
            "homing run --wait -- 30s",
            "homing run make --wait 30s",
            "homing run -- make --wait 30s",
            "homing run --name --wait 30s",
            "homing run --wait=5s 30s",
            "homing wait --wait 30s",
        ] {
            assert_eq!(joined(words), words);
        }
    }
}
