//! Fully qualified names of requests: complete, without pattern, and strict.

use std::fmt;

use unicode_normalization::is_nfc;

use crate::{
    limits::{FQN_BYTES_MAX, FQN_SEGMENTS_MAX},
    syntax::{
        character::is_invisible,
        vocabulary::resource_type,
        words::{self, HIGH, eight},
    },
};

/// A complete name without pattern: `job::/sandbox/tom::web`.
///
/// Two names are the same exactly when their texts are, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fqn {
    // INVARIANT (canonical): resource type known, no segment empty, `.`, `..` or with a forbidden character, `local`
    // not an empty list; so `Display` gives the text that was parsed.
    resource_type: &'static str,
    namespace: Vec<String>,
    local: Option<Vec<String>>,
}

/// Why a text is no fully qualified name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FqnError {
    /// More than [`FQN_BYTES_MAX`] bytes.
    #[error("the name has {0} bytes, more than the {FQN_BYTES_MAX} a name may have")]
    TooLong(usize),
    /// More than [`FQN_SEGMENTS_MAX`] segments.
    #[error("the name has {0} segments, more than the {FQN_SEGMENTS_MAX} a name may have")]
    TooManySegments(usize),
    /// Not in NFC.
    #[error("the name is not in Unicode normalization form C")]
    NotNfc,
    /// There is no `::/`.
    #[error("a name looks like `job::/namespace::local`, and there is no `::/` in this one")]
    NoRoot,
    /// None of the known types.
    #[error("no resource type `{}`", .0.escape_debug())]
    UnknownResourceType(String),
    /// Two slashes in a row, or one at the end, or nothing behind `::`.
    #[error("the name has an empty segment")]
    EmptySegment,
    /// `.` or `..`.
    #[error("`{0}` is no segment of a name")]
    DotSegment(String),
    /// White space, a control or invisible character, or one of `" * [ ] \ :`.
    #[error("`{}` may not stand in a name", .0.escape_debug())]
    Character(char),
}

impl Fqn {
    /// Reads a name; nothing is trimmed, folded, decoded or normalized.
    ///
    /// ```
    /// use gatehouse::syntax::fqn::Fqn;
    ///
    /// let fqn = Fqn::parse("job::/sandbox/tom::web/blue")?;
    /// assert_eq!(fqn.resource_type(), "job");
    /// assert_eq!(fqn.namespace(), ["sandbox", "tom"]);
    /// assert_eq!(fqn.local(), Some(&["web".to_owned(), "blue".to_owned()][..]));
    /// assert!(Fqn::parse("job::/sandbox//tom").is_err());
    /// # Ok::<(), gatehouse::syntax::fqn::FqnError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, FqnError> {
        Ok(FqnRef::parse(text)?.to_owned())
    }

    /// `job`.
    pub fn resource_type(&self) -> &'static str {
        self.resource_type
    }

    /// The segments between `::/` and `::`; none for the root.
    pub fn namespace(&self) -> &[String] {
        &self.namespace
    }

    /// The segments behind the second `::`, where there is one; never empty.
    pub fn local(&self) -> Option<&[String]> {
        self.local.as_deref()
    }
}

/// A complete name that stands elsewhere; reading one takes no memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FqnRef<'a> {
    // INVARIANT (canonical): as of `Fqn`.
    resource_type: &'static str,
    namespace: &'a str,
    local: Option<&'a str>,
}

impl<'a> FqnRef<'a> {
    /// Reads a name as strictly as [`Fqn::parse`].
    #[inline]
    pub(crate) fn parse(text: &'a str) -> Result<Self, FqnError> {
        if text.len() > FQN_BYTES_MAX {
            return Err(FqnError::TooLong(text.len()));
        }
        match Self::plain(text) {
            Some(plain) => Ok(plain),
            None => Self::any(text),
        }
    }

