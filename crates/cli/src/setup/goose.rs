//! goose. From its documentation, 2026; not run. It loads hooks from plugins. The plugin of homing is a folder.

use serde_json::json;

use super::{ConfigPaths, Content, FilePlan, Plan, Program, Scope, ownership::MARK};

pub(super) fn plan(scope: Scope, paths: &ConfigPaths, program: &Program) -> Option<Plan> {
    if scope == Scope::Project {
        return None;
    }
    let plugin = paths.home().join(".agents/plugins/homing");
    let about = json!({"name": "homing", "version": "1.0.0", "description": format!("{MARK} goose")});
    let hook = json!({"type": "command", "command": program.shell("hook goose"), "timeout": 30});
    let hooks = json!({"hooks": {"Stop": [{"hooks": [hook]}]}});
    let word = serde_json::Value::from(program.word());
    let lines = [
        "enabled: true".to_owned(),
        "type: stdio".to_owned(),
        "name: homing".to_owned(),
        "description: Background jobs that report their results".to_owned(),
        format!("cmd: {word}"),
        "args: [\"mcp\"]".to_owned(),
        "timeout: 300".to_owned(),
    ];
    let whole = |path: &str, value: serde_json::Value| FilePlan {
        path: plugin.join(path),
        content: Content::Whole(format!("{value:#}\n")),
    };
    Some(Plan {
        files: vec![
            FilePlan {
                path: paths.config().join("goose/config.yaml"),
                content: Content::YamlExtension { name: "homing", lines: lines.into() },
            },
            whole("plugin.json", about),
            whole("hooks/hooks.json", hooks),
        ],
        notes: Vec::new(),
    })
}
