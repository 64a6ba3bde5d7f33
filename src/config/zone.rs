//! The cluster's time zone.

use std::{fs, path::Path};

use jiff::tz::{Offset, TimeZone};

use crate::config::{Auth, ConfigError};

const DATABASE: &str = "/usr/share/zoneinfo";
/// Bytes of a zone's file; the largest real one has 4 KiB.
const ZONE_BYTES_MAX: u64 = 64 * 1024;

impl Auth {
    /// The time zone that `zone` names.
    pub fn time_zone(&self) -> Result<TimeZone, ConfigError> {
        let zone = self.zone.as_str();
        named(zone).or_else(|| offset(zone)).or_else(|| of_database(zone)).or_else(|| rule(zone)).ok_or_else(|| {
            ConfigError::Value {
                key: "auth.zone".to_owned(),
                problem: format!(
                    "is `{zone}`, which is no time zone here; use `UTC`, an offset such as `+02:00`, or a name below \
                     `{DATABASE}` (package tzdata)"
                ),
            }
        })
    }
}

fn named(zone: &str) -> Option<TimeZone> {
    (zone == "UTC").then_some(TimeZone::UTC)
}

/// `+HH:MM` or `-HH:MM`.
fn offset(zone: &str) -> Option<TimeZone> {
    let (sign, digits) = zone.strip_prefix('+').map(|it| (1, it)).or_else(|| Some((-1, zone.strip_prefix('-')?)))?;
    let (hours, minutes) = digits.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 || !(hours.bytes().chain(minutes.bytes())).all(|it| it.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = (hours.parse::<i32>().ok()?, minutes.parse::<i32>().ok()?);
    if 14 < hours || 59 < minutes {
        return None;
    }
    Some(TimeZone::fixed(Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).ok()?))
}

fn of_database(zone: &str) -> Option<TimeZone> {
    // A name is not a path: nothing in it may lead out of the database.
    let plain =
        |part: &str| !part.is_empty() && part.bytes().all(|it| it.is_ascii_alphanumeric() || b"_+-".contains(&it));
    if !zone.split('/').all(plain) {
        return None;
    }
    let path = Path::new(DATABASE).join(zone);
    let metadata = fs::metadata(&path).ok()?;
    if !metadata.is_file() || ZONE_BYTES_MAX < metadata.len() {
        return None;
    }
    TimeZone::tzif(zone, &fs::read(path).ok()?).ok()
}

/// `CET-1CEST,M3.5.0,M10.5.0/3`. Must have a comma or digit: a misspelt name must not pass as one.
fn rule(zone: &str) -> Option<TimeZone> {
    zone.contains(|it: char| it.is_ascii_digit()).then(|| TimeZone::posix(zone).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(zone: &str, at: &str) -> Option<i8> {
        let zone = Auth { zone: zone.to_owned(), ..Auth::default() }.time_zone().ok()?;
        Some(at.parse::<jiff::Timestamp>().unwrap().to_zoned(zone).hour())
    }

    #[test]
    fn offsets_and_rules_move_the_clock() {
        for (zone, winter, summer) in
            [("UTC", 12, 12), ("+02:00", 14, 14), ("-05:30", 6, 6), ("CET-1CEST,M3.5.0,M10.5.0/3", 13, 14)]
        {
            assert_eq!(hour(zone, "2026-01-15T12:00:00Z"), Some(winter), "{zone}");
            assert_eq!(hour(zone, "2026-07-15T12:00:00Z"), Some(summer), "{zone}");
        }
    }

    #[test]
    fn names_do_not_lead_out_of_the_database() {
        for zone in
            ["", "../../../etc/passwd", "/etc/passwd", "Europe/../../../etc/passwd", "Europe", "Nowhere/Town", "utc?"]
        {
            assert_eq!(hour(zone, "2026-01-15T12:00:00Z"), None, "{zone}");
        }
    }
}
