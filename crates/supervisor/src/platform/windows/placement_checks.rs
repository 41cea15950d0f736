//! What `doctor` reports about the place in which this process runs, and where jobs that it launches run.

use super::placement::{ForeignJob, foreign_job};
use super::spawn::BREAKAWAY_HINT;
use crate::names::JOB_VARIABLE;

/// One finding, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementCheck {
    /// What was checked.
    pub name: &'static str,
    /// Whether jobs run as well as this system allows.
    pub is_good: bool,
    /// What was found.
    pub detail: String,
    /// What the user can do, if anything.
    pub hint: Option<String>,
}

/// Returns why processes of jobs cannot be looked up here; `None`, because they always can on Windows.
pub fn process_list_problem() -> Option<(String, String)> {
    None
}

/// Describes that jobs end with the program whose job object their supervisor is in, and what the user can do.
pub fn service_warning(service: &str) -> (String, String) {
    (
        format!("jobs launched from {service} may end with that program: it does not let processes leave"),
        BREAKAWAY_HINT.to_owned(),
    )
}

/// Checks where jobs launched by this process run.
pub fn checks() -> Vec<PlacementCheck> {
    vec![check(foreign_job(), std::env::var_os(JOB_VARIABLE).is_some())]
}

fn check(job: Option<ForeignJob>, is_in_job_of_homing: bool) -> PlacementCheck {
    let (is_good, detail, hint) = match job {
        None => (true, "this process is in no job object; jobs outlive it".to_owned(), None),
        Some(_) if is_in_job_of_homing => (
            true,
            "this process is in a job of homing, whose supervisor starts further jobs".to_owned(),
            None,
        ),
        Some(ForeignJob { allows_breakaway: true, .. }) => (
            true,
            "this process is in a job object that processes may leave; jobs outlive it".to_owned(),
            None,
        ),
        Some(ForeignJob { ends_with_its_maker, .. }) => {
            let end = if ends_with_its_maker { ", and that ends with the program that made it" } else { "" };
            let detail = format!(
                "this process is in a job object that processes may not leave{end}: no job can be launched"
            );
            (false, detail, Some(BREAKAWAY_HINT.to_owned()))
        }
    };
    PlacementCheck { name: "job object", is_good, detail, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_job_object_without_breakaway_is_a_problem() {
        let job = |allows_breakaway| Some(ForeignJob { allows_breakaway, ends_with_its_maker: true });
        assert!(check(None, false).is_good);
        assert!(check(job(true), false).is_good);
        assert!(check(job(false), true).is_good);
        let problem = check(job(false), false);
        assert!(!problem.is_good && problem.hint.is_some(), "{problem:?}");
    }
}
