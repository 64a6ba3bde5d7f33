//! `/prod` and `/Prod`, `sandbox` with a Cyrillic `а`: names that an eye takes for the same, and the engine does not.
//!
//! Finds names (segments of realms, roles, issuers, and the names and groups that conditions ask for) that differ from a
//! more frequent one in this set only by case or by letters that look alike, and names that mix alphabets.
//!
//! ## Why it matters
//!
//! Names are compared byte for byte. The rule with the odd one speaks of nobody; or of someone who chose that name because it
//! looks like another.
//!
//! ## Example
//!
//! ```policy
//! job::/prod/db {
//!   if (LDAP->group == "dba") { permit read }
//! }
//! job::/prod/web {
//!   if (LDAP->group == "DBA") { permit read }
//! }
//! ```
//!
//! ## Instead
//!
//! ```policy
//! job::/prod/db {
//!   if (LDAP->group == "dba") { permit read }
//! }
//! job::/prod/web {
//!   if (LDAP->group == "dba") { permit read }
//! }
//! ```

use std::{borrow::Cow, collections::BTreeSet};

use foldhash::HashMap;
use smallvec::{SmallVec, smallvec};
use unicode_security::{MixedScript, confusable_detection::skeleton};

use crate::{
    diagnostic::{Code, Diagnostic, printable::short},
    lint::{
        Lint, Report, Set,
        walk::{constants, in_place_of, segments},
    },
    source::Span,
    syntax::ast::{Asserted, Comparison, Operator, Segment},
};

/// Longer texts are no names that anyone reads.
const NAME_BYTES_MAX: usize = 128;

pub(super) struct ConfusableNames;

impl Lint for ConfusableNames {
    fn code(&self) -> Code {
        Code::ConfusableNames
    }

    fn check(&self, set: &Set<'_>, report: &mut Report) {
        let names = Names::of(set);
        for name in &names.all {
            let text = name.text;
            let finding = match names.more_frequent(name) {
                Some((other, at)) => Finding::Alike(other, at),
                None if text.is_ascii() || text.is_single_script() => continue,
                None => Finding::Mixed,
            };
            for place in name.places.iter().filter(|it| it.source < set.given) {
                report.push(place.source, diagnose(set, text, place, &finding));
            }
        }
    }
}

/// What a name is a name of: only names of one kind are taken for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Kind<'a> {
    Segment,
    Role,
    Issuer,
    /// Values of one fact, such as `LDAP->group`.
    Fact(&'a str, &'a str),
}

#[derive(Clone, Copy)]
struct Place {
    source: usize,
    span: Span,
    // How a text is written in its place: quoted or not.
    quoted: Option<bool>,
}

enum Finding<'a> {
    /// Looks like this one, which is said here too.
    Alike(&'a str, Place),
    Mixed,
}

/// What a name looks like, and where it stands.
struct Name<'a> {
    kind: Kind<'a>,
    text: &'a str,
    looks: SmallVec<[Cow<'a, str>; 2]>,
    places: SmallVec<[Place; 1]>,
}

#[derive(Default)]
struct Names<'a> {
    // In the order in which they were met.
    all: Vec<Name<'a>>,
    numbers: HashMap<(Kind<'a>, &'a str), usize>,
    /// The names that look like this, ascending.
    looks: HashMap<(Kind<'a>, Cow<'a, str>), SmallVec<[usize; 2]>>,
}

impl<'a> Names<'a> {
    fn of(set: &Set<'a>) -> Self {
        let mut names = Self::default();
        for view in &set.policies {
            let source = view.source;
            for segment in segments(&view.policy.realm) {
                if let Segment::Literal(name) = segment {
                    names.add(Kind::Segment, &name.text, Place { source, span: name.span, quoted: None });
                }
            }
            for comparison in view.comparisons.iter().copied() {
                names.comparison(source, comparison);
            }
            for claim in view.claims.iter().map(|it| it.claim) {
                for (value, text) in constants(claim).filter(|_| claim.claim_type.text == "role") {
                    names.add(Kind::Role, text, Place { source, span: value.span, quoted: Some(value.quoted) });
                }
                for asserted in &claim.asserted {
                    if let Asserted::Reference { issuer, .. } = asserted {
                        names.add(Kind::Issuer, &issuer.text, Place { source, span: issuer.span, quoted: None });
                    }
                }
            }
        }
        names
    }

    fn comparison(&mut self, source: usize, comparison: &'a Comparison) {
        if let Some(issuer) = &comparison.issuer {
            self.add(Kind::Issuer, &issuer.text, Place { source, span: issuer.span, quoted: None });
        }
        let kind = match &comparison.issuer {
            Some(issuer) => Kind::Fact(&issuer.text, &comparison.claim_type.text),
            None if comparison.claim_type.text == "role" => Kind::Role,
            None => return,
        };
        if matches!(comparison.operator, Operator::Equal | Operator::Equals | Operator::In) {
            for value in &comparison.values {
                let Some(text) = value.constant() else { continue };
                self.add(kind, text, Place { source, span: value.span, quoted: Some(value.quoted) });
            }
        }
    }

