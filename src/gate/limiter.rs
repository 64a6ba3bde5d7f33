//! How often refusals are written down, so that nobody fills the disk by being refused.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// Refusals of one principal that are written at once, and afterwards one a second.
const BURST: f64 = 60.0;

/// Refusals of all together at once, and afterwards ten a second.
const BURST_OF_ALL: f64 = 600.0;
const REFILL_OF_ALL_PER_SECOND: f64 = 10.0;

/// Principals that are told apart; with more, those longest unseen share the bucket of all.
const PRINCIPALS_MAX: usize = 4_096;

/// Token buckets by principal, and one for all.
#[derive(Debug)]
pub(in crate::gate) struct Limiter {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    all: Bucket,
    principals: BTreeMap<String, Bucket>,
    suppressed: u64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    seen_ms: i64,
}

impl Bucket {
    fn refill(&mut self, now_ms: i64, per_second: f64, burst: f64) {
        // A clock that jumps back adds nothing. An hour's worth is more than any bucket holds.
        let elapsed = i32::try_from(now_ms.saturating_sub(self.seen_ms).clamp(0, 3_600_000)).unwrap_or(0);
        self.tokens = (self.tokens + f64::from(elapsed) / 1_000.0 * per_second).min(burst);
        self.seen_ms = now_ms;
    }
}

impl Limiter {
    pub(in crate::gate) fn new() -> Self {
        let all = Bucket { tokens: BURST_OF_ALL, seen_ms: 0 };
        Self { state: Mutex::new(State { all, principals: BTreeMap::new(), suppressed: 0 }) }
    }

    /// Whether this refusal is to be written down; then with the number of those that were not since the last.
    pub(in crate::gate) fn admit(&self, principal: &str, now_ms: i64) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.all.refill(now_ms, REFILL_OF_ALL_PER_SECOND, BURST_OF_ALL);
        if PRINCIPALS_MAX <= state.principals.len() && !state.principals.contains_key(principal) {
            forget_the_longest_unseen(&mut state.principals);
        }
        let full = Bucket { tokens: BURST, seen_ms: now_ms };
        let own = state.principals.entry(principal.to_owned()).or_insert(full);
        own.refill(now_ms, 1.0, BURST);
        if own.tokens < 1.0 || state.all.tokens < 1.0 {
            state.suppressed = state.suppressed.saturating_add(1);
            return None;
        }
        if let Some(own) = state.principals.get_mut(principal) {
            own.tokens -= 1.0;
        }
        state.all.tokens -= 1.0;
        Some(std::mem::take(&mut state.suppressed))
    }
}

fn forget_the_longest_unseen(principals: &mut BTreeMap<String, Bucket>) {
    let oldest = principals.iter().min_by_key(|(_, bucket)| bucket.seen_ms).map(|(name, _)| name.clone());
    if let Some(name) = oldest {
        principals.remove(&name);
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
        assert!(limiter.state.lock().unwrap().principals.len() <= PRINCIPALS_MAX);
    }

    #[test]
    fn one_flooder_leaves_room_for_others() {
        let limiter = Limiter::new();
        for _ in 0..1_000 {
            let _ = limiter.admit("mallory", 0);
        }
        assert!(limiter.admit("tom", 0).is_some());
    }
}
