//! How the active monitor applies retention: a batch at a time, between what is more urgent.

use super::active::Active;
use crate::store::set_aside::Depth;
use crate::{PruneReport, Result};

impl Active<'_> {
    /// Moves planted things out of the way, and begins retention where it is due.
    pub(super) fn begin_pruning_if_due(&mut self) -> Result<()> {
        match self.homing.set_planted_aside(Depth::Names) {
            Ok(moved) => {
                for (thing, place) in moved {
                    let (path, place) = (thing.path.display(), place.display());
                    self.warn(&format!("{path} does not belong to homing; moved to {place}"));
                }
            }
            // It is in nobody's way where it is: readers pass it over.
            Err(error) => self.warn(&error.to_string()),
        }
        if self.pruning.is_none() {
            self.pruning = self.homing.pruning_due()?;
        }
        Ok(())
    }

    /// Does the next batch of what was begun. What cannot be removed now is met again tomorrow.
    pub(super) fn prune_some(&mut self) -> Result<()> {
        let Some(mut pass) = self.pruning.take() else { return Ok(()) };
        let mut report = PruneReport::default();
        if !self.homing.prune_batch(&mut pass, &mut report)? {
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
