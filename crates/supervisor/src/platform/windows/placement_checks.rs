//! What `doctor` reports about the place in which this process runs, and where jobs that it launches run.

use super::placement::{ForeignJob, foreign_job};
use super::spawn::{BREAKAWAY_HINT, Escape, try_escape};
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
    vec![check(foreign_job().map(escape_of), std::env::var_os(JOB_VARIABLE).is_some())]
}

/// What becomes of programs that this process starts, if it is in this job object. If it cannot be tried, what the job object
/// says.
fn escape_of(job: ForeignJob) -> Escape {
    let said = if job.allows_breakaway { Escape::Outside } else { Escape::Refused };
    try_escape().unwrap_or(said)
}

fn check(escape: Option<Escape>, is_in_job_of_homing: bool) -> PlacementCheck {
    let (is_good, detail) = match escape {
        None => (true, "this process is in no job object; jobs outlive it"),
        Some(_) if is_in_job_of_homing => {
            (true, "this process is in a job of homing, whose supervisor starts further jobs")
        }
        Some(Escape::Outside) => {
            (true, "this process is in a job object that processes may leave; jobs outlive it")
        }
        Some(Escape::StillInside) => (
            false,
            "this process is in job objects of which processes may leave the inner one alone: jobs may end with the \
             program that made the outer one",
        ),
        Some(Escape::Refused) => {
            (false, "this process is in a job object that processes may not leave: no job can be launched")
        }
    };
    let hint = (!is_good).then(|| BREAKAWAY_HINT.to_owned());
    PlacementCheck { name: "job object", is_good, detail: detail.to_owned(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_job_object_that_jobs_cannot_leave_is_a_problem() {
        assert!(check(None, false).is_good);
        assert!(check(Some(Escape::Outside), false).is_good);
        assert!(check(Some(Escape::Refused), true).is_good);
        for escape in [Escape::StillInside, Escape::Refused] {
            let problem = check(Some(escape), false);
            assert!(!problem.is_good && problem.hint.is_some(), "{problem:?}");
        }
    }

    #[test]
    fn what_becomes_of_a_program_can_be_tried() {
        // The runner of the tests may be in any job object.
        if foreign_job().is_none() {
            assert_eq!(try_escape().unwrap(), Escape::Outside);
        } else {
            try_escape().unwrap();
        }
    }
}
