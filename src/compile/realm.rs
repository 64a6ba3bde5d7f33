//! Realms as patterns that a name is held against (reference section 4).

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::syntax::{
    ast::{Local, Piece, Realm, Segment, Value},
    fqn::Fqn,
    realm,
};

/// A pattern of names; variables are numbers of the policy's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) resource_type: SmolStr,
    // Most realms are two segments deep.
    pub(crate) namespace: SmallVec<[Part; 2]>,
    pub(crate) local: LocalPattern,
}

/// One segment of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Literal(SmolStr),
    Variable(usize),
}

/// What stands behind the second `::` of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LocalPattern<P = Vec<Part>> {
    Below,
    Exact,
    Any,
    Named(P),
}

/// How specific a realm is: the greater wins (reference section 6).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Specificity {
    namespace: usize,
    local: (u8, usize),
    // Literal before variable at the first segment that differs: `true` is the literal.
    literal: Vec<bool>,
}

/// The variables of a policy: their names, in the order in which they were first met.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Variables {
    names: Vec<SmolStr>,
}

impl Variables {
    /// The number of a variable; a new one if it was not met before.
    pub(crate) fn intern(&mut self, name: &str) -> usize {
        if let Some(at) = self.find(name) {
            return at;
        }
        self.names.push(name.into());
        self.names.len().saturating_sub(1)
    }

    /// The number of a variable that was met.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|it| it == name)
    }

    /// By number.
    pub(crate) fn names(&self) -> &[SmolStr] {
        &self.names
    }
}

impl FromIterator<SmolStr> for Variables {
    fn from_iter<I: IntoIterator<Item = SmolStr>>(names: I) -> Self {
        Self { names: names.into_iter().collect() }
    }
}

impl Pattern {
    /// A policy's realm; its variables get their numbers.
    pub(crate) fn of_realm(realm: &Realm, variables: &mut Variables) -> Self {
        let mut part = |segment: &Segment| match segment {
            Segment::Literal(name) => Part::Literal(name.text.clone()),
            Segment::Variable(name) => Part::Variable(variables.intern(&name.text)),
        };
        // For so few, collecting them costs more than making them.
        let mut namespace = SmallVec::new();
        for segment in &realm.namespace {
            namespace.push(part(segment));
        }
        let local = match &realm.local {
            Local::Below => LocalPattern::Below,
            Local::Exact => LocalPattern::Exact,
            Local::Any => LocalPattern::Any,
            Local::Named(segments) => LocalPattern::Named(segments.iter().map(part).collect()),
        };
        Self { resource_type: realm.resource_type.text.clone(), namespace, local }
    }

    /// Tells each variable with the number of its segment, and whether that is one of the local name.
    pub(crate) fn variables(&self, mut tell: impl FnMut(usize, u32, bool)) {
        let named = if let LocalPattern::Named(parts) = &self.local { parts.as_slice() } else { &[] };
        for (parts, is_local) in [(self.namespace.as_slice(), false), (named, true)] {
            for (number, part) in (0_u32..).zip(parts) {
                if let Part::Variable(variable) = part {
                    tell(*variable, number, is_local);
                }
            }
        }
    }

    /// The realm right of `fqnMatch`; none where the value is no realm, or a variable of it is not bound.
    pub(crate) fn of_value(value: &Value, variables: &Variables) -> Option<Self> {
        let mut text = String::new();
        for piece in &value.pieces {
            match piece {
                // An escaped bracket is text, and no segment may hold one.
                Piece::Text(own) if own.contains(['[', ']']) => return None,
                Piece::Text(own) => text.push_str(own),
                Piece::Variable(name) => {
                    variables.find(&name.text)?;
                    text.extend(["[", &name.text, "]"]);
                }
            }
        }
        let mut known = variables.clone();
        Some(Self::of_realm(&realm::parse(&text, 0).ok()?, &mut known))
    }

