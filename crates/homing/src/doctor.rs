//! Checks the installation and diagnoses problems.

use std::collections::HashSet;
use std::path::Path;

use homing_core::{JobId, format_duration};
use homing_supervisor::find_unlinked_supervisors;
use homing_supervisor::layout::SPEC;
use homing_supervisor::platform::{cgroup, features, own_pid_namespace, scope};

use crate::Result;
use crate::check::{Check, Verdict};
use crate::config::LoadedConfig;
use crate::context::Context;
use crate::delivery::monitor::monitor_check;
use crate::error::ConfigRefusal;
use crate::ledger::KeptForSession;
use crate::store::program::supervisor_program;
use crate::store::service_warning::ServiceWarning;
use crate::store::set_aside::Depth;

/// Disk space of a job without its output, in bytes (ext4, see docs/benchmarks.md).
const JOB_DISK_BYTES: u64 = 12 << 10;

/// The most sessions that the check of undelivered results names.
const MAX_SESSIONS: usize = 5;

/// The most unsupported jobs that are listed.
const MAX_UNSUPPORTED: u32 = 20;

/// The checks that do not need a home, for a home at `path` that does not exist yet.
pub(crate) fn checks_without_home(
    path: &Path,
    supervisor: Option<&Path>,
    loaded: &LoadedConfig,
) -> Vec<Check> {
    let detail = format!("{} does not exist yet; the first launch creates it", path.display());
    let mut checks = vec![
        Check::new("home", Verdict::Ok, detail),
        check_config(loaded.users_file().as_deref(), loaded.refusal.as_ref()),
        check_supervisor(supervisor),
    ];
    checks.extend(check_features());
    checks.extend(check_proc());
    checks.extend(check_placement());
    checks.push(monitor_check(&loaded.config, None));
    checks
}

impl Context {
    /// Checks the home, the supervisor program, the ledger and the features of the kernel. Compares the ledger with
    /// the job directories.
    pub(crate) fn doctor(&self) -> Result<Vec<Check>> {
        let mut checks = vec![
            Check::new("home", Verdict::Ok, self.store.home.root.path().display().to_string()),
            check_config(self.store.loaded.users_file().as_deref(), self.store.loaded.refusal.as_ref()),
            check_supervisor(self.store.supervisor.as_deref()),
        ];
        checks.extend(check_features());
        checks.extend(check_proc());
        checks.extend(check_placement());
        checks.push(self.check_unlinked_supervisors());
        checks.push(self.check_monitor()?);
        checks.push(self.check_planted()?);
        match self.check_jobs() {
            Ok(more) => checks.extend(more),
            Err(error) => {
                let check = Check::new("ledger", Verdict::Problem, error.to_string());
                checks.push(match error.hint() {
                    Some(hint) => check.hint(hint.to_string()),
                    None => check,
                });
            }
        }
        Ok(checks)
    }

    /// Finds running supervisors whose job directory was removed or renamed.
    fn check_unlinked_supervisors(&self) -> Check {
        let found = find_unlinked_supervisors(&self.store.home.jobs);
        if found.is_empty() {
            return Check::new("supervisors", Verdict::Ok, "every running supervisor has its job directory");
        }
        let named: Vec<String> = found
            .iter()
            .map(|supervisor| {
                let (job, pid) = (supervisor.job, supervisor.process.pid);
                format!("{job} (process {pid}, directory {})", supervisor.directory.display())
            })
            .collect();
        let detail = format!(
            "{} supervisors run without a job directory in this home: {}",
            found.len(),
            named.join(", ")
        );
        Check::new("supervisors", Verdict::Problem, detail)
            .hint("move the directory back, or run `homing recover` to end the job")
    }

