//! Values that have an order: numbers, sizes, rates, durations, dates, clock times (reference sections 2 and 5).

use std::{cmp::Ordering, fmt};

/// A value with an order among values of its own kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Literal {
    /// `42`
    Number(u64),
    /// `500MB`, in bytes.
    Size(u64),
    /// `10Mbps`, in bits a second.
    Rate(u64),
    /// `15m`, in seconds.
    Duration(u64),
    /// `2026-11-23`.
    Date(Date),
    /// `08:30`, in minutes since midnight.
    Clock(u16),
}

/// A day of the calendar. Its order is that of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    // INVARIANT (calendar): a day that exists in the proleptic Gregorian calendar, years 0 to 9999.
    year: u16,
    month: u16,
    day: u16,
}

/// Why a text is no such value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LiteralError {
    /// Not of any of the shapes.
    #[error("this is no number, size, rate, duration, date or clock time")]
    Shape,
    /// `007`
    #[error("a number has no leading zero")]
    LeadingZero,
    /// `-1`, `+1`
    #[error("a number has no sign")]
    Sign,
    /// 2^63 or more, with its unit counted in.
    #[error("the number is too large: it must be below 2^63")]
    TooLarge,
    /// `15min`
    #[error("the unit is none of KB MB GB TB, Kbps Mbps Gbps, s m h d")]
    Unit,
    /// `2026-02-30`
    #[error("there is no such day")]
    Day,
    /// `24:00`
    #[error("there is no such time of day")]
    Time,
}

impl Literal {
    /// Reads a value; the whole text must be one.
    ///
    /// ```
    /// use gatehouse::syntax::literal::Literal;
    ///
    /// assert_eq!(Literal::parse("2GB"), Ok(Literal::Size(2 << 30)));
    /// assert!(Literal::parse("007").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, LiteralError> {
        if text.starts_with(['-', '+']) {
            return Err(LiteralError::Sign);
        }
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, rest) = text.split_at_checked(end).ok_or(LiteralError::Shape)?;
        match (digits.len(), rest.chars().next()) {
            (0, _) => Err(LiteralError::Shape),
            (4, Some('-')) => date(digits, rest).map(Self::Date),
            (2, Some(':')) => clock(digits, rest).map(Self::Clock),
            (_, None) => number(digits).map(Self::Number),
            (_, Some(c)) if c.is_ascii_alphabetic() => quantity(digits, rest),
            _ => Err(LiteralError::Shape),
        }
    }

    /// The order of two values of one kind; none where the kinds differ.
    pub fn compare(self, other: Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b))
            | (Self::Size(a), Self::Size(b))
            | (Self::Rate(a), Self::Rate(b))
            | (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(&b)),
            (Self::Date(a), Self::Date(b)) => Some(a.cmp(&b)),
            (Self::Clock(a), Self::Clock(b)) => Some(a.cmp(&b)),
            (
                Self::Number(_) | Self::Size(_) | Self::Rate(_) | Self::Duration(_) | Self::Date(_) | Self::Clock(_),
                _,
            ) => None,
        }
    }
}

/// As a document would have it, in the smallest unit that there is for its kind.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            // No unit is smaller than these, so nothing is lost.
            Self::Size(bytes) => write!(f, "{}KB", bytes >> 10),
            Self::Rate(bits) => write!(f, "{}Kbps", bits / 1_000),
            Self::Duration(seconds) => write!(f, "{seconds}s"),
            Self::Date(Date { year, month, day }) => write!(f, "{year:04}-{month:02}-{day:02}"),
            Self::Clock(minutes) => write!(f, "{:02}:{:02}", minutes / 60, minutes % 60),
        }
    }
}

impl Date {
    /// The day, if there is one.
    pub fn new(year: u16, month: u16, day: u16) -> Option<Self> {
        let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        let days = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return None,
        };
        (year <= 9999 && (1..=days).contains(&day)).then_some(Self { year, month, day })
    }

    /// 0 to 9999.
    pub fn year(self) -> u16 {
        self.year
    }

    /// 1 to 12.
    pub fn month(self) -> u16 {
        self.month
    }

    /// 1 to 31.
    pub fn day(self) -> u16 {
        self.day
    }
}

fn quantity(digits: &str, unit: &str) -> Result<Literal, LiteralError> {
    let count = number(digits)?;
    let (kind, factor): (fn(u64) -> Literal, u64) = match unit {
        "KB" => (Literal::Size, 1 << 10),
        "MB" => (Literal::Size, 1 << 20),
        "GB" => (Literal::Size, 1 << 30),
        "TB" => (Literal::Size, 1 << 40),
        "Kbps" => (Literal::Rate, 1_000),
        "Mbps" => (Literal::Rate, 1_000_000),
        "Gbps" => (Literal::Rate, 1_000_000_000),
        "s" => (Literal::Duration, 1),
        "m" => (Literal::Duration, 60),
        "h" => (Literal::Duration, 3_600),
        "d" => (Literal::Duration, 86_400),
        _ => return Err(LiteralError::Unit),
    };
    let value = count.checked_mul(factor).filter(|&it| it < 1 << 63).ok_or(LiteralError::TooLarge)?;
    Ok(kind(value))
}

