//! How often something may happen: refusals that are written down, logins that fail.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Refusals of one principal that are written at once, and how many a second afterwards.
const REFUSALS: Rate = Rate { burst: 60.0, per_second: 1.0 };

/// The same of all together.
const REFUSALS_OF_ALL: Rate = Rate { burst: 600.0, per_second: 10.0 };

/// Failed logins under one name from one address.
const FAILURES: Rate = Rate { burst: 10.0, per_second: 0.1 };

/// Failed logins from one address, whatever the names.
const FAILURES_OF_ADDRESS: Rate = Rate { burst: 50.0, per_second: 1.0 };

/// Names that are told apart; with more, the one longest unseen is forgotten.
const NAMES_MAX: usize = 4_096;

#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: f64,
    per_second: f64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    rate: Rate,
    tokens: f64,
    seen_ms: i64,
}

impl Bucket {
    fn full(rate: Rate, now_ms: i64) -> Self {
        Self { rate, tokens: rate.burst, seen_ms: now_ms }
    }

    fn refill(&mut self, now_ms: i64) {
        // A clock that jumps back adds nothing. An hour's worth is more than any bucket holds.
        let elapsed = i32::try_from(now_ms.saturating_sub(self.seen_ms).clamp(0, 3_600_000)).unwrap_or(0);
        self.tokens = (self.tokens + f64::from(elapsed) / 1_000.0 * self.rate.per_second).min(self.rate.burst);
        self.seen_ms = now_ms;
    }
}

#[derive(Debug, Default)]
struct Buckets(BTreeMap<String, Bucket>);

impl Buckets {
    /// The name's bucket as it is now; a full one if the name is new.
    fn of(&mut self, name: &str, rate: Rate, now_ms: i64) -> &mut Bucket {
        if NAMES_MAX <= self.0.len() && !self.0.contains_key(name) {
            let oldest = self.0.iter().min_by_key(|(_, bucket)| bucket.seen_ms).map(|(name, _)| name.clone());
            oldest.and_then(|it| self.0.remove(&it));
        }
        let bucket = self.0.entry(name.to_owned()).or_insert_with(|| Bucket::full(rate, now_ms));
        bucket.refill(now_ms);
        bucket
    }
}

/// How often refusals are written down, so that nobody fills the disk by being refused.
#[derive(Debug)]
pub(in crate::gate) struct Limiter(Mutex<State>);

#[derive(Debug)]
struct State {
    all: Bucket,
    principals: Buckets,
    suppressed: u64,
}

impl Limiter {
    pub(in crate::gate) fn new() -> Self {
        let all = Bucket::full(REFUSALS_OF_ALL, 0);
        Self(Mutex::new(State { all, principals: Buckets::default(), suppressed: 0 }))
    }

    /// Whether this refusal is to be written down; then with the number of those that were not since the last.
    pub(in crate::gate) fn admit(&self, principal: &str, now_ms: i64) -> Option<u64> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { all, principals, suppressed } = &mut *state;
        all.refill(now_ms);
        let own = principals.of(principal, REFUSALS, now_ms);
        if own.tokens < 1.0 || all.tokens < 1.0 {
            *suppressed = suppressed.saturating_add(1);
            return None;
        }
        own.tokens -= 1.0;
        all.tokens -= 1.0;
        Some(std::mem::take(suppressed))
    }
}

/// Slows down who guesses passwords: some failures at once, then few. A try counts as a failure until it has succeeded,
/// so that many at once are not each let through before the first has failed.
#[derive(Debug)]
pub struct FailureLimiter {
    rate: Rate,
    buckets: Mutex<Buckets>,
}

impl FailureLimiter {
    /// For tries under one name from one address: others from elsewhere are not locked out of the name.
    pub fn of_names() -> Self {
        Self { rate: FAILURES, buckets: Mutex::default() }
    }

    /// For tries under any names from one address: many may share it.
    pub fn of_addresses() -> Self {
        Self { rate: FAILURES_OF_ADDRESS, buckets: Mutex::default() }
    }

    /// Whether a source may try.
    pub fn begin(&self, source: &str, now_ms: i64) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.of(source, self.rate, now_ms);
        let may = 1.0 <= bucket.tokens;
        bucket.tokens -= if may { 1.0 } else { 0.0 };
        may
    }

    /// A try that began was no failure.
    pub fn succeeded(&self, source: &str, now_ms: i64) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = buckets.of(source, self.rate, now_ms);
        bucket.tokens = (bucket.tokens + 1.0).min(self.rate.burst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_not_written() {
        let limiter = Limiter::new();
        let written = (0..1_000).filter(|_| limiter.admit("mallory", 0).is_some()).count();
        assert_eq!(written, 60);
        assert_eq!(limiter.admit("mallory", 1_000), Some(940));
        assert_eq!(limiter.admit("mallory", 1_000), None);
    }

    #[test]
    fn many_names_share_one_bound() {
        let limiter = Limiter::new();
        let written = (0..10_000).filter(|it| limiter.admit(&it.to_string(), 0).is_some()).count();
        assert_eq!(written, 600);
        assert!(limiter.0.lock().unwrap().principals.0.len() <= NAMES_MAX);
    }

    #[test]
    fn one_flooder_leaves_room_for_others() {
        let limiter = Limiter::new();
        for _ in 0..1_000 {
            let _ = limiter.admit("mallory", 0);
        }
        assert!(limiter.admit("tom", 0).is_some());
    }

    #[test]
    fn who_fails_often_waits_and_only_that_source() {
        let limiter = FailureLimiter::of_names();
        for _ in 0..100 {
            assert!(limiter.begin("192.0.2.1 tom", 0), "success costs nothing");
            limiter.succeeded("192.0.2.1 tom", 0);
        }
        assert_eq!((0..50).filter(|_| limiter.begin("192.0.2.1 tom", 0)).count(), 10);
        assert!(limiter.begin("192.0.2.2 tom", 0), "tom himself can still log in");
        assert!(limiter.begin("192.0.2.1 tom", 10_000), "one more after ten seconds");
        assert!(!limiter.begin("192.0.2.1 tom", 5_000), "a clock that jumps back gives nothing");
        assert!(!limiter.begin("192.0.2.1 tom", i64::MIN));
    }
}
