//! Outcomes: how a job ended.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::Signal;
use crate::exit_code::exit_code_name;
use crate::one_line::flatten;

/// The largest exit code that people know in decimal.
const MAX_DECIMAL_CODE: i64 = 0xffff;

/// How a job ended. An unknown end is [`Outcome::Lost`] and never guessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The main process ended by itself.
    Exited {
        /// Its exit code: 0 to 255, on Windows 0 to 4,294,967,295.
        exit_code: i64,
    },
    /// A signal that homing did not send ended the main process.
    Signaled {
        /// The signal.
        signal: Signal,
    },
    /// The timeout was reached, whatever the main process returned afterwards.
    TimedOut,
    /// The job was killed on request.
    Killed {
        /// The origin of the request.
        by: KilledBy,
    },
    /// The command never ran.
    FailedToStart {
        /// The error.
        error: StartError,
    },
    /// The end was not observed.
    Lost {
        /// The known reason.
        reason: LostReason,
    },
}

impl Outcome {
    /// Returns the name of the kind in JSON and on the command line.
    pub fn kind(&self) -> &'static str {
        match self {
            Outcome::Exited { .. } => "exited",
            Outcome::Signaled { .. } => "signaled",
            Outcome::TimedOut => "timed_out",
            Outcome::Killed { .. } => "killed",
            Outcome::FailedToStart { .. } => "failed_to_start",
            Outcome::Lost { .. } => "lost",
        }
    }

    /// Whether the command succeeded: it ended by itself with exit code 0.
    pub fn succeeded(&self) -> bool {
        matches!(self, Outcome::Exited { exit_code: 0 })
    }

    /// Returns the exit status for this outcome: the exit code itself (255 for a larger one), 128 + n for a signal, 124
    /// for `timed_out` (as timeout(1) does), and 125 for `killed`, `lost` and `failed_to_start`.
    pub fn as_exit_status(&self) -> u8 {
        match self {
            Outcome::Exited { exit_code } => u8::try_from(*exit_code).unwrap_or(u8::MAX),
            Outcome::Signaled { signal } => u8::try_from(128 + signal.number()).unwrap_or(u8::MAX),
            Outcome::TimedOut => 124,
            Outcome::Killed { .. } | Outcome::FailedToStart { .. } | Outcome::Lost { .. } => 125,
        }
    }
}

/// For people: `exit code 1`, `ended by signal SIGSEGV`, `timeout reached`.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Codes of Windows such as 0xC0000005 are known in hexadecimal.
            Outcome::Exited { exit_code } if *exit_code > MAX_DECIMAL_CODE => {
                let name = u32::try_from(*exit_code).ok().and_then(exit_code_name);
                let name = name.map_or(String::new(), |name| format!(", {name}"));
                write!(f, "exit code {exit_code} (0x{exit_code:08X}{name})")
            }
            Outcome::Exited { exit_code } => write!(f, "exit code {exit_code}"),
            Outcome::Signaled { signal } => write!(f, "ended by signal {signal}"),
            Outcome::TimedOut => f.write_str("timeout reached"),
            Outcome::Killed { by } => write!(f, "killed by {by}"),
            Outcome::FailedToStart { error } => write!(f, "failed to start: {error}"),
            Outcome::Lost { reason } => write!(f, "lost: {reason}"),
        }
    }
}

/// `{"kind":"exited","exit_code":1}`, or with `signal` and `signal_number`, with `reason`, or with `error` and
/// `errno`.
impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", self.kind())?;
        match self {
            Outcome::Exited { exit_code } => map.serialize_entry("exit_code", exit_code)?,
            Outcome::Signaled { signal } => {
                map.serialize_entry("signal", &signal.to_string())?;
                map.serialize_entry("signal_number", &signal.number())?;
            }
            Outcome::TimedOut => {}
            Outcome::Killed { by } => map.serialize_entry("reason", by.as_str())?,
            Outcome::FailedToStart { error } => {
                map.serialize_entry("error", &error.message)?;
                map.serialize_entry("errno", &error.errno)?;
            }
            Outcome::Lost { reason } => map.serialize_entry("reason", reason.as_str())?,
        }
        map.end()
    }
}

