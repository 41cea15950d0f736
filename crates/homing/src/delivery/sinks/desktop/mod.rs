//! The desktop sink: shows a desktop notification. Builds without the feature `desktop` do not include it.

#[cfg(feature = "desktop")]
mod notice;
#[cfg(test)]
#[cfg(feature = "desktop")]
mod tests;

use std::time::Duration;

use homing_core::{Delivery, Wake};

use super::Sink;

/// The error of builds without the feature.
#[cfg(not(feature = "desktop"))]
const NOT_BUILT: &str = "this build of homing has no desktop notices";

/// Shows each wake as a notice.
pub(super) struct DesktopSink {
    #[cfg(feature = "desktop")]
    notifier: notice::Notifier,
}

impl DesktopSink {
    /// `timeout` bounds one attempt.
    #[cfg_attr(not(feature = "desktop"), allow(unused_variables))]
    pub(super) fn new(timeout: Duration) -> DesktopSink {
        DesktopSink {
            #[cfg(feature = "desktop")]
            notifier: notice::Notifier::new(timeout),
        }
    }
}

impl Sink for DesktopSink {
    #[cfg(feature = "desktop")]
    fn deliver(&self, wake: &Wake) -> Delivery {
        match self.notifier.show(&notice::Notice::of(wake)) {
            Ok(()) => Delivery::Delivered,
            Err(error) => Delivery::Failed { error },
        }
    }

    #[cfg(feature = "desktop")]
    fn alert(&self, wake: &Wake) -> Delivery {
        match self.notifier.show(&notice::Notice::of_alert(wake)) {
            Ok(()) => Delivery::Delivered,
            Err(error) => Delivery::Failed { error },
        }
    }

    #[cfg(not(feature = "desktop"))]
    fn deliver(&self, _wake: &Wake) -> Delivery {
        Delivery::Failed { error: NOT_BUILT.to_owned() }
    }
}
