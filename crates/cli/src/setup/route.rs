//! The route in the configuration of homing, by which the monitor delivers results to sessions of a harness.

use std::path::PathBuf;

use homing::{CONFIG_VARIABLE, Config, user_config_path};

use super::file::Action;
use super::plan::{FilePlan, Harness, route_in};
use crate::exit::Failure;

/// The change that adds or removes the route of a harness. `None` if the user has defined a route for it, except to
/// remove ours.
///
/// # Errors
/// When the configuration is invalid.
pub(crate) fn route_plan(harness: Harness, action: Action) -> Result<Option<FilePlan>, Failure> {
    let named = std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(path) = named.or_else(user_config_path) else { return Ok(None) };
    if action != Action::Undo && path.exists() {
        let config = Config::load_from(&path)?;
        let is_for_all = |route: &homing::RouteConfig| {
            route.session.is_none() && route.harness.as_deref().is_none_or(|name| name == harness.name)
        };
        if config.routes.iter().any(is_for_all) {
            return Ok(None);
        }
    }
    Ok(Some(route_in(harness, path)))
}
