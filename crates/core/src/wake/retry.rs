//! Retry delays of wakes, and the budget of wakes per session.

use std::time::Duration;

use crate::Timestamp;

/// The wakes of a session are counted over this time.
pub const BUDGET_WINDOW: Duration = Duration::from_secs(3_600);

/// Maximum delay that a sink may ask for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// Maximum delay after busy answers, as a multiple of the first delay.
const BUSY_GROWTH: u32 = 32;

/// The delays between attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The delay after the first failed attempt, after the second, and so on. After the last delay there is one more
    /// attempt.
    pub delays: Vec<Duration>,
    /// The first delay after a busy answer without a delay of its own. It doubles, up to 32 times its length.
    pub busy: Duration,
}

impl Default for RetryPolicy {
    /// Twelve attempts over about a day.
    fn default() -> RetryPolicy {
        let delays = [5, 15, 60, 180, 600, 1_800, 3_600, 7_200, 14_400, 21_600, 36_000];
        RetryPolicy {
            delays: delays.into_iter().map(Duration::from_secs).collect(),
            busy: Duration::from_secs(2),
        }
    }
}

impl RetryPolicy {
    /// Returns the delay after this many failed attempts; `None` after the last. `jitter` is between 0 and 1 and
    /// changes the delay by up to a fifth, so that wakes that failed together are not retried together.
    pub fn delay_after(&self, failed_attempts: u32, jitter: f64) -> Option<Duration> {
        let index = usize::try_from(failed_attempts.saturating_sub(1)).ok()?;
        self.delays.get(index).map(|delay| spread(*delay, jitter))
    }

    /// Returns the delay after this many consecutive busy answers.
    pub fn busy_delay(&self, answers: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
        match retry_after {
            Some(requested) => requested.min(LONGEST_RETRY_AFTER),
            None => {
                let doublings = answers.saturating_sub(1).min(BUSY_GROWTH.ilog2());
                spread(self.busy * 2u32.pow(doublings), jitter)
            }
        }
    }
}

fn spread(delay: Duration, jitter: f64) -> Duration {
    delay.mul_f64(0.8 + 0.4 * jitter.clamp(0.0, 1.0))
}

/// Returns when the session may get its next wake, given the times of its last wakes; `None` for now. Times after
/// `now` were written before the clock was set back and do not count.
pub fn budget_frees_at(made_at: &[Timestamp], per_hour: u32, now: Timestamp) -> Option<Timestamp> {
    let mut recent: Vec<Timestamp> = made_at
        .iter()
        .copied()
        .filter(|made| *made <= now && now.saturating_since(*made) < BUDGET_WINDOW)
        .collect();
    recent.sort_unstable_by(|a, b| b.cmp(a));
    let allowed = usize::try_from(per_hour).unwrap_or(usize::MAX);
    match allowed.checked_sub(1) {
        // The oldest of the last `allowed` wakes must leave the window first.
        Some(index) => recent.get(index).map(|oldest| oldest.saturating_add(BUDGET_WINDOW)),
        None => Some(now.saturating_add(BUDGET_WINDOW)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn twelve_attempts_take_about_a_day() {
        let policy = RetryPolicy::default();
        let total: Duration = (1..).map_while(|failed| policy.delay_after(failed, 0.5)).sum();
        assert_eq!(policy.delays.len() + 1, 12);
        assert!((20..28).contains(&(total.as_secs() / 3_600)), "{total:?}");
    }

    #[test]
    fn busy_delays_double_up_to_a_limit() {
        let policy = RetryPolicy::default();
        let seconds = |answers| policy.busy_delay(answers, None, 0.5).as_secs();
        assert_eq!([1, 2, 3, 6, 7, 1_000].map(seconds), [2, 4, 8, 64, 64, 64]);
        let asked = |seconds| policy.busy_delay(1, Some(Duration::from_secs(seconds)), 0.5).as_secs();
        assert_eq!([0, 7, 1_000_000].map(asked), [0, 7, 86_400]);
    }

    #[test]
    fn wakes_from_before_the_clock_was_set_back_do_not_count() {
        let now = Timestamp::from_unix_millis(10_000_000);
        let ahead = now.saturating_add(Duration::from_secs(80_000));
        assert_eq!(budget_frees_at(&[ahead, ahead], 1, now), None);
    }

    proptest! {
        #[test]
        fn budget_is_never_exceeded_in_any_hour(
            per_hour in 1u32..6, gaps in prop::collection::vec(0u64..3_000, 1..60)
        ) {
            let mut made: Vec<Timestamp> = Vec::new();
            let mut now = Timestamp::from_unix_millis(0);
            for gap in gaps {
                now = now.saturating_add(Duration::from_secs(gap));
                if let Some(free) = budget_frees_at(&made, per_hour, now) {
                    prop_assert!(free > now);
                    now = free;
                }
                prop_assert_eq!(budget_frees_at(&made, per_hour, now), None);
                made.push(now);
                let within = made.iter().filter(|at| now.saturating_since(**at) < BUDGET_WINDOW).count();
                prop_assert!(within <= per_hour as usize, "{} in an hour", within);
            }
        }

        #[test]
        fn jitter_changes_a_delay_by_at_most_a_fifth(failed in 1u32..20, jitter in 0.0f64..1.0) {
            let policy = RetryPolicy::default();
            let (delay, middle) = (policy.delay_after(failed, jitter), policy.delay_after(failed, 0.5));
            prop_assert_eq!(delay.is_some(), failed < 12);
            if let (Some(delay), Some(middle)) = (delay, middle) {
                prop_assert!(delay >= middle.mul_f64(0.799) && delay <= middle.mul_f64(1.201));
            }
        }
    }
}
