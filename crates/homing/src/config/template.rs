//! Argument templates: `{session}`, `{wake}` and `{job}` in the arguments of a command. No shell parses them.

use homing_core::Wake;

/// The known placeholders.
const PLACEHOLDERS: [&str; 3] = ["{session}", "{wake}", "{job}"];

/// Checks that a command has a program and only known placeholders.
pub(crate) fn check_template(argv: &[String]) -> Result<(), String> {
    match argv.first() {
        None => return Err("command is empty: it needs a program".to_owned()),
        Some(program) if program.is_empty() => return Err("command: the program is empty".to_owned()),
        Some(program) if program.contains('{') => {
            return Err(format!("command: the program {program:?} cannot be a template"));
        }
        Some(_) => {}
    }
    for word in argv {
        if word.contains('\0') {
            return Err("command: an argument cannot hold a NUL".to_owned());
        }
        if let Some(place) = unknown_placeholder(word) {
            return Err(format!(
                "command: unknown placeholder {place}; known placeholders: {}",
                PLACEHOLDERS.join(", ")
            ));
        }
    }
    Ok(())
}

/// The first unknown `{name}` of lower-case letters. Other braces, as in JSON, are not placeholders.
fn unknown_placeholder(word: &str) -> Option<&str> {
    word.match_indices('{').find_map(|(start, _)| {
        let end = start + word[start..].find('}')?;
        let place = &word[start..=end];
        let name = &place[1..place.len() - 1];
        let is_a_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        (is_a_name && !PLACEHOLDERS.contains(&place)).then_some(place)
    })
}

/// Replaces the placeholders of a command.
///
/// # Errors
/// If the program would parse a session's id as an option. The host chooses the id, and it may be any text.
pub(crate) fn fill_template(argv: &[String], wake: &Wake) -> Result<Vec<String>, String> {
    argv.iter()
        .map(|word| {
            let filled = fill_word(word, wake);
            if filled.starts_with('-') && !word.starts_with('-') {
                return Err(format!(
                    "the session id {:?} would be parsed as an option",
                    wake.session.as_str()
                ));
            }
            Ok(filled)
        })
        .collect()
}

/// Works in one pass, so that placeholders inside a value are not replaced.
fn fill_word(word: &str, wake: &Wake) -> String {
    let mut filled = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(start) = rest.find('{') {
        filled.push_str(&rest[..start]);
        rest = &rest[start..];
        match PLACEHOLDERS.iter().find(|place| rest.starts_with(**place)) {
            Some(place) => {
                match *place {
                    "{session}" => filled.push_str(wake.session.as_str()),
                    "{wake}" => filled.push_str(&wake.id.to_string()),
                    _ => filled.push_str(wake.content.job_ids.first().map_or("", |job| job.as_str())),
                }
                rest = &rest[place.len()..];
            }
            None => {
                filled.push('{');
                rest = &rest[1..];
            }
        }
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use homing_core::{Timestamp, WakeContent, WakeId};

    use super::*;

    fn wake(session: &str) -> Wake {
        Wake {
            id: WakeId::new(Timestamp::from_unix_millis(0), [0; 10]),
            session: session.parse().unwrap(),
            attempt: 1,
            created_at: Timestamp::from_unix_millis(0),
            content: WakeContent::new(String::new(), &[]),
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn placeholders_are_replaced_once_and_nothing_else_changes() {
        let argv = words(&["agent", "--resume={session}", "{\"wake\":\"{wake}\"}", "{session}{job}"]);
        let filled = fill_template(&argv, &wake("a{wake}")).unwrap();
        let expected =
            ["agent", "--resume=a{wake}", "{\"wake\":\"w_00000000000000000000000000\"}", "a{wake}"];
        assert_eq!(filled, words(&expected));
    }

    #[test]
    fn a_session_id_cannot_be_parsed_as_an_option() {
        let argv = words(&["agent", "--resume", "{session}"]);
        assert!(fill_template(&argv, &wake("--dangerously-skip-permissions")).is_err());
        assert!(fill_template(&words(&["agent", "--resume={session}"]), &wake("--x")).is_ok());
    }

    #[test]
    fn invalid_commands_are_refused() {
        for argv in [&[][..], &[""], &["{session}"], &["agent", "{sesion}"], &["agent", "a\0b"]] {
            assert!(check_template(&words(argv)).is_err(), "{argv:?}");
        }
        assert_eq!(check_template(&words(&["agent", "{\"a\": {}}", "{wake}-{job}"])), Ok(()));
    }
}
