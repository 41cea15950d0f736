//! Checks what the operating system offers to jobs that this process launches.

use homing_supervisor::platform::{cgroup, features, own_pid_namespace, scope};

use crate::check::{Check, Verdict};
use crate::store::service_warning::ServiceWarning;

/// Checks the features of the kernel.
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

/// Checks whether `/proc` shows this pid namespace. In a container with another `/proc`, its process ids refer to other
/// processes.
pub(super) fn check_proc() -> Option<Check> {
    let is_foreign = own_pid_namespace().is_none();
    is_foreign.then(|| {
        let detail =
            "/proc shows another pid namespace; homing does not search for or signal processes of jobs here";
        Check::new("proc", Verdict::Problem, detail)
            .hint("mount proc in this container: mount -t proc proc /proc")
    })
}

/// Checks where jobs launched by this process run.
pub(super) fn check_placement() -> Vec<Check> {
    [check_cgroup()].into_iter().chain(scope::availability().map(check_service)).collect()
}

/// Checks whether jobs launched by this process survive its systemd unit.
fn check_service(scope::Availability { unit, manager }: scope::Availability) -> Check {
    match (manager, unit.ends_with(".service")) {
        (Ok(()), _) => {
            Check::new("service", Verdict::Ok, format!("{unit}: jobs survive it; each runs in its own scope"))
        }
        (Err(reason), true) => {
            let warning = ServiceWarning { service: unit };
            Check::new("service", Verdict::Note, format!("{warning} ({reason})")).hint(warning.hint())
        }
        (Err(_), false) => Check::new(
            "service",
            Verdict::Note,
            format!("{unit}: jobs survive it unless KillUserProcesses=yes (logind.conf)"),
        )
        .hint("run `loginctl enable-linger`: then jobs always survive it, each in its own control group"),
    }
}

fn check_cgroup() -> Check {
    match cgroup::delegated_directory(&cgroup::OwnGroups::read()) {
        Some(path) => {
            Check::new("cgroup", Verdict::Ok, format!("each job gets its own group in {}", path.display()))
        }
        None => Check::new(
            "cgroup",
            Verdict::Note,
            "none delegated; the supervisor searches for the processes of a job instead",
        ),
    }
}