    /// A realm that is a value: no `[` of it is a variable.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.contains('[') {
            return None;
        }
        Some(Self::of_realm(&realm::parse(text, 0).ok()?, &mut Variables::default()))
    }

    /// Whether the name lies in the realm, its variables replaced by what they are bound to.
    pub(crate) fn contains(&self, name: &Fqn, bound: &[&str]) -> bool {
        let same = |part: &Part, segment: &String| match part {
            Part::Literal(text) => text == segment,
            Part::Variable(number) => bound.get(*number) == Some(&segment.as_str()),
        };
        self.fits(name, same)
    }

    /// What the variables are bound to where the name lies in the realm; by number.
    pub(crate) fn bind<'a>(&self, name: &'a Fqn, variables: usize) -> Option<Vec<&'a str>> {
        let fits = self.fits(name, |part, segment| match part {
            Part::Literal(text) => text == segment,
            Part::Variable(_) => true,
        });
        if !fits {
            return None;
        }
        let mut bound = vec![None; variables];
        let pairs = self.namespace.iter().zip(name.namespace());
        for (part, segment) in pairs.chain(self.named().iter().zip(name.local().unwrap_or_default())) {
            if let Part::Variable(number) = part
                && *bound.get_mut(*number)?.get_or_insert(segment.as_str()) != segment
            {
                return None;
            }
        }
        bound.into_iter().collect()
    }

    fn fits(&self, name: &Fqn, same: impl Fn(&Part, &String) -> bool) -> bool {
        let begins = |parts: &[Part], segments: &[String]| {
            parts.len() <= segments.len() && parts.iter().zip(segments).all(|(part, segment)| same(part, segment))
        };
        let exactly = self.namespace.len() == name.namespace().len();
        self.resource_type == name.resource_type()
            && begins(&self.namespace, name.namespace())
            && match &self.local {
                LocalPattern::Below => true,
                LocalPattern::Exact => exactly,
                LocalPattern::Any => exactly && name.local().is_some(),
                LocalPattern::Named(parts) => exactly && name.local().is_some_and(|it| begins(parts, it)),
            }
    }

    fn named(&self) -> &[Part] {
        match &self.local {
            LocalPattern::Named(parts) => parts,
            LocalPattern::Below | LocalPattern::Exact | LocalPattern::Any => &[],
        }
    }

    /// Its place in "the most specific realm wins".
    pub(crate) fn specificity(&self) -> Specificity {
        let local = match &self.local {
            LocalPattern::Named(parts) => (3, parts.len()),
            LocalPattern::Any => (2, 0),
            LocalPattern::Exact => (1, 0),
            LocalPattern::Below => (0, 0),
        };
        let literal = self.namespace.iter().chain(self.named()).map(|it| matches!(it, Part::Literal(_))).collect();
        Specificity { namespace: self.namespace.len(), local, literal }
    }

    /// What every name in the realm begins with; nothing where a variable is in it and nobody says what it is bound to.
    pub(crate) fn start(&self, bound: Option<&[&str]>) -> Option<String> {
        let has_variables = self.namespace.iter().chain(self.named()).any(|it| matches!(it, Part::Variable(_)));
        if bound.is_none() && has_variables {
            return None;
        }
        let text = self.text(bound.unwrap_or_default());
        Some(match &self.local {
            LocalPattern::Below | LocalPattern::Named(_) => text,
            LocalPattern::Exact => text.trim_end_matches("::").to_owned(),
            LocalPattern::Any => text.trim_end_matches('*').to_owned(),
        })
    }

    /// The realm as text, its variables replaced by what they are bound to.
    pub(crate) fn text(&self, bound: &[&str]) -> String {
        let join = |parts: &[Part]| {
            let texts = parts.iter().map(|part| match part {
                Part::Literal(text) => text.as_str(),
                Part::Variable(number) => bound.get(*number).copied().unwrap_or_default(),
            });
            texts.collect::<Vec<_>>().join("/")
        };
        let local = match &self.local {
            LocalPattern::Below => String::new(),
            LocalPattern::Exact => "::".to_owned(),
            LocalPattern::Any => "::*".to_owned(),
            LocalPattern::Named(parts) => format!("::{}", join(parts)),
        };
        format!("{}::/{}{local}", self.resource_type, join(&self.namespace))
    }
}
