//! The home that is served. A server lives as long as its client, so it is opened anew when the user has changed the
//! configuration meanwhile.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use homing::{Homing, OpenOptions};

use crate::commands::warn_of_refused_config;

/// A home with the configuration of now. It is made by the first launch, not by the start of a server.
pub(super) struct HomeHandle {
    open: Mutex<Option<(Stamp, Arc<Homing>)>>,
    /// Whether it was said that the configuration is not used.
    warned: OnceLock<()>,
}

/// Tells one state of a file from another: when it was changed and how long it is.
type Stamp = Option<(SystemTime, u64)>;

impl HomeHandle {
    /// Opens the home that the environment names, if it exists.
    ///
    /// # Errors
    /// When the home cannot be used safely, or the configuration is wrong.
    pub(super) fn open() -> homing::Result<HomeHandle> {
        let home = HomeHandle { open: Mutex::default(), warned: OnceLock::new() };
        home.existing()?;
        Ok(home)
    }

    /// The home, with the configuration that is in force now. Makes it where it does not exist.
    ///
    /// # Errors
    /// As [`HomeHandle::open`].
    pub(super) fn homing(&self) -> homing::Result<Arc<Homing>> {
        let opened = self.opened(|options| options.open().map(Some))?;
        Ok(opened.expect("an opener that makes the home returns one"))
    }

    /// The home, with the configuration that is in force now; `None` where it does not exist.
    ///
    /// # Errors
    /// As [`HomeHandle::open`].
    pub(super) fn existing(&self) -> homing::Result<Option<Arc<Homing>>> {
        self.opened(OpenOptions::open_existing)
    }

    fn opened(
        &self,
        open: impl FnOnce(OpenOptions) -> homing::Result<Option<Homing>>,
    ) -> homing::Result<Option<Arc<Homing>>> {
        let mut open_now = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Stamped before it is read: what changes in between is noticed the next time.
        let stamp = stamp();
        let was_refused = |homing: &Homing| homing.config_refusal().is_some();
        let is_stale = |homing: &Homing| was_refused(homing) || !homing.is_current();
        if open_now.as_ref().is_none_or(|(read, homing)| *read != stamp || is_stale(homing)) {
            // A client that ends its server's process tree does not mean the jobs.
            let opened = open(OpenOptions::new().detached().recovers())?;
            if let Some(homing) = opened.as_ref().filter(|homing| was_refused(homing)) {
                self.warned.get_or_init(|| warn_of_refused_config(homing));
            }
            *open_now = opened.map(|homing| (stamp, Arc::new(homing)));
        }
        Ok(open_now.as_ref().map(|(_, homing)| Arc::clone(homing)))
    }
}

fn stamp() -> Stamp {
    let status = std::fs::metadata(homing::config_path()?).ok()?;
    Some((status.modified().ok()?, status.len()))
}
