//! What `doctor` reports about the place in which this process runs, and where jobs that it launches run.

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

/// Returns why processes of jobs cannot be looked up here, and what the user can do; `None`: macOS has one list of
/// processes.
pub fn process_list_problem() -> Option<(String, String)> {
    None
}

/// Describes that jobs launched from a service end with it, and what the user can do. No record on macOS names a service.
pub fn service_warning(service: &str) -> (String, String) {
    (
        format!("jobs launched from {service} may end when it stops"),
        format!("set AbandonProcessGroup to true in {service}"),
    )
}

/// Checks where jobs launched by this process run.
pub fn checks() -> Vec<PlacementCheck> {
    let detail =
        "macOS has no groups of processes; the supervisor searches for the processes of a job instead";
    vec![PlacementCheck { name: "process group", is_good: false, detail: detail.to_owned(), hint: None }]
}
