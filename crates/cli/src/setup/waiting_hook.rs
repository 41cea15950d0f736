//! Finds out whether the hook is configured that notifies an open, idle session.

use homing::Origin;
use homing::harness::{IdleNotification, Profile};

use super::config_paths::ConfigPaths;
use super::file::any_contains;

/// Whether the hook that notifies an open, idle session of the reader's harness is configured.
pub(crate) fn has_waiting_hook(reader: &Origin) -> bool {
    let profile = reader.harness.as_deref().and_then(Profile::named);
    match profile.map(|profile| profile.idle) {
        Some(IdleNotification::WaitingHook { command, files, .. }) => {
            ConfigPaths::from_environment().is_some_and(|paths| any_contains(&paths, files, command))
        }
        Some(IdleNotification::Always | IdleNotification::Never) | None => false,
    }
}
