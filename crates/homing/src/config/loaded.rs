//! The configuration that an open home uses, and where it comes from.

use std::path::PathBuf;

use super::{Config, config_path};
use crate::error::{ConfigRefusal, Error, Result};

/// The configuration that an open home uses.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadedConfig {
    pub(crate) config: Config,
    /// Why the defaults are used instead of the user's configuration.
    pub(crate) refusal: Option<ConfigRefusal>,
    /// Whether it is the user's, which other processes read too, and not the host's own.
    pub(crate) is_the_users: bool,
}

impl LoadedConfig {
    /// The host's own configuration, or the user's if the host has none. If the user's is refused: the defaults, and
    /// the reason.
    ///
    /// # Errors
    /// If the user's configuration cannot be read or is invalid.
    pub(crate) fn load(of_the_host: Option<Config>) -> Result<LoadedConfig> {
        if let Some(config) = of_the_host {
            return Ok(LoadedConfig { config, refusal: None, is_the_users: false });
        }
        match Config::load() {
            Ok(config) => Ok(LoadedConfig { config, refusal: None, is_the_users: true }),
            Err(Error::ConfigRefused(refusal)) => {
                Ok(LoadedConfig { config: Config::default(), refusal: Some(refusal), is_the_users: true })
            }
            Err(error) => Err(error),
        }
    }

    /// The file of the user's configuration, if it is used.
    pub(crate) fn users_file(&self) -> Option<PathBuf> {
        config_path().filter(|_| self.is_the_users)
    }

    /// Fails if the user's configuration was refused: then sinks must not be used.
    pub(crate) fn check_is_trusted(&self) -> Result<()> {
        self.refusal.clone().map_or(Ok(()), |refusal| Err(Error::ConfigRefused(refusal)))
    }
}