fn number(digits: &str) -> Result<u64, LiteralError> {
    if digits.len() > 1 && digits.starts_with('0') {
        return Err(LiteralError::LeadingZero);
    }
    digits.parse().ok().filter(|&it: &u64| it < 1 << 63).ok_or(LiteralError::TooLarge)
}

fn date(year: &str, rest: &str) -> Result<Date, LiteralError> {
    let mut parts = rest.split('-').skip(1);
    let (Some(month), Some(day), None) = (parts.next(), parts.next(), parts.next()) else {
        return Err(LiteralError::Shape);
    };
    let year = year.parse().map_err(|_| LiteralError::Shape)?;
    Date::new(year, two_digits(month)?, two_digits(day)?).ok_or(LiteralError::Day)
}

fn clock(hour: &str, rest: &str) -> Result<u16, LiteralError> {
    let hour = two_digits(hour)?;
    let minute = two_digits(rest.strip_prefix(':').ok_or(LiteralError::Shape)?)?;
    if hour > 23 || minute > 59 {
        return Err(LiteralError::Time);
    }
    Ok(hour.saturating_mul(60).saturating_add(minute))
}

fn two_digits(text: &str) -> Result<u16, LiteralError> {
    if text.len() != 2 || !text.bytes().all(|it| it.is_ascii_digit()) {
        return Err(LiteralError::Shape);
    }
    text.parse().map_err(|_| LiteralError::Shape)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use crate::syntax::literal::{Date, Literal, LiteralError};

    #[test]
    fn each_kind_is_read() {
        assert_eq!(Literal::parse("0"), Ok(Literal::Number(0)));
        assert_eq!(Literal::parse("9223372036854775807"), Ok(Literal::Number((1 << 63) - 1)));
        assert_eq!(Literal::parse("10Mbps"), Ok(Literal::Rate(10_000_000)));
        assert_eq!(Literal::parse("8h"), Ok(Literal::Duration(28_800)));
        assert_eq!(Literal::parse("08:30"), Ok(Literal::Clock(510)));
        assert_eq!(Literal::parse("2028-02-29"), Ok(Literal::Date(Date::new(2028, 2, 29).unwrap())));
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for text in
            ["0", "9223372036854775807", "3TB", "1KB", "0KB", "7Gbps", "90m", "2d", "0001-01-01", "00:05", "23:59"]
        {
            let literal = Literal::parse(text).unwrap();
            assert_eq!(Literal::parse(&literal.to_string()), Ok(literal), "{text}");
        }
    }

    #[test]
    fn what_is_nearly_a_value_is_none() {
        let bad = [
            ("", LiteralError::Shape),
            ("GB", LiteralError::Shape),
            ("1e308", LiteralError::Unit),
            ("0x10", LiteralError::Unit),
            ("1.5", LiteralError::Shape),
            ("-0", LiteralError::Sign),
            ("+1", LiteralError::Sign),
            ("01", LiteralError::LeadingZero),
            ("00s", LiteralError::LeadingZero),
            ("5kb", LiteralError::Unit),
            ("15min", LiteralError::Unit),
            ("9223372036854775808", LiteralError::TooLarge),
            ("9999999999999999999GB", LiteralError::TooLarge),
            ("8388608TB", LiteralError::TooLarge),
            ("2026-02-29", LiteralError::Day),
            ("2026-13-01", LiteralError::Day),
            ("2026-1-01", LiteralError::Shape),
            ("2026-01-01-", LiteralError::Shape),
            ("24:00", LiteralError::Time),
            ("8:30", LiteralError::Shape),
            ("08:30:00", LiteralError::Shape),
            ("٣", LiteralError::Shape),
            ("1 ", LiteralError::Shape),
        ];
        for (text, error) in bad {
            assert_eq!(Literal::parse(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn kinds_have_no_common_order() {
        let compare = |a, b| Literal::parse(a).unwrap().compare(Literal::parse(b).unwrap());
        assert_eq!(compare("60s", "1m"), Some(Ordering::Equal));
        assert_eq!(compare("1024KB", "2MB"), Some(Ordering::Less));
        assert_eq!(compare("2026-01-02", "2025-12-31"), Some(Ordering::Greater));
        assert_eq!(compare("60", "1m"), None);
    }
}
