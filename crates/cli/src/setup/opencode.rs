//! opencode. Checked with 1.18. It has plugins instead of hooks. The plugin of homing is one file.

use jsonc_parser::json;

use super::{ConfigPaths, Content, FilePlan, JsonPart, Plan, Program, Scope};

/// The plugin. The quoted name in it is replaced by the program.
const PLUGIN: &str = include_str!("opencode_plugin.js");

pub(super) fn plan(scope: Scope, paths: &ConfigPaths, program: &Program) -> Plan {
    let (config, plugins) = match scope {
        Scope::User => {
            let folder = paths.config().join("opencode");
            (folder.clone(), folder.join("plugins"))
        }
        Scope::Project => (paths.project().to_owned(), paths.project().join(".opencode/plugins")),
    };
    let with_comments = config.join("opencode.jsonc");
    let config = if with_comments.is_file() { with_comments } else { config.join("opencode.json") };
    let server = json!({"type": "local", "command": [(program.word()), "mcp"], "enabled": true});
    let name = serde_json::Value::from(program.word()).to_string();
    Plan {
        files: vec![
            FilePlan::json(config, vec![JsonPart::Entry { object: "mcp", key: "homing", value: server }]),
            FilePlan {
                path: plugins.join("homing.js"),
                content: Content::Whole(PLUGIN.replace("\"homing\"", &name)),
            },
        ],
        notes: vec!["Restart opencode if it is open.".to_owned()],
    }
}
