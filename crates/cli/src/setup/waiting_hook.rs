//! Finds out whether the hook is configured that notifies an open, idle session.

use homing::Origin;
use homing::harness::{IdleNotification, Profile};

use super::config_paths::ConfigPaths;
use super::file::any_contains;
use super::plan::Harness;
use super::status::has_plugin;

/// Whether the hook that notifies an open, idle session of the reader's harness is configured, by a file or by the plugin
/// of homing.
pub(crate) fn has_waiting_hook(reader: &Origin) -> bool {
    let profile = reader.harness.as_deref().and_then(Profile::named);
    let Some(IdleNotification::WaitingHook { command, files, .. }) = profile.map(|profile| profile.idle)
    else {
        return false;
    };
    ConfigPaths::from_environment().is_some_and(|paths| {
        any_contains(&paths, files, command)
            || profile
                .and_then(|profile| Harness::named(profile.name))
                .is_some_and(|harness| has_plugin(harness, &paths))
    })
}
