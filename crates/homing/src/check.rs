//! The result of a check, for `doctor` and for test wakes.

use crate::Error;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What the user can do, if anything.
    pub hint: Option<String>,
}

/// The verdict of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// No problem.
    Ok,
    /// It works, but the user should know the detail.
    Note,
    /// It does not work.
    Problem,
}

impl Check {
    pub(crate) fn new(name: &'static str, verdict: Verdict, detail: impl Into<String>) -> Check {
        Check { name, verdict, detail: detail.into(), hint: None }
    }

    /// The check that failed with this error, with the hint of the error.
    pub(crate) fn of_error(name: &'static str, error: &Error) -> Check {
        let hint = error.hint().map(|hint| hint.to_string());
        Check { name, verdict: Verdict::Problem, detail: error.to_string(), hint }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Check {
        Check { hint: Some(hint.into()), ..self }
    }
}