    /// Moves foreign files, directories, FIFOs and links from the places where homing keeps its own files into the
    /// directory `set-aside` of the home. Returns one check for each. Deletes nothing.
    pub(crate) fn fix(&self) -> Result<Vec<Check>> {
        self.store.home.check_current()?;
        let moved = self.store.set_planted_aside(Depth::Jobs)?;
        Ok(moved
            .into_iter()
            .map(|(thing, place)| {
                let detail = format!("moved {} to {}", thing.path.display(), place.display());
                Check::new("set aside", Verdict::Note, detail)
            })
            .collect())
    }

    /// Finds foreign files in the home.
    fn check_planted(&self) -> Result<Check> {
        let planted = self.store.planted(Depth::Jobs)?;
        let Some(first) = planted.first() else {
            return Ok(Check::new("planted", Verdict::Ok, "no foreign files in the home"));
        };
        let detail =
            format!("{} foreign files or directories, such as {}", planted.len(), first.path.display());
        Ok(Check::new("planted", Verdict::Problem, detail)
            .hint("run `homing doctor --fix` to move them into set-aside/ in the home"))
    }

    /// Counts the jobs that are kept because their results are undelivered.
    fn check_undelivered(&self) -> Result<Option<Check>> {
        let waiting = self.with_ledger(|ledger| ledger.undelivered(u32::MAX))?;
        let jobs: u64 = waiting.iter().map(|session| session.jobs).sum();
        if jobs == 0 {
            return Ok(None);
        }
        let bytes = |session: &KeptForSession| session.output_bytes + session.jobs * JOB_DISK_BYTES;
        let total: u64 = waiting.iter().map(bytes).sum();
        let mut named: Vec<String> = waiting
            .iter()
            .take(MAX_SESSIONS)
            .map(|session| {
                let (name, jobs) = (&session.session, session.jobs);
                format!("{name}: {jobs} jobs, {}", as_megabytes(bytes(session)))
            })
            .collect();
        if waiting.len() > MAX_SESSIONS {
            named.push(format!("{} more sessions", waiting.len() - MAX_SESSIONS));
        }
        let age = format_duration(self.config().retention.undelivered);
        let detail = format!(
            "{jobs} finished jobs (about {}) are kept until their results are delivered, for at most {age} ({})",
            as_megabytes(total),
            named.join("; ")
        );
        Ok(Some(Check::new("undelivered", Verdict::Note, detail).hint(
            "run `homing follow-ups` to see why; `homing ack` acknowledges them, `homing drop` discards them",
        )))
    }

    /// Lists the jobs that a newer program wrote.
    fn check_unsupported(&self) -> Result<Vec<Check>> {
        let rows = self.with_ledger(|ledger| ledger.unsupported(MAX_UNSUPPORTED))?;
        Ok(rows
            .into_iter()
            .map(|(id, reason)| {
                let detail = format!("{id} was written by a newer program and is not changed: {reason}");
                Check::new("job", Verdict::Note, detail).hint("update this program")
            })
            .collect())
    }

    /// Updates the ledger, then checks every job.
    fn check_jobs(&self) -> Result<Vec<Check>> {
        let report = self.full_scan()?;
        let damage = self.with_ledger(|ledger| ledger.damage())?;
        let in_ledger: HashSet<JobId> = self.with_ledger(|ledger| ledger.all_ids())?.into_iter().collect();
        let mut checks = Vec::new();
        checks.push(match damage {
            None => Check::new("ledger", Verdict::Ok, format!("{} jobs", in_ledger.len())),
            Some(damage) => Check::new("ledger", Verdict::Problem, damage)
                .hint("move ledger.db away; homing rebuilds it from the job directories"),
        });
        checks.extend(self.check_recovery(report.unreachable.len())?);
        let running = self.with_ledger(|ledger| ledger.unfinished())?;
        let mut held = 0;
        for (id, _) in &running {
            held += usize::from(self.store.has_live_supervisor(*id)?);
        }
        checks.push(Check::new("running", Verdict::Ok, format!("{} jobs, {held} locks held", running.len())));
        checks.push(self.check_strays(&in_ledger)?);
        checks.extend(self.check_undelivered()?);
        checks.extend(self.check_unsupported()?);
        for (id, error) in report.unreadable {
            checks.push(
                Check::new("job", Verdict::Problem, format!("{id}: {error}"))
                    .hint(format!("inspect {}", self.store.home.jobs.path().join(id.as_str()).display())),
            );
        }
        Ok(checks)
    }

