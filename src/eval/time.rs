//! The time context: four facts of one instant, and when a comparison on one of them turns (reference sections 5, 6).

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, DateTime},
    tz::Offset,
};

use crate::{
    compile::condition::{Comparison, Test},
    eval::{Fact, Now},
    syntax::literal::Literal,
};

/// The context types that an instant supplies.
pub(crate) const TYPES: [&str; 4] = ["time.clock", "time.date", "time.hour", "time.weekday"];

/// The days of `time.weekday`, Monday first.
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

const HOUR: i64 = 3_600;
const MINUTE: i64 = 60;
const DAY: i64 = 86_400;
const MINUTES_A_DAY: i64 = 1_440;

/// How far ahead a text test on `time.date` is looked at day by day; one that does not turn until then is taken to
/// turn then, which only means deciding again.
const DAYS_AHEAD: i64 = 400;

/// The time facts of an instant; none outside the years that have four digits.
pub(crate) fn facts(now: Now) -> Option<[Fact; 4]> {
    let local = local(now)?;
    let weekday = weekday(local.date())?;
    Some([
        Fact::context("time.clock", format!("{:02}:{:02}", local.hour(), local.minute())),
        Fact::context("time.date", date_text(local.date())),
        Fact::context("time.hour", local.hour().to_string()),
        Fact::context("time.weekday", weekday),
    ])
}

/// Whether a time fact can have this value.
pub(crate) fn is_possible(claim_type: &str, value: &str) -> bool {
    match claim_type {
        "time.weekday" => WEEKDAYS.contains(&value),
        "time.hour" => matches!(Literal::parse(value), Ok(Literal::Number(0..24))),
        "time.clock" => matches!(Literal::parse(value), Ok(Literal::Clock(_))),
        "time.date" => matches!(Literal::parse(value), Ok(Literal::Date(_))),
        _ => true,
    }
}

/// The next moment, in Unix seconds, at which a comparison on a time fact turns from true to false or back.
///
/// The offset from UTC is taken to stay as it is; whoever knows the zone's next transition caps the result by it.
pub(crate) fn next_turn(claim_type: &str, comparison: &Comparison, bound: &[&str], now: Now) -> Option<i64> {
    let local = local(now)?;
    let seconds = now.unix_seconds.checked_add(now.offset_seconds.into())?;
    let holds = |value: &str| comparison.holds(&[value], bound);
    let (unit, steps) = match claim_type {
        "time.weekday" => {
            let at = |ahead: i64| Some(weekday(local.date().checked_add(ahead.days()).ok()?)?.to_owned());
            (DAY, first_turn(&holds, &at, 1..=7))
        }
        "time.hour" => {
            let at = |ahead| i64::from(local.hour()).checked_add(ahead).map(|hour| hour.rem_euclid(24).to_string());
            (HOUR, first_turn(&holds, &at, 1..=24))
        }
        "time.clock" => {
            let minute = seconds.div_euclid(MINUTE).rem_euclid(MINUTES_A_DAY);
            let at = |ahead| minute.checked_add(ahead).map(clock_text);
            let ahead = |clock: i64| match (clock.checked_sub(minute)?).rem_euclid(MINUTES_A_DAY) {
                0 => Some(MINUTES_A_DAY),
                ahead => Some(ahead),
            };
            let steps = match boundaries(comparison, bound, clock_number) {
                Some(clocks) => first_turn(&holds, &at, ascending(clocks.into_iter().chain([0]).filter_map(ahead))),
                None => first_turn(&holds, &at, 1..=MINUTES_A_DAY),
            };
            (MINUTE, steps)
        }
        "time.date" => {
            let at = |ahead: i64| Some(date_text(local.date().checked_add(ahead.days()).ok()?));
            let ahead = |date: i64| date.checked_sub(seconds.div_euclid(DAY)).filter(|it| *it > 0);
            let steps = match boundaries(comparison, bound, date_number) {
                Some(days) => first_turn(&holds, &at, ascending(days.into_iter().filter_map(ahead))),
                None => first_turn(&holds, &at, 1..=DAYS_AHEAD).or(Some(DAYS_AHEAD)),
            };
            (DAY, steps)
        }
        _ => return None,
    };
    // Seconds of the unit that have passed do not count.
    let start = seconds.div_euclid(unit).checked_mul(unit)?;
    start.checked_add(steps?.checked_mul(unit)?)?.checked_sub(now.offset_seconds.into())
}

/// The first of the steps ahead at which the truth is another than now.
fn first_turn(
    holds: &dyn Fn(&str) -> bool,
    at: &dyn Fn(i64) -> Option<String>,
    steps: impl IntoIterator<Item = i64>,
) -> Option<i64> {
    let today = holds(&at(0)?);
    steps.into_iter().find(|step| at(*step).is_some_and(|value| holds(&value) != today))
}

/// Where equality and order can turn: at a value and behind it. None for tests of text.
fn boundaries(comparison: &Comparison, bound: &[&str], number: fn(Literal) -> Option<i64>) -> Option<Vec<i64>> {
    let both = |literal: Literal| number(literal).map(|it| [it, it.saturating_add(1)]);
    let of_text = |text: &str| Literal::parse(text).ok().and_then(both);
    match &comparison.test {
        Test::Ordered(_, literal) => Some(both(*literal).into_iter().flatten().collect()),
        Test::Equal(templates) => Some(templates.iter().filter_map(|it| of_text(&it.fill(bound))).flatten().collect()),
        Test::NotEqual(template) => Some(of_text(&template.fill(bound)).into_iter().flatten().collect()),
        Test::Never => Some(Vec::new()),
        Test::BeginsWith(_)
        | Test::EndsWith(_)
        | Test::Contains(_)
        | Test::Matches(_)
        | Test::FqnMatch(_)
        | Test::InCidr(_) => None,
    }
}

fn ascending(steps: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut steps: Vec<i64> = steps.collect();
    steps.sort_unstable();
    steps
}

/// Minutes since midnight.
fn clock_number(literal: Literal) -> Option<i64> {
    if let Literal::Clock(minutes) = literal { Some(minutes.into()) } else { None }
}

/// Days since 1970-01-01.
fn date_number(literal: Literal) -> Option<i64> {
    let Literal::Date(date) = literal else { return None };
    let date =
        Date::new(date.year().try_into().ok()?, date.month().try_into().ok()?, date.day().try_into().ok()?).ok()?;
    Some(date.since(Date::constant(1970, 1, 1)).ok()?.get_days().into())
}

fn local(now: Now) -> Option<DateTime> {
    let offset = Offset::from_seconds(now.offset_seconds).ok()?;
    let local = offset.to_datetime(Timestamp::from_second(now.unix_seconds).ok()?);
    (1..=9_999).contains(&local.year()).then_some(local)
}

fn weekday(date: Date) -> Option<&'static str> {
    WEEKDAYS.get(usize::try_from(date.weekday().to_monday_zero_offset()).ok()?).copied()
}

fn date_text(date: Date) -> String {
    format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day())
}

fn clock_text(minutes: i64) -> String {
    let minutes = minutes.rem_euclid(MINUTES_A_DAY);
    format!("{:02}:{:02}", minutes.div_euclid(60), minutes.rem_euclid(60))
}
