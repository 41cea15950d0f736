//! The arguments of `hook`, which harnesses call and people do not. Nothing that is written there is an error: to a harness
//! the exit status of wrong usage, 2, would mean that the agent must not stop.

use std::ffi::OsString;

/// Who calls.
#[derive(Debug, clap::Args)]
pub(crate) struct HookArgs {
    /// The agent harness
    pub(crate) harness: String,
    /// Stays until a job of the session is over
    #[arg(long)]
    pub(crate) wait: bool,
}

/// Reads the words of a call; `None` where somebody asks for help. Words that are not known are passed over: the
/// configuration may have been written by a later version.
pub(super) fn parse(words: &[OsString]) -> Option<HookArgs> {
    let is = |word: &OsString, flag: &str| word.to_str() == Some(flag);
    if words.iter().any(|word| is(word, "--help") || is(word, "-h")) {
        return None;
    }
    let mut named = words.iter().filter_map(|word| word.to_str()).filter(|word| !word.starts_with('-'));
    let harness = named.next().unwrap_or_default().to_owned();
    Some(HookArgs { harness, wait: words.iter().any(|word| is(word, "--wait")) })
}
