//! Says once that the jobs launched from here end with a service of systemd, because no service manager gives them scopes
//! of their own. What a supervisor does about that is in `homing_supervisor::platform::scope`.

use std::fmt;

use homing_supervisor::StartedRecord;

use crate::homing::Homing;

/// Exists in a home whose user has been told.
const TOLD: &str = "service-warning";

/// Jobs that were launched from a service of systemd end with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceWarning {
    /// The service, such as `chat.service`.
    pub service: String,
}

impl ServiceWarning {
    /// What the user can do.
    pub fn hint(&self) -> String {
        format!(
            "loginctl enable-linger gives its user a service manager that jobs can ask; or set KillMode=process in {}",
            self.service
        )
    }
}

impl fmt::Display for ServiceWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "jobs launched from {} end when it stops: no service manager gave them a scope of their own",
            self.service
        )
    }
}

impl Homing {
    /// Notes what a job was launched in.
    pub(crate) fn note_service(&self, started: Option<&StartedRecord>) {
        if let Some(service) = started.and_then(|started| started.service.as_ref()) {
            let _ = self.service.set(service.clone());
        }
    }

    /// A warning about the jobs that this process has launched: once for each home, and `None` where there is none. Front
    /// ends that launch jobs show it to the user.
    pub fn take_service_warning(&self) -> Option<ServiceWarning> {
        let service = self.service.get()?.clone();
        // Refused where it exists; where it cannot be made, the user is told again.
        match self.home.root.create(TOLD) {
            Err(error) if error.source.kind() == std::io::ErrorKind::AlreadyExists => None,
            Ok(_) | Err(_) => Some(ServiceWarning { service }),
        }
    }
}