    /// A name that is made of what nearly every name is made of, in one pass; nothing where it has anything else.
    fn plain(text: &'a str) -> Option<Self> {
        let (type_name, rest) = text.split_at_checked(text.bytes().position(|it| it == b':')?)?;
        let rest = rest.strip_prefix("::/")?;
        let resource_type = resource_type(type_name)?.name;
        let bytes = rest.as_bytes();
        // A segment that begins with a dot may be none.
        let is_good = |start: usize| bytes.get(start).is_some_and(|it| !matches!(it, b'.' | b'/' | b':'));
        let (mut behind, mut start, mut count) = (0_usize, 0_usize, 1_usize);
        let mut colons = None;
        let is_plain = words::all_words(bytes, b'a', |word| {
            let Some(mut separators) = separators(word) else { return false };
            while separators != 0 {
                let at = behind.wrapping_add(words::index(separators));
                separators &= separators.wrapping_sub(1);
                if at < start {
                    // The second of two colons.
                    continue;
                }
                if !is_good(start) {
                    return false;
                }
                count = count.wrapping_add(1);
                start = at.wrapping_add(1);
                if bytes.get(at) == Some(&b':') {
                    if colons.is_some() || bytes.get(start) != Some(&b':') {
                        return false;
                    }
                    colons = Some(at);
                    start = start.wrapping_add(1);
                }
            }
            behind = behind.wrapping_add(8);
            true
        });
        if !is_plain || !is_good(start) || count > FQN_SEGMENTS_MAX {
            return None;
        }
        let (namespace, local) = match colons {
            Some(at) => (rest.get(..at)?, Some(rest.get(at.saturating_add(2)..)?)),
            None => (rest, None),
        };
        Some(Self { resource_type, namespace, local })
    }

    /// Any name, and what is wrong with what is none.
    #[cold]
    fn any(text: &'a str) -> Result<Self, FqnError> {
        if !text.is_ascii() && !is_nfc(text) {
            return Err(FqnError::NotNfc);
        }
        let (type_name, rest) = text.split_once("::/").ok_or(FqnError::NoRoot)?;
        let resource_type =
            resource_type(type_name).ok_or_else(|| FqnError::UnknownResourceType(type_name.to_owned()))?.name;
        let (namespace, local) = match rest.split_once("::") {
            Some((namespace, local)) => (namespace, Some(local)),
            None => (rest, None),
        };
        let in_local = local.map_or(Ok(0), check_segments)?;
        let in_namespace = if namespace.is_empty() { 0 } else { check_segments(namespace)? };
        let count = in_local.saturating_add(in_namespace);
        if count > FQN_SEGMENTS_MAX {
            return Err(FqnError::TooManySegments(count));
        }
        Ok(Self { resource_type, namespace, local })
    }

    /// `job`.
    pub(crate) fn resource_type(&self) -> &'static str {
        self.resource_type
    }

    /// The segments between `::/` and `::`.
    pub(crate) fn namespace(&self) -> Segments<'a> {
        Segments(Some(self.namespace).filter(|it| !it.is_empty()))
    }

    /// The segments behind the second `::`, where there is one.
    pub(crate) fn local(&self) -> Option<Segments<'a>> {
        self.local.map(|it| Segments(Some(it)))
    }

    fn to_owned(self) -> Fqn {
        let namespace = self.namespace().map(str::to_owned).collect();
        let local = self.local().map(|it| it.map(str::to_owned).collect());
        Fqn { resource_type: self.resource_type, namespace, local }
    }
}

/// What stands between slashes.
#[derive(Debug, Clone)]
pub(crate) struct Segments<'a>(Option<&'a str>);

impl<'a> Segments<'a> {
    /// Of a text, which has at least one.
    pub(super) fn of(text: &'a str) -> Self {
        Self(Some(text))
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a str;

    #[inline]
    fn next(&mut self) -> Option<&'a str> {
        let text = self.0?;
        let Some((segment, rest)) = words::position(text.as_bytes(), b'/').and_then(|at| text.split_at_checked(at))
        else {
            self.0 = None;
            return Some(text);
        };
        self.0 = rest.get(1..);
        Some(segment)
    }
}

/// Whether this text can be one segment of a name, and with it what a variable can bind.
pub fn check_segment(text: &str) -> Result<(), FqnError> {
    match text {
        "" => return Err(FqnError::EmptySegment),
        "." | ".." => return Err(FqnError::DotSegment(text.to_owned())),
        _ => (),
    }
    match text.chars().find(|&c| is_forbidden(c)) {
        Some(c) => Err(FqnError::Character(c)),
        None => Ok(()),
    }
}

