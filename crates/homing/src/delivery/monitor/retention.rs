//! Applies retention in the active monitor: in batches, between more urgent work.

use super::active::Active;
use crate::store::set_aside::Depth;
use crate::{PruneReport, Result};

impl Active<'_> {
    /// Moves foreign files out of the home, and begins retention if it is due.
    pub(super) fn begin_pruning_if_due(&mut self) -> Result<()> {
        match self.context.store.set_planted_aside(Depth::Names) {
            Ok(moved) => {
                for (entry, moved_to) in moved {
                    let (path, moved_to) = (entry.path.display(), moved_to.display());
                    self.warn(&format!("{path} does not belong to homing; moved to {moved_to}"));
                }
            }
            // It can stay there: readers skip it.
            Err(error) => self.warn(&error.to_string()),
        }
        if self.pruning.is_none() {
            self.pruning = self.context.pruning_due()?;
        }
        Ok(())
    }

    /// Prunes the next batch. A job that cannot be removed now is tried again in the next pass.
    pub(super) fn prune_some(&mut self) -> Result<()> {
        let Some(mut pass) = self.pruning.take() else { return Ok(()) };
        let mut report = PruneReport::default();
        if !self.context.prune_batch(&mut pass, &mut report)? {
            self.pruning = Some(pass);
        }
        for (job, reason) in report.failed {
            self.warn(&format!("cannot remove job {job}: {reason}"));
        }
        if report.expired > 0 {
            self.warn(&format!(
                "{} follow-ups expired: undelivered for longer than retention.undelivered",
                report.expired
            ));
        }
        Ok(())
    }
}
