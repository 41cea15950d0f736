//! Checks the files of the home: foreign ones, and directories that no job or no supervisor has.

use std::collections::HashSet;

use homing_core::JobId;
use homing_supervisor::find_unlinked_supervisors;
use homing_supervisor::layout::SPEC;

use crate::Result;
use crate::check::{Check, Verdict};
use crate::context::Context;
use crate::store::set_aside::Depth;

impl Context {
    /// Moves foreign files, directories, FIFOs and links from the places where homing keeps its own files into the
    /// directory `set-aside` of the home. Returns one check for each. Deletes nothing.
    pub(crate) fn fix(&self) -> Result<Vec<Check>> {
        self.store.home.check_current()?;
        let moved = self.store.set_planted_aside(Depth::Jobs)?;
        Ok(moved
            .into_iter()
            .map(|(entry, moved_to)| {
                let detail = format!("moved {} to {}", entry.path.display(), moved_to.display());
                Check::new("set aside", Verdict::Note, detail)
            })
            .collect())
    }

    /// Finds foreign files in the home.
    pub(super) fn check_planted(&self) -> Result<Check> {
        let planted = self.store.planted(Depth::Jobs)?;
        let Some(first) = planted.first() else {
            return Ok(Check::new("planted", Verdict::Ok, "no foreign files in the home"));
        };
        let detail =
            format!("{} foreign files or directories, such as {}", planted.len(), first.path.display());
        Ok(Check::new("planted", Verdict::Problem, detail)
            .hint("run `homing doctor --fix` to move them into set-aside/ in the home"))
    }

    /// Finds running supervisors whose job directory was removed or renamed.
    pub(super) fn check_unlinked_supervisors(&self) -> Check {
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

    /// Finds directories without a job, and jobs without a directory.
    pub(super) fn check_strays(&self, in_ledger: &HashSet<JobId>) -> Result<Check> {
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