/// Reads the same document field by field, so that an unknown kind is an error.
impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Outcome, D::Error> {
        #[derive(Deserialize)]
        struct Document {
            kind: String,
            exit_code: Option<i64>,
            signal_number: Option<Signal>,
            reason: Option<String>,
            error: Option<String>,
            errno: Option<i32>,
        }
        use serde::de::Error;
        let document = Document::deserialize(deserializer)?;
        let reason = || document.reason.as_deref().ok_or_else(|| D::Error::missing_field("reason"));
        match document.kind.as_str() {
            "exited" => {
                let exit_code = document.exit_code.ok_or_else(|| D::Error::missing_field("exit_code"))?;
                Ok(Outcome::Exited { exit_code })
            }
            "signaled" => {
                let signal =
                    document.signal_number.ok_or_else(|| D::Error::missing_field("signal_number"))?;
                Ok(Outcome::Signaled { signal })
            }
            "timed_out" => Ok(Outcome::TimedOut),
            "killed" => KilledBy::from_name(reason()?)
                .map(|by| Outcome::Killed { by })
                .ok_or_else(|| D::Error::custom("unknown origin of a kill")),
            "failed_to_start" => {
                let message = document.error.ok_or_else(|| D::Error::missing_field("error"))?;
                Ok(Outcome::FailedToStart { error: StartError { message, errno: document.errno } })
            }
            "lost" => LostReason::from_name(reason()?)
                .map(|reason| Outcome::Lost { reason })
                .ok_or_else(|| D::Error::custom("unknown reason of a loss")),
            other => Err(D::Error::custom(format!("unknown kind of outcome {other:?}"))),
        }
    }
}

/// The origin of the request that killed a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KilledBy {
    /// The session that launched the job. It is not notified, because it knows.
    Session,
    /// Any other caller of homing.
    Operator,
    /// A terminating signal that another program sent to the supervisor, or the removal of the job's directory.
    Outside,
    /// The service manager of the system or the user (systemd), which stopped the service, session or scope that the
    /// job ran in, for example at shutdown.
    ServiceManager,
}

impl KilledBy {
    pub(crate) const ALL: [KilledBy; 4] =
        [KilledBy::Session, KilledBy::Operator, KilledBy::Outside, KilledBy::ServiceManager];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            KilledBy::Session => "session",
            KilledBy::Operator => "operator",
            KilledBy::Outside => "outside",
            KilledBy::ServiceManager => "service_manager",
        }
    }

    fn from_name(name: &str) -> Option<KilledBy> {
        KilledBy::ALL.into_iter().find(|by| by.as_str() == name)
    }
}

impl fmt::Display for KilledBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KilledBy::Session => "its own session",
            KilledBy::Operator => "an operator",
            KilledBy::Outside => "a signal to its supervisor",
            KilledBy::ServiceManager => {
                "the service manager, which stopped the service or session that the job ran in"
            }
        })
    }
}

/// Why the end of a job was not observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LostReason {
    /// The job was created, but no supervisor ran it. The command did not run.
    NeverStarted,
    /// Its supervisor was killed. Recovery ends the remaining processes.
    SupervisorDied,
    /// The machine stopped. The command may have run until then.
    Reboot,
    /// The job's directory was removed before the job finished.
    Removed,
}

impl LostReason {
    pub(crate) const ALL: [LostReason; 4] =
        [LostReason::NeverStarted, LostReason::SupervisorDied, LostReason::Reboot, LostReason::Removed];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            LostReason::NeverStarted => "never_started",
            LostReason::SupervisorDied => "supervisor_died",
            LostReason::Reboot => "reboot",
            LostReason::Removed => "removed",
        }
    }

    fn from_name(name: &str) -> Option<LostReason> {
        LostReason::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

impl fmt::Display for LostReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LostReason::NeverStarted => "it never started; the command did not run",
            LostReason::SupervisorDied => "its supervisor was killed before it recorded the outcome",
            LostReason::Reboot => "the machine stopped while the job was running",
            LostReason::Removed => "its directory was removed from the disk before it finished",
        })
    }
}

