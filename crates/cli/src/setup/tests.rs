//! Edits the files of every harness and checks that no content of the user is lost.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::content::Content;
use super::file::part_states;
use super::parts::PartState;
use super::plan::Plan;
use super::*;

fn harness(name: &str) -> Harness {
    Harness::named(name).unwrap()
}

/// Files as users have them: with comments, in their own order, and with other servers and hooks.
const JSON: &str = r#"{
  // what I like
  "theme": "dark",
  "mcpServers": { "other": { "command": "other", "args": [] } },
  "mcp": {"other": {"type": "local", "command": ["other"]}},
  "hooks": {
    "Stop": [
      { "matcher": "", "hooks": [ { "type": "command", "command": "say done" } ] },
    ],
    "stop": [{"command": "say done"}],
  },
  /* and this */ "last": [1, 2,   3]
}"#;

const TOML: &str = "# mine\nmodel   = \"gpt-5\" # the best\n\n[mcp_servers.other]\ncommand = 'other'\n\n# at the end\n[tui]\nnotifications = true\n";

const YAML: &str = "# mine\nGOOSE_MODE: auto\nextensions:\n    # built in\n    developer:\n        enabled: true\n        type: builtin\nlast:   1 # yes\n";

struct Stage {
    folder: tempfile::TempDir,
    plan: Plan,
}

impl Stage {
    fn new(harness: Harness, scope: Scope) -> Option<Stage> {
        Stage::with(harness, scope, "homing")
    }

    fn with(harness: Harness, scope: Scope, program: &str) -> Option<Stage> {
        let folder = tempfile::tempdir().unwrap();
        // A file of the user, so that the folder is not empty.
        write(&folder.path().join("notes.txt"), "");
        let plan = harness.plan(scope, &ConfigPaths::below(folder.path()), &Program::named(program));
        let mut stage = Stage { folder, plan: plan? };
        stage.plan.files.push(plan::route_in(harness, stage.folder.path().join("config.toml")));
        Some(stage)
    }

    fn of_all() -> impl Iterator<Item = Stage> {
        let scopes = |harness| [Scope::User, Scope::Project].map(|scope| Stage::new(harness, scope));
        Harness::all().flat_map(scopes).flatten()
    }

    fn carry_out(&self, action: Action) -> Vec<Done> {
        self.plan.files.iter().map(|file| carry_out(file, action).unwrap().done).collect()
    }

    /// Creates a user file for each file that setup edits.
    fn fill(&self) -> Vec<(PathBuf, &'static str)> {
        let text = |file: &FilePlan| match file.content {
            Content::Json(_) => Some(JSON),
            Content::Toml(_) => Some(TOML),
            Content::Yaml(_) => Some(YAML),
            Content::Whole { .. } => None,
        };
        let filled = self.plan.files.iter().filter_map(|file| Some((file.path.clone(), text(file)?)));
        let filled: Vec<_> = filled.collect();
        for (path, text) in &filled {
            write(path, text);
        }
        filled
    }

