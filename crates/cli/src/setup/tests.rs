//! Edits the files of every harness and checks that no content of the user is lost.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::content::Content;
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
        stage.plan.files.push(route_plan(harness, stage.folder.path().join("config.toml")));
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
