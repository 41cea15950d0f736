//! Checks what the operating system offers to jobs that this process launches.

use homing_supervisor::platform::placement_checks::{self, PlacementCheck};
use homing_supervisor::platform::{Guarantee, Holds, features, guarantees};

use crate::check::{Check, Verdict};

/// Checks the features of the system.
pub(super) fn check_features() -> impl Iterator<Item = Check> {
    features::detect().into_iter().map(|feature| {
        let verdict = match (feature.available, feature.required) {
            (true, _) => Verdict::Ok,
            (false, false) => Verdict::Note,
            (false, true) => Verdict::Problem,
        };
        Check::new(feature.name, verdict, feature.detail)
    })
}

/// Checks whether this process can look up the processes of jobs.
pub(super) fn check_proc() -> Option<Check> {
    let (detail, hint) = placement_checks::process_list_problem()?;
    Some(Check::new("proc", Verdict::Problem, detail).hint(hint))
}

/// Checks where jobs launched by this process run.
pub(super) fn check_placement() -> Vec<Check> {
    let as_check = |found: PlacementCheck| Check {
        name: found.name,
        verdict: if found.is_good { Verdict::Ok } else { Verdict::Note },
        detail: found.detail,
        hint: found.hint,
    };
    placement_checks::checks().into_iter().map(as_check).collect()
}

/// What homing can promise on this system.
pub(super) fn check_guarantees() -> impl Iterator<Item = Check> {
    guarantees().iter().map(|Guarantee { promise, holds, detail }| match holds {
        Holds::Yes => Check::new(promise, Verdict::Ok, *detail),
        Holds::Partly => Check::new(promise, Verdict::Note, format!("partly: {detail}")),
        Holds::No => Check::new(promise, Verdict::Note, format!("not on this system: {detail}")),
    })
}
