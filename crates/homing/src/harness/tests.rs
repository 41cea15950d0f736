//! Checks that every profile is complete, and the inputs and answers of hooks.

use std::path::PathBuf;

use super::*;

fn hooks(name: &str) -> &'static HookProtocol {
    Profile::named(name).and_then(|profile| profile.hooks.as_ref().ok()).unwrap()
}

#[test]
fn every_profile_is_complete() {
    let is_reason = |reason: &str| assert!(reason.len() > 10, "{reason:?}");
    for profile in Profile::all() {
        let name = profile.name;
        assert!(std::ptr::eq(Profile::named(name).unwrap(), profile), "{name} is registered twice");
        // How its jobs get their session.
        match profile.session.shell {
            ShellSession::Exported => assert!(profile.session.variable.is_some(), "{name}"),
            ShellSession::Plugin => assert!(profile.setup.is_ok(), "{name}"),
            ShellSession::Hint => {
                let is_start = |(_, kind): &(&str, HookEvent)| *kind == HookEvent::Start;
                assert!(hooks(name).events.iter().any(is_start), "{name}");
            }
            ShellSession::Unknown(reason) => is_reason(reason),
        }
        // How a session is resumed.
        let names_session = |word: &String| word.contains("{session}");
        match &profile.preset().transport {
            Transport::Run(run) => {
                assert!(run.argv.iter().any(names_session), "{name}");
                assert!(!run.proof.is_empty(), "{name}");
            }
            Transport::Post(post) => assert!(post.path.iter().any(names_session), "{name}"),
        }
        match &profile.hooks {
            Ok(hooks) => assert!(hooks.events.iter().any(|(_, kind)| *kind == HookEvent::Stop), "{name}"),
            Err(reason) => is_reason(reason),
        }
        match &profile.setup {
            Ok(setup) => {
                assert!(profile.hooks.is_ok() && !setup.changes.is_empty(), "{name}");
                let for_project = setup.changes.iter().filter(|change| !change.project.is_empty()).count();
                assert!(
                    [0, setup.changes.len()].contains(&for_project),
                    "{name} has some files of a project"
                );
                let whole = setup.changes.iter().filter_map(|change| match change.edit {
                    Edit::Whole { text, mark } => Some((text, mark)),
                    Edit::Json(_) | Edit::Toml(_) | Edit::Yaml(_) => None,
                });
                whole.for_each(|(text, mark)| assert!(text.contains(mark), "{name}: {mark}"));
                // It resumes sessions with the program by which it is found.
                if let Transport::Run(run) = &profile.preset().transport {
                    assert_eq!(run.argv[0], setup.programs[0], "{name}");
                }
                assert!(setup.directory.starts_with(['~', '$']), "{name}");
                match &setup.permission {
                    Ok(permission) => {
                        assert!(permission.rule.contains("homing") || permission.place.contains("homing"));
                        is_reason(permission.without);
                    }
                    Err(reason) => is_reason(reason),
                }
            }
            Err(reason) => is_reason(reason),
        }
    }
}

#[test]
fn variables_that_a_shell_inherits_come_after_those_that_it_sets() {
    let variables: Vec<&str> = registry::session_variables().map(|(variable, _)| variable).collect();
    let expected = [
        "CLAUDE_CODE_SESSION_ID",
        "CODEX_THREAD_ID",
        "AGENT_SESSION_ID",
        "COPILOT_AGENT_SESSION_ID",
        "LETTA_CONVERSATION_ID",
        "GEMINI_SESSION_ID",
    ];
    assert_eq!(variables, expected);
}

#[test]
fn recorded_inputs_are_parsed() {
    let claude = r#"{"session_id":"e4c06cd5-7b9a-489f-a7bb-b49b42db6127","transcript_path":"/t.jsonl","cwd":"/w","prompt_id":"78d408ee","permission_mode":"default","hook_event_name":"Stop","stop_hook_active":true,"last_assistant_message":"LAUNCHED","background_tasks":[],"session_crons":[]}"#;
    let input = hooks("claude-code").parse(claude.as_bytes()).unwrap();
    assert_eq!(input.session.as_str(), "e4c06cd5-7b9a-489f-a7bb-b49b42db6127");
    assert_eq!((input.event.as_str(), input.stop_hook_active), ("Stop", true));
    assert_eq!(input.transcript, Some(PathBuf::from("/t.jsonl")));
    let cursor = r#"{"conversation_id":"c","generation_id":"g","hook_event_name":"stop","status":"aborted","loop_count":0,"transcript_path":null}"#;
    let input = hooks("cursor").parse(cursor.as_bytes()).unwrap();
    assert!(input.was_aborted && !input.stop_hook_active && input.transcript.is_none());
    let goose = r#"{"event":"Stop","session_id":"20261122_1","last_assistant_message":"Done."}"#;
    assert_eq!(hooks("goose").parse(goose.as_bytes()).unwrap().event, "Stop");
}

#[test]
fn invalid_input_is_refused_with_a_reason() {
    for (text, reason) in [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "no session"),
        (r#"{"session_id":"","event":"Stop"}"#, "no session"),
        (r#"{"session_id":"a\nb","event":"Stop"}"#, "session"),
        (r#"{"session_id":"a"}"#, "no event"),
    ] {
        let error = hooks("goose").parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn every_harness_gets_output_in_its_own_format() {
    let message = HookMessage { text: "TEXT", wake: Some("w_1"), session: "S", tool_input: None };
    let mut answers = String::new();
    for name in preset_names() {
        let Ok(hooks) = &Profile::named(name).unwrap().hooks else { continue };
        for (event, event_kind) in hooks.events {
            answers += &format!("{name} {event}: {}\n", hooks.answer(event, *event_kind, &message));
        }
    }
    insta::assert_snapshot!(answers, @r#"
    claude-code SessionStart: {"hookSpecificOutput":{"additionalContext":"TEXT","hookEventName":"SessionStart"}}
    claude-code UserPromptSubmit: {"hookSpecificOutput":{"additionalContext":"TEXT","hookEventName":"UserPromptSubmit"}}
    claude-code Stop: {"decision":"block","reason":"TEXT"}
    codex UserPromptSubmit: {"hookSpecificOutput":{"additionalContext":"TEXT","hookEventName":"UserPromptSubmit"}}
    codex Stop: {"decision":"block","reason":"TEXT"}
    cursor sessionStart: {"additional_context":"TEXT","env":{"HOMING_HARNESS":"cursor","HOMING_SESSION":"S"}}
    cursor stop: {"followup_message":"TEXT"}
    gemini SessionStart: {"hookSpecificOutput":{"additionalContext":"TEXT","hookEventName":"SessionStart"}}
    gemini BeforeAgent: {"hookSpecificOutput":{"additionalContext":"TEXT","hookEventName":"BeforeAgent"}}
    gemini AfterAgent: {"decision":"deny","reason":"TEXT"}
    gemini BeforeTool: {"hookSpecificOutput":{"hookEventName":"BeforeTool","tool_input":{"homing_session":"S"}}}
    goose Stop: {"decision":"block","reason":"TEXT"}
    opencode session.idle: {"text":"TEXT","wake":"w_1"}
    opencode homing.shown: {"text":"TEXT","wake":"w_1"}
    "#);
}