    fn add(&mut self, kind: Kind<'a>, text: &'a str, place: Place) {
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return;
        }
        let number = *self.numbers.entry((kind, text)).or_insert_with(|| {
            let number = self.all.len();
            let looks = looks(text);
            for look in &looks {
                let alike = self.looks.entry((kind, look.clone())).or_default();
                if alike.last() != Some(&number) {
                    alike.push(number);
                }
            }
            self.all.push(Name { kind, text, looks, places: SmallVec::new() });
            number
        });
        if let Some(name) = self.all.get_mut(number) {
            name.places.push(place);
        }
    }

    /// The most frequent name that looks like this one, where it is more frequent or else was there first.
    fn more_frequent(&self, name: &Name<'a>) -> Option<(&'a str, Place)> {
        let rank = |number: &usize| {
            let other = self.all.get(*number)?;
            let first = other.places.first()?;
            Some(((other.places.len(), std::cmp::Reverse((first.source, first.span))), other.text, *first))
        };
        let alike: SmallVec<[_; 2]> =
            name.looks.iter().filter_map(|look| self.looks.get(&(name.kind, look.clone()))).collect();
        // Most names look like no other.
        if alike.iter().all(|it| it.len() == 1) {
            return None;
        }
        // A crowd of names that look alike is a naming scheme, or an attack on the one who reads the report.
        let (_, best, place) =
            alike.into_iter().flat_map(|it| it.iter().take(ALIKE_MAX)).filter_map(rank).max_by_key(|it| it.0)?;
        (best != name.text).then_some((best, place))
    }
}

/// Names that look alike are compared in no greater number.
const ALIKE_MAX: usize = 16;

/// What a name looks like: letters by what they resemble, once as they are, once as small letters.
fn looks(text: &str) -> SmallVec<[Cow<'_, str>; 2]> {
    let is_lower = text.bytes().all(|it| it.is_ascii() && !it.is_ascii_uppercase());
    let mut looks = smallvec![look(text.into())];
    if !is_lower {
        looks.push(look(text.to_lowercase().into()));
    }
    looks
}

/// Asking the tables of Unicode costs more than all else that is done with a name, so those of ASCII stand here.
fn look(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.is_ascii() || text.contains('%') {
        return skeleton(&text).collect::<String>().into();
    }
    if text.bytes().all(|it| resembled(it).is_none()) {
        return text;
    }
    let mut look = String::new();
    for letter in text.bytes() {
        match resembled(letter) {
            Some(other) => look.push_str(other),
            None => look.push(char::from(letter)),
        }
    }
    look.into()
}

/// What a letter of ASCII, other than `%`, looks like, if not like itself.
fn resembled(letter: u8) -> Option<&'static str> {
    match letter {
        b'"' => Some("''"),
        b'0' => Some("O"),
        b'1' | b'I' | b'|' => Some("l"),
        b'`' => Some("'"),
        b'm' => Some("rn"),
        _ => None,
    }
}

fn diagnose(set: &Set<'_>, text: &str, place: &Place, finding: &Finding<'_>) -> Diagnostic {
    let shown = short(text);
    let error = |message: String, label: &str| Diagnostic::new(Code::ConfusableNames, place.span, message, label);
    match finding {
        Finding::Mixed => {
            error(format!("`{shown}` mixes letters of several alphabets"), "some of these look like others")
                .with_help(format!("its letters are {}; write all of them in one alphabet", letters(text)))
        }
        Finding::Alike(other, at) => {
            let other_shown = short(other);
            let how = if text.to_lowercase() == other.to_lowercase() {
                "by case alone"
            } else {
                "only in letters that look alike"
            };
            let error = error(format!("`{shown}` and `{other_shown}` differ {how}"), "compared byte for byte");
            let error = if at.source == place.source {
                error.with_label(at.span, "the other one")
            } else {
                error.with_help(format!("the other one stands in {}", set.place(at.source, at.span.start)))
            };
            let text = if place.quoted.is_some() { quoted(place, other) } else { (*other).to_owned() };
            error.with_fix(format!("write `{other_shown}`"), false, place.span, text)
        }
    }
}

fn quoted(place: &Place, text: &str) -> String {
    let value =
        crate::syntax::ast::Value { pieces: SmallVec::new(), quoted: place.quoted == Some(true), span: place.span };
    in_place_of(&value, text)
}

/// The letters that are not of the Latin alphabet, by number, so that one sees which they are.
fn letters(text: &str) -> String {
    let odd: BTreeSet<char> = text.chars().filter(|it| !it.is_ascii()).take(8).collect();
    odd.into_iter().map(|it| format!("U+{:04X}", u32::from(it))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use unicode_security::confusable_detection::skeleton;

    use crate::lint::confusable_names::look;

    #[test]
    fn letters_of_ascii_look_as_the_tables_of_unicode_say() {
        for letter in (0..128).map(|it| char::from(it).to_string()) {
            assert_eq!(look(letter.as_str().into()), skeleton(&letter).collect::<String>(), "{letter:?}");
        }
    }
}
