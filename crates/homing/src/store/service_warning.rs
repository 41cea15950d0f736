//! Warns once per home that jobs launched by this process end with its systemd service, because no service manager
//! gives them their own scopes.

use std::fmt;

use homing_supervisor::StartedRecord;
use homing_supervisor::platform::placement_checks::service_warning;

use crate::store::job_store::JobStore;

/// Exists in a home whose user has seen the warning.
const WARNED: &str = "service-warning";

/// Jobs that were launched from this systemd service end with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceWarning {
    /// The service, such as `chat.service`.
    pub service: String,
}

impl ServiceWarning {
    /// What the user can do.
    pub fn hint(&self) -> String {
        service_warning(&self.service).1
    }
}

impl fmt::Display for ServiceWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&service_warning(&self.service).0)
    }
}

impl JobStore {
    /// Remembers the service that a job was launched from.
    pub(crate) fn note_service(&self, started: Option<&StartedRecord>) {
        if let Some(service) = started.and_then(|started| started.service.as_ref()) {
            let _ = self.service.set(service.clone());
        }
    }

    /// Returns the warning about jobs that this process launched, once per home. Front ends show it to the user.
    pub(crate) fn take_service_warning(&self) -> Option<ServiceWarning> {
        let service = self.service.get()?.clone();
        // If the file cannot be created, the next process warns again.
        match self.home.root.create(WARNED) {
            Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => None,
            Ok(_) | Err(_) => Some(ServiceWarning { service }),
        }
    }
}