/// How many segments there are, all of them good.
fn check_segments(text: &str) -> Result<usize, FqnError> {
    let mut count = 0_usize;
    for segment in text.split('/') {
        check_segment(segment)?;
        count = count.saturating_add(1);
    }
    Ok(count)
}

/// Of eight bytes those that end a segment, by their highest bits; nothing where one of them can stand in no plain name.
#[inline]
fn separators(word: u64) -> Option<u64> {
    // The highest bit of each byte that lies between two, both of them included, as long as it is ASCII.
    let between = |word: u64, first: u8, last: u8| {
        let (not_before, behind) = (eight(0x80_u8.wrapping_sub(first)), eight(0x7f_u8.wrapping_sub(last)));
        word.wrapping_add(not_before) ^ word.wrapping_add(behind)
    };
    // `-`, `.`, `/`, digits and `:` follow on each other.
    let plain = between(word, b'-', b':') | between(word, b'_', b'_') | between(word | eight(0x20), b'a', b'z');
    let separators = between(word, b'/', b'/') | between(word, b':', b':');
    ((word | !plain) & HIGH == 0).then_some(separators & HIGH)
}

fn is_forbidden(c: char) -> bool {
    c.is_control() || c.is_whitespace() || is_invisible(c) || matches!(c, '"' | '*' | '[' | ']' | '\\' | ':' | '/')
}

impl fmt::Display for Fqn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::/{}", self.resource_type, self.namespace.join("/"))?;
        match &self.local {
            Some(local) => write!(f, "::{}", local.join("/")),
            None => Ok(()),
        }
    }
}

impl std::str::FromStr for Fqn {
    type Err = FqnError;

    fn from_str(text: &str) -> Result<Self, FqnError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{
        limits::{FQN_BYTES_MAX, FQN_SEGMENTS_MAX},
        syntax::fqn::{Fqn, FqnError, FqnRef},
    };

    proptest! {
        #[test]
        fn one_pass_reads_what_a_closer_look_reads(text in "(job|jobs)?(::/|:/|)([a.:/é ]|::|[!-~]|[a-z]{1,9}){0,12}") {
            if let Some(plain) = FqnRef::plain(&text) {
                prop_assert_eq!(FqnRef::any(&text), Ok(plain));
            }
        }
    }

    #[test]
    fn good_names_come_back_as_they_were() {
        for text in
            ["job::/", "job::/::x", "job::/a", "job::/a/b::c/d", "route::/http/com/acme", "job::/é::…", "job::/a::-1"]
        {
            assert_eq!(Fqn::parse(text).map(|it| it.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn malformed_names_are_refused() {
        let bad = [
            "",
            "job",
            "job::",
            "job:/a",
            "job:://",
            "job::/a/",
            "job::/a::",
            "job::/a//b",
            "job::/a/./b",
            "job::/a/..",
            "job::/a:::b",
            "job::/a::b::c",
            "job::/a::b/",
            "job::/a::/b",
            "job::/a:b",
            "job::/a b",
            "job::/a\t",
            " job::/a",
            "job::/a\n",
            "job::/a\0",
            "job::/*",
            "job::/a::*",
            "job::/[name]",
            "job::/a\\",
            "job::/\"",
            "jobs::/a",
            "Job::/a",
            "job::/e\u{301}",
            "job::/a\u{200b}b",
            "job::/a\u{202e}",
            "job::/a\u{a0}b",
        ];
        for text in bad {
            assert!(Fqn::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn length_is_bounded_at_the_limit() {
        let longest = format!("job::/{}", "a".repeat(FQN_BYTES_MAX - 6));
        assert!(Fqn::parse(&longest).is_ok());
        assert_eq!(Fqn::parse(&format!("{longest}a")), Err(FqnError::TooLong(FQN_BYTES_MAX + 1)));
        let deepest = format!("job::/{}::b", vec!["a"; FQN_SEGMENTS_MAX - 1].join("/"));
        assert!(Fqn::parse(&deepest).is_ok());
        assert_eq!(Fqn::parse(&format!("{deepest}/c")), Err(FqnError::TooManySegments(FQN_SEGMENTS_MAX + 1)));
    }
}
