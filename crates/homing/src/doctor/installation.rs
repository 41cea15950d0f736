//! Checks the configuration and the program of the supervisor.

use std::path::Path;

use crate::check::{Check, Verdict};
use crate::error::ConfigRefusal;
use crate::store::program::supervisor_program;

/// Checks whether the user's configuration is used.
pub(super) fn check_config(path: Option<&Path>, refusal: Option<&ConfigRefusal>) -> Check {
    match (path, refusal) {
        (_, Some(refusal)) => {
            let detail = format!("{refusal}; homing uses the defaults and does not resume agents");
            Check::new("config", Verdict::Problem, detail).hint(refusal.hint.clone())
        }
        (Some(path), None) if path.exists() => Check::new("config", Verdict::Ok, path.display().to_string()),
        (Some(path), None) => {
            Check::new("config", Verdict::Ok, format!("defaults; {} does not exist", path.display()))
        }
        (None, None) => {
            Check::new("config", Verdict::Ok, "set by the program that opened the home, or defaults")
        }
    }
}

/// Checks whether the program of the supervisor can be found. `named` is the program that the host named.
pub(super) fn check_supervisor(named: Option<&Path>) -> Check {
    match supervisor_program(named) {
        Ok(program) => Check::new("supervisor", Verdict::Ok, program.display().to_string()),
        Err(error) => Check::of_error("supervisor", &error),
    }
}
