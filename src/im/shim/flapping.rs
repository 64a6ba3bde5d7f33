//! How often a process may fail before it is given up.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Within this time ...
const WINDOW: Duration = Duration::from_mins(5);

/// ... this many failures are too many.
const FAILURES_MAX: usize = 3;

/// The failures of late.
#[derive(Debug, Default)]
pub struct Failures {
    times: VecDeque<Instant>,
}

impl Failures {
    /// Counts one; answers how long to wait before the next try, or `None` if there shall be none.
    pub fn add(&mut self, now: Instant) -> Option<Duration> {
        self.times.retain(|it| now.saturating_duration_since(*it) < WINDOW);
        self.times.push_back(now);
        if FAILURES_MAX <= self.times.len() {
            return None;
        }
        let tries = u32::try_from(self.times.len()).unwrap_or(u32::MAX);
        Some(Duration::from_millis(250).saturating_mul(tries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn third_failure_within_five_minutes_is_the_last() {
        let start = Instant::now();
        let mut failures = Failures::default();
        assert!(failures.add(start).is_some());
        assert!(failures.add(start + Duration::from_secs(100)).is_some());
        assert!(failures.add(start + Duration::from_secs(299)).is_none());
    }

    #[test]
    fn old_failures_are_forgotten() {
        let start = Instant::now();
        let mut failures = Failures::default();
        for number in 0..10 {
            assert!(failures.add(start + Duration::from_secs(number * 151)).is_some());
        }
    }
}
