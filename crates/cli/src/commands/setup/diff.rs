//! The changes in a file as a unified diff. Configuration files of harnesses contain secrets of the user, and an agent may
//! read the output: the diff has only changed lines, and in lines of the user every text is replaced by `…`.

use std::collections::BTreeSet;

use homing::harness::Profile;
use similar::{ChangeTag, TextDiff};

use crate::setup::{FilePlan, FileResult};

/// In place of a text of the user.
const HIDDEN: &str = "…";

/// The changes in a file as a unified diff.
pub(super) fn diff(plan: &FilePlan, file: &FileResult) -> String {
    let path = file.path.display().to_string();
    let name = |text: Option<&str>| if text.is_some() { path.clone() } else { "/dev/null".to_owned() };
    let (before, after) = (file.before.as_deref(), file.after.as_deref());
    let own = Own::of(&plan.content.snippet());
    let changes = TextDiff::from_lines(before.unwrap_or_default(), after.unwrap_or_default());
    let mut lines = String::new();
    for hunk in changes.unified_diff().context_radius(0).iter_hunks() {
        lines += &format!("{}\n", hunk.header());
        for change in hunk.iter_changes() {
            let sign = match change.tag() {
                ChangeTag::Equal => ' ',
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
            };
            lines += &format!("{sign}{}\n", own.show(change.value().trim_end_matches(['\r', '\n'])));
        }
    }
    if lines.is_empty() {
        return lines;
    }
    format!("--- {}\n+++ {}\n{lines}", name(before), name(after))
}

/// What homing writes into a file.
struct Own {
    lines: BTreeSet<String>,
    texts: BTreeSet<String>,
}

impl Own {
    fn of(snippet: &str) -> Own {
        let lines = snippet.lines().map(bare).filter(|line| !line.is_empty());
        let words =
            tokens(snippet).into_iter().filter(|token| token.is_text).map(|token| token.text.to_owned());
        let names = Profile::all().map(|profile| profile.name.to_owned());
        let constants = ["", "true", "false", "null", "=", "-"].map(str::to_owned);
        Own {
            lines: lines.map(str::to_owned).collect(),
            texts: words.chain(names).chain(constants).collect(),
        }
    }

    /// A line in which every text that homing does not write is hidden, except keys.
    fn show(&self, line: &str) -> String {
        if self.lines.contains(bare(line)) {
            return line.to_owned();
        }
        let content = line.trim_start();
        if content.starts_with(['#', '/', '*']) {
            return format!("{}{HIDDEN}", &line[..line.len() - content.len()]);
        }
        let show = |token: Token<'_>| match token.is_text && !token.is_key && !self.texts.contains(token.text)
        {
            true => HIDDEN.to_owned(),
            false => token.text.to_owned(),
        };
        tokens(line).into_iter().map(show).collect()
    }
}

/// A line without its layout.
fn bare(line: &str) -> &str {
    line.trim().trim_end_matches(',')
}

/// A piece of a text in JSON, TOML or YAML. All pieces together are the text.
struct Token<'a> {
    text: &'a str,
    /// A text between quotes, or a word without quotes. Otherwise punctuation or space.
    is_text: bool,
    /// Whether it is a key.
    is_key: bool,
}

/// The pieces of a text.
fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_text = !is_delimiter(first);
        let length = if is_text { word_length(rest) } else { first.len_utf8() };
        let (text, after) = rest.split_at(length);
        // `key: value` and `key = value`. A value may contain both characters, but not in this form.
        let is_key =
            is_text && matches!(after.as_bytes(), [b':'] | [b':', b' ' | b'\n', ..] | [b' ', b'=', ..]);
        tokens.push(Token { text, is_text, is_key });
        rest = after;
        if matches!(first, '"' | '\'') {
            let (text, after) = rest.split_at(quoted_length(rest, first));
            let (quote, after) = after.split_at(after.len().min(1));
            let is_key = after.trim_start().starts_with([':', '=']);
            tokens.push(Token { text, is_text: true, is_key });
            tokens.push(Token { text: quote, is_text: false, is_key: false });
            rest = after;
        }
    }
    tokens
}

/// The length of a text that a quote ends, in bytes. Without an end, the rest is the text.
fn quoted_length(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    let end = text.find(|c| {
        let ends = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    end.unwrap_or(text.len())
}

/// The length of a word without quotes, in bytes. A colon inside is a part of it, as in a URL.
fn word_length(text: &str) -> usize {
    let ends = |(at, c): (usize, char)| {
        let is_inner_colon = c == ':' && text[at + 1..].starts_with(|c: char| !c.is_whitespace());
        (is_delimiter(c) && !is_inner_colon).then_some(at)
    };
    text.char_indices().find_map(ends).unwrap_or(text.len())
}

fn is_delimiter(c: char) -> bool {
    c.is_whitespace() || matches!(c, ':' | ',' | '{' | '}' | '[' | ']' | '"' | '\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_user_are_hidden() {
        let own = Own::of("{\n  \"mcp\": {\"homing\": {\"command\": \"homing\"}}\n}\n");
        for (line, shown) in [
            (
                r#"  "mcp": {"homing": {"command": "homing"}},"#,
                r#"  "mcp": {"homing": {"command": "homing"}},"#,
            ),
            (
                r#"{"token": "abc", "n": 7, "homing": {"a": true}}"#,
                r#"{"token": "…", "n": …, "homing": {"a": true}}"#,
            ),
            (
                r#"  "env": {"KEY": "a\"b", "OTHER": 'c'} // sk-1"#,
                r#"  "env": {"KEY": "…", "OTHER": '…'} … …"#,
            ),
            ("api_key = \"sk-1\" # sk-2", "api_key = \"…\" … …"),
            ("  api_key: sk-1", "  api_key: …"),
            ("  url: http://user:sk-1@host/?k=sk-2==", "  url: …"),
            ("  a: {key: sk-1, name: \"sk-2\"}", "  a: {key: …, name: \"…\"}"),
            ("  - sk-1", "  - …"),
            ("  # sk-1", "  …"),
            ("  // sk-1", "  …"),
            ("  sk-1 é", "  … …"),
            ("  \"sk-1", "  \"…"),
            ("  \"", "  \""),
            ("agents = [\"codex\", \"mine\"]", "agents = [\"codex\", \"…\"]"),
            ("  },", "  },"),
            ("extensions:", "extensions:"),
            ("[mcp_servers.other]", "[…]"),
        ] {
            assert_eq!(own.show(line), shown, "{line}");
        }
    }
}
