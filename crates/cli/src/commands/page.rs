//! Reports entries that a list omits.

use homing::Listing;

use crate::render::note;

/// Reports on standard error which jobs the listing omits.
pub(super) fn note_omitted(listing: &Listing) {
    if listing.has_more {
        note(&format!("showing the newest {}; use -n 0 to show all", listing.jobs.len()));
    }
    for job in &listing.unsupported {
        note(&format!("job {} is not listed, because a newer version wrote it: {}", job.id, job.reason));
    }
}
