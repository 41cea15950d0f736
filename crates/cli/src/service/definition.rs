//! What runs as a service, and how.

/// Marks every file that homing wrote and therefore may replace and remove.
pub(super) const MARK: &str = "Written by homing ";

/// What runs as a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// `homing monitor`.
    Monitor,
    /// `homing serve`.
    #[cfg_attr(not(feature = "serve"), expect(dead_code, reason = "this build has no server"))]
    Server,
}

impl Role {
    /// The command of the program, and the part of the service's name behind `homing-`.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Role::Monitor => "monitor",
            Role::Server => "serve",
        }
    }

    /// What the service does, for people.
    pub(super) fn description(self) -> &'static str {
        match self {
            Role::Monitor => "homing monitor: delivers results of background jobs to agents",
            Role::Server => "homing serve: background jobs over HTTP",
        }
    }

    /// The first line of a service file.
    pub(super) fn mark(self) -> String {
        format!("{MARK}{} install", self.command())
    }
}

/// The service that the service manager runs.
#[derive(Debug)]
pub(crate) struct Service {
    /// What it runs.
    pub(crate) role: Role,
    /// The absolute path of the program.
    pub(crate) program: String,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Its environment variables. A scheduled task gets those of the user's account in their place.
    pub(crate) environment: Vec<(String, String)>,
    /// Log file, for service managers that do not keep a journal.
    pub(crate) log: String,
    /// The user that it runs as, for service managers that must be told: `DOMAIN\NAME`.
    pub(crate) user: Option<String>,
}