    /// Every file below the folder, with its content.
    fn everything(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        collect(self.folder.path(), self.folder.path(), &mut found);
        found.sort();
        found
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn new_files_have_the_expected_content() {
    for harness in Harness::all() {
        let mut content = String::new();
        for scope in [Scope::User, Scope::Project] {
            let Some(stage) = Stage::new(harness, scope) else { continue };
            stage.carry_out(Action::Write);
            for (name, text) in stage.everything().into_iter().filter(|(name, _)| name != "notes.txt") {
                content += &format!("----- {scope:?}: {name}\n{text}");
            }
        }
        insta::assert_snapshot!(format!("new_{}", harness.name), content);
    }
}

#[test]
fn existing_files_have_the_expected_content() {
    for harness in Harness::all() {
        let stage = Stage::new(harness, Scope::User).unwrap();
        stage.fill();
        stage.carry_out(Action::Write);
        let changed: String = stage
            .everything()
            .into_iter()
            .filter(|(name, _)| {
                !name.ends_with(".before-homing") && !name.ends_with("homing.js") && name != "notes.txt"
            })
            .map(|(name, text)| format!("----- {name}\n{text}"))
            .collect();
        insta::assert_snapshot!(format!("changed_{}", harness.name), changed);
    }
}

#[test]
fn setup_is_idempotent_and_undo_restores_every_byte() {
    for stage in Stage::of_all() {
        let before = stage.everything();
        stage.carry_out(Action::Show);
        assert_eq!(stage.everything(), before, "showing writes nothing");
        assert!(stage.carry_out(Action::Write).iter().all(|done| *done == Done::Made));
        let written = stage.everything();
        assert!(stage.carry_out(Action::Write).iter().all(|done| *done == Done::Nothing));
        assert_eq!(stage.everything(), written);
        stage.carry_out(Action::Undo);
        assert_eq!(stage.everything(), before, "new files are removed");

        let filled = stage.fill();
        let before = stage.everything();
        stage.carry_out(Action::Write);
        for (path, text) in &filled {
            assert_ne!(fs::read_to_string(path).unwrap(), *text);
            let backup = PathBuf::from(format!("{}.before-homing", path.display()));
            assert_eq!(fs::read_to_string(backup).unwrap(), *text);
        }
        assert!(stage.carry_out(Action::Write).iter().all(|done| *done == Done::Nothing));
        stage.carry_out(Action::Undo);
        assert_eq!(stage.everything(), before);
        assert!(stage.carry_out(Action::Undo).iter().all(|done| *done == Done::Nothing));
    }
}

#[test]
fn undo_keeps_later_changes_of_the_user() {
    for stage in Stage::of_all() {
        let filled = stage.fill();
        stage.carry_out(Action::Write);
        for (path, text) in &filled {
            let now = fs::read_to_string(path).unwrap();
            let (old, new) = match *text {
                JSON => ("\"dark\"", "\"light\""),
                TOML => ("\"gpt-5\"", "\"gpt-6\""),
                _ => ("auto", "approve"),
            };
            write(path, &now.replace(old, new));
        }
        stage.carry_out(Action::Undo);
        for (path, text) in &filled {
            let now = fs::read_to_string(path).unwrap();
            let changed = now.contains("light") || now.contains("gpt-6") || now.contains("approve");
            assert!(changed && !now.contains("homing"), "{now}");
            for line in text.lines().filter(|line| line.contains("//") || line.contains('#')) {
                let kept = now.contains(line) || line.contains("gpt-5");
                assert!(kept, "{line} is not in {now}");
            }
        }
    }
}

#[test]
fn files_that_cannot_be_parsed_are_not_changed() {
    let broken = ["{\"a\": 1,, }", "[1, 2]", "{\"mcpServers\": 7, \"mcp\": 7, \"hooks\": 7}", "a = [1\n"];
    for text in broken {
        for stage in Stage::of_all() {
            for file in &stage.plan.files {
                let is_fine = match file.content {
                    Content::Whole { .. } => true,
                    Content::Json(_) => text.starts_with("a ="),
                    Content::Toml(_) | Content::Yaml(_) => !text.starts_with("a ="),
                };
                if is_fine {
                    continue;
                }
                write(&file.path, text);
                let failure = carry_out(file, Action::Write).unwrap_err();
                let crate::exit::Failure::Refused { message, hint, .. } = failure else { panic!() };
                assert!(message.contains(&file.path.display().to_string()), "{message}");
                assert!(hint.unwrap().contains(if message.contains("TOML") { "[" } else { "homing" }));
                assert_eq!(fs::read_to_string(&file.path).unwrap(), text);
                assert_eq!(stage.everything().len(), 2, "nothing beside it");
                fs::remove_file(&file.path).unwrap();
            }
        }
    }
}

#[test]
fn setups_at_the_same_time_do_not_lose_changes_of_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("new/config.toml");
    let all: Vec<Harness> = Harness::all().collect();
    for _ in 0..20 {
        std::thread::scope(|scope| {
            for harness in &all {
                let plan = plan::route_in(*harness, config.clone());
                scope.spawn(move || carry_out(&plan, Action::Write).unwrap());
            }
        });
        let text = fs::read_to_string(&config).unwrap();
        for harness in &all {
            assert!(text.contains(harness.name), "{text}");
        }
        fs::remove_file(&config).unwrap();
    }
}

#[test]
fn yaml_with_many_aliases_is_refused() {
    let stage = Stage::new(harness("goose"), Scope::User).unwrap();
    let file = &stage.plan.files[0];
    let mut text = "a0: &a0 [x, x]\n".to_owned();
    for level in 1..30 {
        let aliases = format!("*a{}, ", level - 1).repeat(9);
        text += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    write(&file.path, &text);
    let failure = carry_out(file, Action::Show).unwrap_err();
    let crate::exit::Failure::Refused { message, .. } = failure else { panic!() };
    assert!(message.contains("more than 32 aliases"), "{message}");
}

#[test]
fn links_are_followed_and_modes_are_kept() {
    let stage = Stage::new(harness("claude-code"), Scope::User).unwrap();
    let path = &stage.plan.files[1].path;
    let real = stage.folder.path().join("dotfiles/settings.json");
    write(&real, JSON);
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink("../../dotfiles/settings.json", path).unwrap();
    stage.carry_out(Action::Write);
    assert!(path.is_symlink());
    assert!(fs::read_to_string(&real).unwrap().contains("homing hook claude-code"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&real), 0o640);
    assert_eq!(mode(&stage.plan.files[0].path), 0o600, "only the user can read new files");
    stage.carry_out(Action::Undo);
    assert!(path.is_symlink());
    assert_eq!(fs::read_to_string(&real).unwrap(), JSON);
    assert_eq!(mode(&real), 0o640);
}

#[test]
fn setup_updates_the_path_of_a_moved_program() {
    for harness in Harness::all() {
        let stage = Stage::with(harness, Scope::User, "/old place/homing").unwrap();
        let filled = stage.fill();
        stage.carry_out(Action::Write);
        let new =
            harness.plan(Scope::User, &ConfigPaths::below(stage.folder.path()), &Program::named("homing"));
        for file in &new.unwrap().files {
            let names_program = fs::read_to_string(&file.path).unwrap().contains("old place");
            let done = carry_out(file, Action::Write).unwrap().done;
            assert_eq!(done, if names_program { Done::Changed } else { Done::Nothing });
            let text = fs::read_to_string(&file.path).unwrap();
            assert!(text.contains("homing") && !text.contains("old place"), "{text}");
            carry_out(file, Action::Undo).unwrap();
        }
        for (path, text) in filled.iter().filter(|(path, _)| *path != stage.folder.path().join("config.toml"))
        {
            // The version is kept while the file has hooks.
            let bare =
                |text: &str| text.split_whitespace().collect::<String>().replace(",\"version\":1}", "}");
            assert_eq!(bare(&fs::read_to_string(path).unwrap()), bare(text));
        }
    }
}

#[test]
fn entries_changed_by_the_user_are_kept() {
    let stage = Stage::new(harness("cursor"), Scope::User).unwrap();
    let servers = &stage.plan.files[0];
    let own = r#"{"mcpServers": {"homing": {"command": "homing", "args": ["mcp", "--session", "mine"]}}}"#;
    write(&servers.path, own);
    assert_eq!(carry_out(servers, Action::Write).unwrap().done, Done::Nothing);
    assert_eq!(carry_out(servers, Action::Undo).unwrap().done, Done::Nothing);
    assert_eq!(fs::read_to_string(&servers.path).unwrap(), own);
}

#[test]
fn undo_removes_additions_of_the_user_to_owned_entries() {
    for (harness, scope) in Harness::all().flat_map(|one| [(one, Scope::User), (one, Scope::Project)]) {
        let Some(stage) = Stage::new(harness, scope) else { continue };
        for is_filled in [false, true] {
            let before = stage.everything();
            if is_filled {
                stage.fill();
            }
            stage.carry_out(Action::Write);
            for file in &stage.plan.files {
                let text = fs::read_to_string(&file.path).unwrap();
                // The setting that docs/harnesses/codex.md recommends, and similar ones elsewhere.
                let more = match file.content {
                    Content::Toml(_) => text.replace(
                        "[mcp_servers.homing]\n",
                        "[mcp_servers.homing]\n# I trust it\ndefault_tools_approval_mode = \"approve\"\n",
                    ),
                    Content::Json(_) => {
                        text.replace("\"homing\": {", "\"homing\": {\n      \"trust\": true,")
                    }
                    Content::Yaml(_) => {
                        text.replace("name: homing\n", "name: homing\n    bundled: false\n").replace(
                            "        name: homing\n    bundled",
                            "        name: homing\n        bundled",
                        )
                    }
                    Content::Whole { .. } => text,
                };
                write(&file.path, &more);
            }
            stage.carry_out(Action::Undo);
            for file in stage.plan.files.iter().filter(|file| file.path.exists()) {
                let text = fs::read_to_string(&file.path).unwrap();
                assert!(!text.contains("homing") && !text.contains("trust"), "{}: {text}", harness.name);
                assert_eq!(file.content.left_in(&text), [""; 0]);
            }
            if !is_filled {
                assert_eq!(stage.everything(), before);
            }
        }
    }
}

#[test]
fn undo_reports_the_entries_that_remain() {
    let left = |harness, index: usize, own: &str| {
        let stage = Stage::new(harness, Scope::User).unwrap();
        let file = &stage.plan.files[index];
        write(&file.path, own);
        assert_eq!(carry_out(file, Action::Undo).unwrap().done, Done::Nothing);
        file.content.left_in(own)
    };
    let toml = "[mcp_servers.homing]\ncommand = \"ssh\"\nargs = [\"host\", \"homing\", \"mcp\"]\n";
    assert_eq!(left(harness("codex"), 0, toml), [format!("[mcp_servers.homing], {}", ownership::CHANGED)]);
    let json = r#"{"mcpServers": {"homing": {"command": "ssh", "args": ["host", "homing", "mcp"]}}}"#;
    assert_eq!(
        left(harness("cursor"), 0, json),
        [format!("\"homing\" in \"mcpServers\", {}", ownership::CHANGED)]
    );
    let json =
        r#"{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "nice homing hook codex"}]}]}}"#;
    assert_eq!(left(harness("codex"), 1, json), ["the hook for Stop that runs: nice homing hook codex"]);
    let yaml = "extensions:\n  homing:\n    cmd: ssh\n    args: [\"host\"]\n";
    assert_eq!(left(harness("goose"), 0, yaml), [format!("homing in extensions, {}", ownership::CHANGED)]);
    let plugin = "// Written by homing setup, and changed by me\n";
    assert_eq!(left(harness("opencode"), 1, plugin).len(), 1);
}

#[test]
fn a_foreign_plugin_file_is_not_changed() {
    let stage = Stage::new(harness("opencode"), Scope::User).unwrap();
    let plugin = &stage.plan.files[1];
    write(&plugin.path, "export const Homing = 1\n");
    assert!(carry_out(plugin, Action::Write).is_err());
    assert_eq!(carry_out(plugin, Action::Undo).unwrap().done, Done::Nothing);
    assert_eq!(fs::read_to_string(&plugin.path).unwrap(), "export const Homing = 1\n");
}

#[test]
fn a_pipe_in_place_of_a_file_does_not_block() {
    let stage = Stage::new(harness("cursor"), Scope::User).unwrap();
    let servers = &stage.plan.files[0];
    write(&servers.path, "");
    fs::remove_file(&servers.path).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &servers.path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    for action in [Action::Show, Action::Write, Action::Undo] {
        assert!(carry_out(servers, action).is_err());
    }
}

#[test]
fn entries_of_earlier_versions_are_completed() {
    let updated = |name: &str, index: usize, old: &str| {
        let stage = Stage::new(harness(name), Scope::User).unwrap();
        let file = &stage.plan.files[index];
        write(&file.path, old);
        assert_eq!(carry_out(file, Action::Write).unwrap().done, Done::Changed, "{old}");
        let text = fs::read_to_string(&file.path).unwrap();
        assert_eq!(carry_out(file, Action::Write).unwrap().done, Done::Nothing, "{text}");
        text
    };
    let servers = |text: &str| serde_json::from_str::<Value>(text).unwrap()["mcpServers"]["homing"].clone();
    // From `claude mcp add`, or from a version that did not write alwaysLoad.
    let old = r#"{"mcpServers": {"homing": {"type": "stdio", "command": "/old/homing", "args": ["mcp"], "env": {"A": "b"}}}}"#;
    let expected = json!({
        "type": "stdio", "command": "homing", "args": ["mcp"], "env": {"A": "b"}, "alwaysLoad": true
    });
    assert_eq!(servers(&updated("claude-code", 0, old)), expected);
    let kept =
        r#"{"mcpServers": {"homing": {"command": "/old/homing", "args": ["mcp"], "alwaysLoad": false}}}"#;
    let text = updated("claude-code", 0, kept);
    assert_eq!(servers(&text)["alwaysLoad"], false, "the user does not want it: {text}");
    assert_eq!(servers(&text)["command"], "homing");

    let old = "[mcp_servers.homing]\ncommand = \"/old/homing\" # mine\nargs = [\"mcp\"]\nenv_vars = [\"MINE\", \"HOMING_HOME\"]\n";
    let text = updated("codex", 0, old);
    assert!(text.contains("command = \"homing\"") && text.contains("tool_timeout_sec = 3660"), "{text}");
    assert!(text.contains("\"MINE\"") && text.contains("\"CODEX_HOME\""), "{text}");

    let old = r#"{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "/old/homing hook claude-code", "timeout": 5}]}]}}"#;
    let text = updated("claude-code", 1, old);
    assert!(!text.contains("/old/") && !text.contains("\"timeout\": 5\n"), "{text}");

    let text = updated("opencode", 1, "// Written by homing setup opencode, version 0\n");
    assert!(text.contains("export const Homing"), "{text}");
}

#[test]
fn the_parts_of_a_file_have_states() {
    let states = |file: &FilePlan| -> Vec<PartState> {
        part_states(file).unwrap().into_iter().map(|(_, state)| state).collect()
    };
    let are = |file: &FilePlan, expected: PartState| {
        let states = states(file);
        assert!(!states.is_empty(), "{}", file.path.display());
        assert!(states.iter().all(|state| *state == expected), "{}: {states:?}", file.path.display());
    };
    for stage in Stage::of_all() {
        let files = &stage.plan.files;
        files.iter().for_each(|file| are(file, PartState::Absent));
        stage.fill();
        files.iter().for_each(|file| are(file, PartState::Absent));
        stage.carry_out(Action::Write);
        files.iter().for_each(|file| are(file, PartState::Present));
    }
    let stage = Stage::new(harness("gemini"), Scope::User).unwrap();
    let file = &stage.plan.files[0];
    // From `gemini mcp add`.
    write(&file.path, r#"{"mcpServers": {"homing": {"command": "/elsewhere/homing", "args": ["mcp"]}}}"#);
    let named = part_states(file).unwrap();
    let expected = [("MCP server", PartState::Older), ("hook SessionStart", PartState::Absent)];
    for (found, (name, state)) in named.iter().zip(expected) {
        assert_eq!((found.0.as_str(), found.1), (name, state));
    }
    // The user starts something else in place of it.
    write(&file.path, r#"{"mcpServers": {"homing": {"command": "ssh", "args": ["host", "homing", "mcp"]}}}"#);
    assert_eq!(part_states(file).unwrap()[0].1, PartState::Present);
    write(&file.path, "{,}");
    assert!(part_states(file).is_err());
    let stage = Stage::new(harness("opencode"), Scope::User).unwrap();
    let plugin = &stage.plan.files[1];
    write(&plugin.path, "export const Homing = 1\n");
    assert!(part_states(plugin).is_err(), "homing did not write it");
    write(&plugin.path, "// Written by homing setup opencode, version 0\n");
    assert_eq!(states(plugin), [PartState::Older]);
}

#[test]
fn the_errors_of_files_do_not_quote_them() {
    let stage = Stage::new(harness("codex"), Scope::User).unwrap();
    let file = &stage.plan.files[0];
    write(&file.path, "# mine\n\napi_key = sk-secret\n");
    let failure = carry_out(file, Action::Show).unwrap_err();
    let crate::exit::Failure::Refused { message, .. } = failure else { panic!() };
    assert!(message.contains("on line 3") && !message.contains("secret"), "{message}");
    for stage in Stage::of_all() {
        for file in &stage.plan.files {
            for text in ["{\"key\": sk-secret", "key: [sk-secret", "key = sk-secret", "sk-secret"] {
                write(&file.path, text);
                let Err(failure) = carry_out(file, Action::Show) else { continue };
                let crate::exit::Failure::Refused { message, .. } = failure else { panic!() };
                assert!(!message.contains("secret"), "{message}");
            }
        }
    }
}

/// The directory of the plugin for Claude Code.
fn plugin() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/claude-code")
}

fn read_json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn the_plugin_contains_what_setup_writes() {
    let stage = Stage::new(harness("claude-code"), Scope::User).unwrap();
    stage.carry_out(Action::Write);
    let written = |index: usize| read_json(&stage.plan.files[index].path);
    assert_eq!(read_json(&plugin().join(".mcp.json")), written(0));
    assert_eq!(read_json(&plugin().join("hooks/hooks.json")), written(1));
}

#[test]
fn the_plugin_describes_this_version() {
    let manifest = read_json(&plugin().join(".claude-plugin/plugin.json"));
    assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
    let marketplace = read_json(&plugin().join("../../.claude-plugin/marketplace.json"));
    let listed = &marketplace["plugins"][0];
    let enabled = format!("{}@{}", manifest["name"].as_str().unwrap(), marketplace["name"].as_str().unwrap());
    assert_eq!(harness("claude-code").setup.plugin.unwrap().key, enabled);
    assert_eq!(listed["name"], manifest["name"]);
    let source = plugin().join("../..").join(listed["source"].as_str().unwrap());
    assert_eq!(source.canonicalize().unwrap(), plugin().canonicalize().unwrap());
    let skill = fs::read_to_string(plugin().join("skills/homing/SKILL.md")).unwrap();
    assert!(skill.contains(homing::harness::INSTRUCTIONS), "{skill}");
}

#[test]
fn windows_line_endings_are_kept() {
    for stage in Stage::of_all() {
        for (path, text) in stage.fill() {
            write(&path, &text.replace('\n', "\r\n"));
        }
        assert!(stage.carry_out(Action::Undo).iter().all(|done| *done == Done::Nothing));
        let before = stage.everything();
        stage.carry_out(Action::Write);
        assert!(stage.carry_out(Action::Write).iter().all(|done| *done == Done::Nothing));
        stage.carry_out(Action::Undo);
        assert_eq!(stage.everything(), before);
    }
}
