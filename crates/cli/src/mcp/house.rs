//! The home that is served. A server lives as long as its client, so it is opened anew when the user has changed the
//! configuration meanwhile.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use homing::{Homing, OpenOptions};

/// An open home with the configuration of now.
pub(super) struct House {
    open: Mutex<(Stamp, Arc<Homing>)>,
}

/// Tells one state of a file from another: when it was changed and how long it is.
type Stamp = Option<(SystemTime, u64)>;

impl House {
    /// Opens the home that the environment names.
    pub(super) fn open() -> homing::Result<House> {
        Ok(House { open: Mutex::new(open()?) })
    }

    /// The home, with the configuration that is in force now.
    ///
    /// # Errors
    /// When the configuration was changed to something that is wrong.
    pub(super) fn homing(&self) -> homing::Result<Arc<Homing>> {
        let mut open_now = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open_now.0 != stamp() {
            *open_now = open()?;
        }
        Ok(Arc::clone(&open_now.1))
    }

    /// Where the home is.
    pub(super) fn path(&self) -> std::path::PathBuf {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).1.home_path().to_owned()
    }
}

/// Stamped before it is read: what changes in between is noticed the next time.
fn open() -> homing::Result<(Stamp, Arc<Homing>)> {
    let stamp = stamp();
    // A client that ends its server's process tree does not mean the jobs.
    Ok((stamp, Arc::new(OpenOptions::new().apart().open()?)))
}

fn stamp() -> Stamp {
    let status = std::fs::metadata(homing::config_path()?).ok()?;
    Some((status.modified().ok()?, status.len()))
}
