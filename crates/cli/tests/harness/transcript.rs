//! Writes a round as it was really run to a file, for docs/transcripts. Only with `HOMING_TRANSCRIPTS`, which
//! `scripts/transcripts` sets.

use std::fmt::Write;
use std::path::PathBuf;

use homing::core::text::clean;
use testkit::{Answered, Asked, Who};

use crate::stage::Stage;

/// Names the directory of the files.
const FOLDER: &str = "HOMING_TRANSCRIPTS";

/// The date of the run, as it stands in the files.
const DATE: &str = "HOMING_TRANSCRIPTS_DATE";

/// The tool of Claude Code that loads the definitions of other tools.
pub(crate) const TOOL_SEARCH: &str = "ToolSearch";

/// Longest message that is written in full, in characters. Of a longer one, the end is written.
const MAX_CHARS: usize = 4_000;

/// Writes the requests to the model and its answers to `NAME.md`. `what` describes the round in one sentence.
pub(crate) fn write(stage: &Stage, name: &str, called: &str, program: &str, what: &str) {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let version = stage.command(program).arg("--version").output().expect("it runs");
    let version = String::from_utf8_lossy(&version.stdout);
    let version = version.lines().next().unwrap_or_default().trim();
    let date = std::env::var(DATE).unwrap_or_else(|_| "an unknown day".to_owned());
    let mut text = format!(
        "# A round over MCP with {called}\n\n{what}\n\nRun on {date} with {called} (`{program} --version`: {version}) and homing {} by \
         `scripts/transcripts`. The harness, the server and the job are real. The model is a script, so its answers are \
         short. Paths of the test are replaced; parts of messages that the harness adds by itself \
         (`<system-reminder>`) are left out.\n",
        env!("CARGO_PKG_VERSION"),
    );
    let mut known: Option<&Asked> = None;
    let all = stage.model.asked();
    for (number, asked) in all.iter().enumerate() {
        let searched =
            |known: &&Asked| matches!(&known.answered, Answered::Called { tool, .. } if tool == TOOL_SEARCH);
        let (from, message) = match known.replace(asked).filter(searched) {
            // The model has searched for tools. The message before that is the newest one again.
            Some(known) => {
                let found = asked.tools.iter().filter(|tool| !known.tools.contains(tool)).cloned();
                ("The harness adds the tools that were found", found.collect::<Vec<_>>().join("\n"))
            }
            None => (from(asked), message(stage, &asked.text)),
        };
        let _ = write!(text, "\n## {}. {from}\n\n{}\n", number + 1, fenced(&message));
        let _ = match &asked.answered {
            Answered::Said(said) => write!(text, "\nThe model answers:\n\n{}\n", fenced(said)),
            Answered::Called { tool, arguments } => {
                let arguments = serde_json::to_string_pretty(arguments).unwrap_or_default();
                write!(text, "\nThe model calls `{tool}`:\n\n{}\n", fenced(&arguments))
            }
        };
    }
    let follow_up = &stage.job()["follow_up"];
    let _ = write!(
        text,
        "\n## At the end\n\nThe follow-up of the job is `{}`.\n",
        follow_up["state"].as_str().unwrap_or_default()
    );
    std::fs::create_dir_all(&folder).expect("the folder is made");
    std::fs::write(folder.join(format!("{name}.md")), text).expect("the file is written");
}

fn from(asked: &Asked) -> &'static str {
    match asked.who {
        Some(Who::User) => "The harness sends a message",
        Some(Who::Tool) => "The harness sends the answer of the tool",
        None => "The harness sends a request",
    }
}

/// A message without what the harness adds and without paths of the test.
fn message(stage: &Stage, text: &str) -> String {
    let mut text = clean(text.as_bytes());
    while let Some((before, rest)) = text.split_once("<system-reminder>") {
        let after = rest.split_once("</system-reminder>").map_or("", |(_, after)| after);
        text = format!("{before}{after}");
    }
    let scratch = stage.home.scratch();
    for (path, shown) in
        [(stage.home.path(), "/home/you/.local/state/homing"), (scratch.to_owned(), "/home/you")]
    {
        text = text.replace(&*path.to_string_lossy(), shown);
        if let Ok(real) = path.canonicalize() {
            text = text.replace(&*real.to_string_lossy(), shown);
        }
    }
    let text = text.trim();
    let omitted = text.chars().count().saturating_sub(MAX_CHARS);
    let shown: String = text.chars().skip(omitted).collect();
    if omitted == 0 { shown } else { format!("… {omitted} characters left out\n{shown}") }
}

/// A block of text, in a fence that the text does not close.
fn fenced(text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    format!("{fence}text\n{text}\n{fence}")
}