    /// Counts the jobs that need recovery, and those that this process cannot observe.
    fn check_recovery(&self, unreachable: usize) -> Result<Vec<Check>> {
        let abandoned = self.with_ledger(|ledger| ledger.needing_recovery())?.len();
        let mut checks = Vec::new();
        if abandoned > 0 {
            checks.push(
                Check::new(
                    "recovery",
                    Verdict::Note,
                    format!("{abandoned} jobs have lost their supervisor; their processes may still run"),
                )
                .hint("run `homing recover` to end the processes and record the outcomes; a running monitor also does this"),
            );
        }
        if unreachable > 0 {
            checks.push(
                Check::new(
                    "hosts",
                    Verdict::Note,
                    format!(
                        "{unreachable} jobs were launched on another host or in another container and may still run there"
                    ),
                )
                .hint("run `homing recover` there, or `homing recover --assume-gone` here if that host is gone"),
            );
        }
        Ok(checks)
    }

    /// Finds directories without a job, and jobs without a directory.
    fn check_strays(&self, in_ledger: &HashSet<JobId>) -> Result<Check> {
        let mut directories = HashSet::new();
        let mut strange = Vec::new();
        for name in self.store.home.jobs.names()? {
            match name.parse::<JobId>() {
                Ok(id)
                    if self.store.home.jobs.open_job(id).is_ok_and(|directory| directory.contains(SPEC)) =>
                {
                    directories.insert(id);
                }
                _ => strange.push(name),
            }
        }
        let gone = in_ledger.difference(&directories).count();
        let unknown = directories.difference(in_ledger).count();
        if strange.is_empty() && gone == 0 && unknown == 0 {
            return Ok(Check::new(
                "directories",
                Verdict::Ok,
                format!("{}, one for each job", directories.len()),
            ));
        }
        let detail = format!(
            "{} jobs without a directory, {unknown} directories missing from the ledger, {} entries that are not jobs: {}",
            gone,
            strange.len(),
            strange.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(" ")
        );
        Ok(Check::new("directories", Verdict::Note, detail)
            .hint("an interrupted launch leaves a directory without a job; this is harmless"))
    }
}

fn check_supervisor(named: Option<&Path>) -> Check {
    match supervisor_program(named) {
        Ok(program) => Check::new("supervisor", Verdict::Ok, program.display().to_string()),
        Err(error) => Check::new("supervisor", Verdict::Problem, error.to_string())
            .hint(error.hint().map(|hint| hint.to_string()).unwrap_or_default()),
    }
}

/// Checks whether the user's configuration is used.
fn check_config(path: Option<&Path>, refusal: Option<&ConfigRefusal>) -> Check {
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

/// Checks the features of the kernel.
fn check_features() -> impl Iterator<Item = Check> {
    features::detect().into_iter().map(|feature| {
        let verdict = match (feature.available, feature.required) {
            (true, _) => Verdict::Ok,
            (false, false) => Verdict::Note,
            (false, true) => Verdict::Problem,
        };
        Check::new(feature.name, verdict, feature.detail)
    })
}

/// Checks where jobs launched by this process run.
fn check_placement() -> Vec<Check> {
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

/// In a container with the `/proc` of another pid namespace, the process ids there refer to other processes.
fn check_proc() -> Option<Check> {
    let is_foreign = own_pid_namespace().is_none();
    is_foreign.then(|| {
        let detail =
            "/proc shows another pid namespace; homing does not search for or signal processes of jobs here";
        Check::new("proc", Verdict::Problem, detail)
            .hint("mount proc in this container: mount -t proc proc /proc")
    })
}

/// Formats bytes as megabytes.
fn as_megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
