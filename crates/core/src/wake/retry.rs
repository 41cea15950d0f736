//! When a wake is tried again, and how many a session may get.

use std::time::Duration;

use crate::Timestamp;

/// A session's wakes are counted over this time.
pub const BUDGET_WINDOW: Duration = Duration::from_secs(3_600);

/// Longest time that a sink may ask to be left alone for.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// How many times the first delay a busy session is left alone for at most.
const BUSY_GROWTH: u32 = 32;

/// When to try again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The delay after the first failed attempt, after the second, and so on. One attempt more is made than there are
    /// delays.
    pub delays: Vec<Duration>,
    /// The first delay after a busy answer that names none; it doubles up to 32 times itself.
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
    /// The delay after that many failed attempts; `None` when it was the last. `jitter` lies between 0 and 1 and moves
    /// the delay by up to a fifth, so that wakes which failed together do not come back together.
    pub fn delay_after(&self, failed_attempts: u32, jitter: f64) -> Option<Duration> {
        let index = usize::try_from(failed_attempts.saturating_sub(1)).ok()?;
        self.delays.get(index).map(|delay| spread(*delay, jitter))
    }

    /// The delay after that many busy answers in a row.
    pub fn busy_delay(&self, answers: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
        match retry_after {
            Some(asked) => asked.min(LONGEST_RETRY_AFTER),
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

/// When the session may get its next wake, given when its last ones were made; `None` for at once. What lies ahead of
/// `now` was written before the clock was set back, and does not count.
pub fn budget_frees_at(made_at: &[Timestamp], per_hour: u32, now: Timestamp) -> Option<Timestamp> {
    let mut recent: Vec<Timestamp> = made_at
        .iter()
        .copied()
        .filter(|made| *made <= now && now.saturating_since(*made) < BUDGET_WINDOW)
        .collect();
    recent.sort_unstable_by(|a, b| b.cmp(a));
    let allowed = usize::try_from(per_hour).unwrap_or(usize::MAX);
    match allowed.checked_sub(1) {
        // The oldest of the last so many has to leave the window first.
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
    fn a_busy_session_is_asked_ever_more_rarely_up_to_a_limit() {
        let policy = RetryPolicy::default();
        let seconds = |answers| policy.busy_delay(answers, None, 0.5).as_secs();
        assert_eq!([1, 2, 3, 6, 7, 1_000].map(seconds), [2, 4, 8, 64, 64, 64]);
        let asked = |seconds| policy.busy_delay(1, Some(Duration::from_secs(seconds)), 0.5).as_secs();
        assert_eq!([0, 7, 1_000_000].map(asked), [0, 7, 86_400]);
    }

    #[test]
    fn what_was_made_before_the_clock_was_set_back_does_not_hold_wakes() {
        let now = Timestamp::from_unix_millis(10_000_000);
        let ahead = now.saturating_add(Duration::from_secs(80_000));
        assert_eq!(budget_frees_at(&[ahead, ahead], 1, now), None);
    }

    proptest! {
        #[test]
        fn never_more_than_the_budget_in_any_hour(
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
        fn jitter_moves_a_delay_by_a_fifth_at_most(failed in 1u32..20, jitter in 0.0f64..1.0) {
            let policy = RetryPolicy::default();
            let (delay, middle) = (policy.delay_after(failed, jitter), policy.delay_after(failed, 0.5));
            prop_assert_eq!(delay.is_some(), failed < 12);
            if let (Some(delay), Some(middle)) = (delay, middle) {
                prop_assert!(delay >= middle.mul_f64(0.799) && delay <= middle.mul_f64(1.201));
            }
        }
    }
}
