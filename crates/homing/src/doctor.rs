//! Looks whether everything homing rests on is as it should be.

use std::collections::HashSet;
use std::path::Path;

use homing_core::{JobId, format_duration};
use homing_supervisor::find_unlinked_supervisors;
use homing_supervisor::layout::SPEC;
use homing_supervisor::platform::{cgroup, features, own_pid_namespace, scope};

use crate::Result;
use crate::config::{Config, ConfigRefusal};
use crate::homing::{Homing, OpenOptions};
use crate::ledger::KeptForSession;
use crate::store::program::supervisor_program;
use crate::store::service_warning::ServiceWarning;
use crate::store::set_aside::Depth;

/// What a job takes on disk beside its output, in bytes (ext4, see docs/benchmarks.md).
const JOB_DISK_BYTES: u64 = 12 << 10;

/// Sessions that are named as waiting.
const MAX_SESSIONS: usize = 5;

/// Jobs that are named as not supported.
const MAX_UNSUPPORTED: u32 = 20;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What the user can do, where there is something.
    pub hint: Option<String>,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, with something to know.
    Note,
    /// It does not work.
    Problem,
}

impl Check {
    pub(crate) fn new(name: &'static str, verdict: Verdict, detail: impl Into<String>) -> Check {
        Check { name, verdict, detail: detail.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Check {
        Check { hint: Some(hint.into()), ..self }
    }
}

impl OpenOptions {
    /// Checks what [`Homing::doctor`] checks, as far as it can be checked where the home does not exist. Creates none.
    ///
    /// # Errors
    /// As [`OpenOptions::open`] and [`Homing::doctor`].
    pub fn doctor(self) -> Result<Vec<Check>> {
        let (path, supervisor) = (self.home_path()?, self.supervisor_program().map(Path::to_owned));
        let users_config = self.users_config();
        let (config, refusal) = self.read_config()?;
        if let Some(homing) = self.open_existing()? {
            return homing.doctor();
        }
        let detail = format!("{} does not exist yet; the first launch makes it", path.display());
        let mut checks = vec![
            Check::new("home", Verdict::Ok, detail),
            check_config(users_config.as_deref(), refusal.as_ref()),
            check_supervisor(supervisor.as_deref()),
        ];
        checks.extend(check_features());
        checks.extend(check_proc());
        checks.extend(check_placement());
        checks.push(monitor_check(&config, None));
        Ok(checks)
    }
}

impl Homing {
    /// Looks at the home, the supervisor program, the ledger, the kernel's features, and whether ledger and job
    /// directories agree.
    ///
    /// # Errors
    /// When the home cannot be read at all. What is wrong otherwise is in the checks.
    pub fn doctor(&self) -> Result<Vec<Check>> {
        let mut checks = vec![
            Check::new("home", Verdict::Ok, self.home_path().display().to_string()),
            check_config(self.users_config().as_deref(), self.config_refusal()),
            check_supervisor(self.supervisor.as_deref()),
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
                    Some(hint) => check.hint(hint),
                    None => check,
                });
            }
        }
        Ok(checks)
    }

    /// Supervisors that run although their job directory was removed or renamed away.
    fn check_unlinked_supervisors(&self) -> Check {
        let found = find_unlinked_supervisors(&self.home.jobs);
        if found.is_empty() {
            return Check::new("supervisors", Verdict::Ok, "none runs without its job directory");
        }
        let named: Vec<String> = found
            .iter()
            .map(|supervisor| {
                let (job, pid) = (supervisor.job, supervisor.process.pid);
                format!("{job} (process {pid}, directory {})", supervisor.directory.display())
            })
            .collect();
        let detail = format!("{} without a job directory in this home: {}", found.len(), named.join(", "));
        Check::new("supervisors", Verdict::Problem, detail)
            .hint("put the directory back, or end the job with `homing recover`")
    }

    /// Moves what was planted in the home into its folder `set-aside`: directories, FIFOs, links and foreign files where
    /// homing has files of its own. Says what went where. Deletes nothing.
    ///
    /// # Errors
    /// When something cannot be moved.
    pub fn fix(&self) -> Result<Vec<Check>> {
        self.home.check_current()?;
        let moved = self.set_planted_aside(Depth::Jobs)?;
        Ok(moved
            .into_iter()
            .map(|(thing, place)| {
                let detail = format!("{} is in {} now", thing.path.display(), place.display());
                Check::new("set aside", Verdict::Note, detail)
            })
            .collect())
    }

    /// What lies in the home where it does not belong.
    fn check_planted(&self) -> Result<Check> {
        let planted = self.planted(Depth::Jobs)?;
        let Some(first) = planted.first() else {
            return Ok(Check::new("planted", Verdict::Ok, "nothing lies where homing has its files"));
        };
        let detail =
            format!("{} things that are none of homing's, such as {}", planted.len(), first.path.display());
        Ok(Check::new("planted", Verdict::Problem, detail)
            .hint("homing doctor --fix moves them into set-aside/ in the home"))
    }

    /// How much is kept for whom because nobody took it.
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
        let age = format_duration(self.config.retention.undelivered);
        let detail = format!(
            "{jobs} jobs, about {}, are kept until their sessions are told, at most {age} ({})",
            as_megabytes(total),
            named.join("; ")
        );
        Ok(Some(
            Check::new("undelivered", Verdict::Note, detail)
                .hint("homing follow-ups shows why; homing ack and homing drop settle them"),
        ))
    }

    /// Jobs that a newer program wrote.
    fn check_unsupported(&self) -> Result<Vec<Check>> {
        let rows = self.with_ledger(|ledger| ledger.unsupported(MAX_UNSUPPORTED))?;
        Ok(rows
            .into_iter()
            .map(|(id, reason)| {
                let detail = format!("{id} was written by a newer program, and is left alone: {reason}");
                Check::new("job", Verdict::Note, detail).hint("update this program")
            })
            .collect())
    }

    /// Looks at every job there is: the ledger is brought up to date first.
    fn check_jobs(&self) -> Result<Vec<Check>> {
        let report = self.full_scan()?;
        let damage = self.with_ledger(|ledger| ledger.damage())?;
        let in_ledger: HashSet<JobId> = self.with_ledger(|ledger| ledger.all_ids())?.into_iter().collect();
        let mut checks = Vec::new();
        checks.push(match damage {
            None => Check::new("ledger", Verdict::Ok, format!("{} jobs", in_ledger.len())),
            Some(damage) => Check::new("ledger", Verdict::Problem, damage)
                .hint("move ledger.db away: it is rebuilt from the job directories"),
        });
        checks.extend(self.check_recovery(report.unreachable.len())?);
        let running = self.with_ledger(|ledger| ledger.unfinished())?;
        let mut held = 0;
        for (id, _) in &running {
            held += usize::from(self.is_looked_after(*id)?);
        }
        checks.push(Check::new("running", Verdict::Ok, format!("{} jobs, {held} locks held", running.len())));
        checks.push(self.check_strays(&in_ledger)?);
        checks.extend(self.check_undelivered()?);
        checks.extend(self.check_unsupported()?);
        for (id, error) in report.unreadable {
            checks.push(
                Check::new("job", Verdict::Problem, format!("{id}: {error}"))
                    .hint(format!("look at {}", self.home.jobs.path().join(id.as_str()).display())),
            );
        }
        Ok(checks)
    }

    /// Jobs whose supervisor died and that nobody has recovered, and jobs that run where this process cannot see them.
    fn check_recovery(&self, unreachable: usize) -> Result<Vec<Check>> {
        let abandoned = self.with_ledger(|ledger| ledger.needing_recovery())?.len();
        let mut checks = Vec::new();
        if abandoned > 0 {
            checks.push(
                Check::new(
                    "recovery",
                    Verdict::Note,
                    format!("{abandoned} jobs have lost their supervisor, and their processes may still run"),
                )
                .hint("homing recover ends them and records how the jobs ended; a running monitor does too"),
            );
        }
        if unreachable > 0 {
            checks.push(
                Check::new(
                    "hosts",
                    Verdict::Note,
                    format!(
                        "{unreachable} jobs run on another host or in another container, if they still run"
                    ),
                )
                .hint("homing recover there, or homing recover --assume-gone if that host is gone"),
            );
        }
        Ok(checks)
    }

    /// Directories without a job, and jobs without a directory.
    fn check_strays(&self, in_ledger: &HashSet<JobId>) -> Result<Check> {
        let mut directories = HashSet::new();
        let mut strange = Vec::new();
        for name in self.home.jobs.names()? {
            match name.parse::<JobId>() {
                Ok(id) if self.home.jobs.open_job(id).is_ok_and(|directory| directory.contains(SPEC)) => {
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
            "{} jobs have no directory any more, {unknown} directories are in no ledger, {} are no job: {}",
            gone,
            strange.len(),
            strange.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(" ")
        );
        Ok(Check::new("directories", Verdict::Note, detail)
            .hint("a launch that was cut off leaves a directory without a job; it does no harm"))
    }
}

fn check_supervisor(named: Option<&Path>) -> Check {
    match supervisor_program(named) {
        Ok(program) => Check::new("supervisor", Verdict::Ok, program.display().to_string()),
        Err(error) => Check::new("supervisor", Verdict::Problem, error.to_string())
            .hint(error.hint().unwrap_or_default()),
    }
}

/// Whether the user's configuration is in force.
fn check_config(path: Option<&Path>, refusal: Option<&ConfigRefusal>) -> Check {
    match (path, refusal) {
        (_, Some(refusal)) => {
            let detail = format!("{refusal}; defaults are used, and nobody is woken");
            Check::new("config", Verdict::Problem, detail).hint(refusal.hint.clone())
        }
        (Some(path), None) if path.exists() => Check::new("config", Verdict::Ok, path.display().to_string()),
        (Some(path), None) => {
            Check::new("config", Verdict::Ok, format!("defaults; {} does not exist", path.display()))
        }
        (None, None) => Check::new("config", Verdict::Ok, "the configuration of this program, or defaults"),
    }
}

/// What the kernel can do.
fn check_features() -> impl Iterator<Item = Check> {
    features::look().into_iter().map(|feature| {
        let verdict = match (feature.available, feature.required) {
            (true, _) => Verdict::Ok,
            (false, false) => Verdict::Note,
            (false, true) => Verdict::Problem,
        };
        Check::new(feature.name, verdict, feature.detail)
    })
}

/// Where jobs that are launched from here run.
fn check_placement() -> Vec<Check> {
    [check_cgroup()].into_iter().chain(scope::outlook().map(check_service)).collect()
}

/// Whether jobs that are launched from here outlive the unit of systemd that this process runs in.
fn check_service(scope::Outlook { unit, manager }: scope::Outlook) -> Check {
    match (manager, unit.ends_with(".service")) {
        (Ok(()), _) => {
            Check::new("service", Verdict::Ok, format!("{unit}: jobs outlive it, in scopes of their own"))
        }
        (Err(reason), true) => {
            let warning = ServiceWarning { service: unit };
            Check::new("service", Verdict::Note, format!("{warning} ({reason})")).hint(warning.hint())
        }
        (Err(_), false) => Check::new(
            "service",
            Verdict::Note,
            format!("{unit}: jobs outlive it unless KillUserProcesses=yes (logind.conf)"),
        )
        .hint(
            "loginctl enable-linger lets them outlive it in any case, each with a control group of its own",
        ),
    }
}

fn check_cgroup() -> Check {
    match cgroup::delegated_directory(&cgroup::OwnGroups::read()) {
        Some(path) => {
            Check::new("cgroup", Verdict::Ok, format!("jobs get groups of their own in {}", path.display()))
        }
        None => Check::new("cgroup", Verdict::Note, "none delegated: trees are ended by the subreaper sweep"),
    }
}

/// Whether a monitor is active, by its process id where that is known, or will be when it is needed.
pub(crate) fn monitor_check(config: &Config, active: Option<u32>) -> Check {
    let has_sinks = !config.sink_names().is_empty();
    match active {
        Some(0) => Check::new("monitor", Verdict::Ok, "active"),
        Some(pid) => Check::new("monitor", Verdict::Ok, format!("active, pid {pid}")),
        None if has_sinks && config.monitor.autostart => {
            Check::new("monitor", Verdict::Ok, "not active; the next launch starts it")
        }
        None if has_sinks => Check::new("monitor", Verdict::Note, "not active: nobody is woken")
            .hint("run homing monitor, or homing monitor install"),
        None => {
            Check::new("monitor", Verdict::Note, "not active, and no sink is configured: nobody is woken")
                .hint(
                    "agents = [\"claude-code\"] in config.toml wakes Claude Code; see homing monitor --help",
                )
        }
    }
}

/// In a container with the `/proc` of another pid namespace, its numbers mean other processes.
fn check_proc() -> Option<Check> {
    let is_foreign = own_pid_namespace().is_none();
    is_foreign.then(|| {
        let detail =
            "/proc shows another pid namespace: processes of jobs are neither searched nor signalled here";
        Check::new("proc", Verdict::Problem, detail)
            .hint("mount proc in this container: mount -t proc proc /proc")
    })
}

/// Bytes as people read them.
fn as_megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
