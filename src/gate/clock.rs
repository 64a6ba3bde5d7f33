//! What time it is, as a parameter: the system's clock, or a test's.

use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use jiff::{Timestamp, tz::TimeZone};

use crate::eval::Now;

/// Tells the time. A parameter of everything that judges validity, so that a test can be at the boundary.
pub trait Clock: Send + Sync + fmt::Debug + 'static {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn unix_ms(&self) -> i64;

    /// Whole seconds since 1970-01-01T00:00:00Z.
    fn unix_seconds(&self) -> i64 {
        self.unix_ms().div_euclid(1_000)
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_ms(&self) -> i64 {
        // A clock before 1970 or past the year 292 million is broken; the far future expires everything.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_millis()).ok())
            .unwrap_or(i64::MAX)
    }
}

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl FixedClock {
    /// Stands at this Unix second.
    pub fn at(unix_seconds: i64) -> Self {
        Self(AtomicI64::new(unix_seconds.saturating_mul(1_000)))
    }

    /// Moves it, back too.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds.saturating_mul(1_000), Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn unix_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// The instant at which a decision is made, in the cluster's zone.
pub(in crate::gate) fn now(clock: &dyn Clock, zone: &TimeZone) -> Now {
    let unix_seconds = clock.unix_seconds();
    // Outside the years that a zone is defined for there is no offset to speak of.
    let offset_seconds = Timestamp::from_second(unix_seconds).map_or(0, |it| zone.to_offset(it).seconds());
    Now { unix_seconds, offset_seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_that_of_the_instant() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(now(&FixedClock::at(1_768_478_400), &zone).offset_seconds, 3_600);
        assert_eq!(now(&FixedClock::at(1_784_116_800), &zone).offset_seconds, 7_200);
    }

    #[test]
    fn seconds_before_the_epoch_round_down() {
        let clock = FixedClock::at(0);
        clock.0.store(-1, Ordering::SeqCst);
        assert_eq!(clock.unix_seconds(), -1);
    }
}