/// Why a command could not be started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartError {
    /// The failed action and the error of the system, in one line.
    pub message: String,
    /// The error number (errno(3)), if there is one.
    pub errno: Option<i32>,
}

/// One line, even if the program or the directory has line breaks in its name.
impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&flatten(&self.message))
    }
}

/// A process of the job that was still running after the main process had ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// Its process id at that time.
    pub pid: u32,
    /// Its name in the kernel (proc_pid_comm(5)): at most 15 bytes.
    pub name: String,
    /// What happened to it.
    pub fate: LeftoverFate,
}

/// What happened to a leftover process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftoverFate {
    /// It was ended.
    Ended,
    /// It keeps running, because the job's policy is to keep leftovers.
    Kept,
    /// It is still running: SIGKILL did not end it because it hangs inside the kernel, or this user may not signal
    /// it, or it is not certain that it belongs to the job.
    Survived,
    /// It is the supervisor of another job or the monitor, started by this job. It ends by itself.
    Spared,
}

/// What recovery must still do for a job whose supervisor died.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recovery {
    /// A reader concluded that the job is lost, but its record does not say so yet. Its processes may still be
    /// running.
    NotRecorded,
    /// The end is recorded, but no process searched for its processes, because they ran in another pid namespace.
    NotSearched,
}

impl Recovery {
    /// Every value.
    pub const ALL: [Recovery; 2] = [Recovery::NotRecorded, Recovery::NotSearched];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Recovery::NotRecorded => "not_recorded",
            Recovery::NotSearched => "not_searched",
        }
    }

    /// Returns the value with this name.
    pub fn from_name(name: &str) -> Option<Recovery> {
        Recovery::ALL.into_iter().find(|recovery| recovery.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_outcome() -> Vec<Outcome> {
        let mut all = vec![
            Outcome::Exited { exit_code: 0 },
            Outcome::Exited { exit_code: 255 },
            Outcome::Exited { exit_code: 0xC000_0005 },
            Outcome::Signaled { signal: Signal::from_number(11) },
            Outcome::TimedOut,
            Outcome::FailedToStart {
                error: StartError { message: "cannot run nope: not found".to_owned(), errno: Some(2) },
            },
        ];
        all.extend(KilledBy::ALL.map(|by| Outcome::Killed { by }));
        all.extend(LostReason::ALL.map(|reason| Outcome::Lost { reason }));
        all
    }

    #[test]
    fn outcome_round_trips_through_json() {
        for outcome in every_outcome() {
            let json = serde_json::to_string(&outcome).unwrap();
            assert_eq!(serde_json::from_str::<Outcome>(&json).unwrap(), outcome, "{json}");
        }
    }

    #[test]
    fn outcome_maps_to_a_shell_exit_status() {
        let statuses: Vec<u8> = every_outcome().iter().map(Outcome::as_exit_status).collect();
        assert_eq!(statuses, [0, 255, 255, 139, 124, 125, 125, 125, 125, 125, 125, 125, 125, 125]);
    }

    #[test]
    fn a_large_exit_code_is_also_shown_in_hexadecimal() {
        let shown = |exit_code| Outcome::Exited { exit_code }.to_string();
        assert_eq!(shown(3), "exit code 3");
        assert_eq!(shown(0xC000_0005), "exit code 3221225477 (0xC0000005, STATUS_ACCESS_VIOLATION)");
        assert_eq!(shown(0xC0DE_0000), "exit code 3235774464 (0xC0DE0000)");
    }

    #[test]
    fn json_of_a_signal_contains_its_name() {
        let json = serde_json::to_string(&Outcome::Signaled { signal: Signal::from_number(11) }).unwrap();
        assert_eq!(json, r#"{"kind":"signaled","signal":"SIGSEGV","signal_number":11}"#);
    }
}
