//! What time it is, as a parameter: the system's clock, or a test's.

use std::{
    fmt,
    str::FromStr,
    sync::atomic::{AtomicI64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

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

/// The cluster's zone as a fixed offset from UTC: what `time.*` conditions are read in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Zone {
    offset_seconds: i32,
}

/// Not a zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no zone: write `UTC` or an offset such as `+02:00`")]
pub struct ZoneError(String);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self { offset_seconds: 0 };

    /// The instant at which a decision is made.
    pub fn now(self, clock: &dyn Clock) -> Now {
        Now { unix_seconds: clock.unix_seconds(), offset_seconds: self.offset_seconds }
    }
}

impl FromStr for Zone {
    type Err = ZoneError;

    /// Reads `UTC`, `Z`, `+HH:MM` or `-HH:MM`, up to 14 hours either way.
    fn from_str(text: &str) -> Result<Self, ZoneError> {
        if matches!(text, "UTC" | "Z") {
            return Ok(Self::UTC);
        }
        offset(text).map(|offset_seconds| Self { offset_seconds }).ok_or_else(|| ZoneError(text.to_owned()))
    }
}

fn offset(text: &str) -> Option<i32> {
    let (sign, digits) =
        text.strip_prefix('+').map(|rest| (1, rest)).or_else(|| text.strip_prefix('-').map(|rest| (-1, rest)))?;
    let (hours, minutes) = digits.split_once(':')?;
    let two = |part: &str, max: i32| {
        let plain = part.len() == 2 && part.bytes().all(|it| it.is_ascii_digit());
        part.parse::<i32>().ok().filter(|it| plain && *it <= max)
    };
    let seconds = two(hours, 14)?.checked_mul(3_600)?.checked_add(two(minutes, 59)?.checked_mul(60)?)?;
    (seconds <= 14 * 3_600).then(|| sign * seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_utc_or_an_offset() {
        assert_eq!("UTC".parse(), Ok(Zone::UTC));
        assert_eq!("+02:00".parse(), Ok(Zone { offset_seconds: 7_200 }));
        assert_eq!("-03:30".parse(), Ok(Zone { offset_seconds: -12_600 }));
        for bad in ["", "utc", "2", "+2:00", "+02:60", "+14:01", "+99:00", "Europe/Berlin", "+-2:00", "+02:00 "] {
            assert!(bad.parse::<Zone>().is_err(), "{bad}");
        }
    }

    #[test]
    fn seconds_before_the_epoch_round_down() {
        let clock = FixedClock::at(0);
        clock.0.store(-1, Ordering::SeqCst);
        assert_eq!(clock.unix_seconds(), -1);
    }
}
