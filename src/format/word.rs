//! Words, strings and names as text: what is never broken over lines.

use crate::syntax::{
    ast::{Asserted, Comparison, Local, Piece, Realm, Segment, Value},
    character::{is_name, is_word},
    realm::is_variable_character,
};

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// As the tree has them.
    Kept,
    /// The tree's, but for plain names of permits and roles, which stand bare.
    Canonical,
}

/// Words that stand in quotes where they are meant as text: two are reserved, the others are what people write who know
/// another language.
const LOADED: [&str; 8] = ["on", "if", "in", "and", "or", "not", "else", "deny"];

impl Quotes {
    /// A value that a claim of this type has.
    pub(super) fn asserted(self, claim_type: &str, asserted: &Asserted) -> String {
        match asserted {
            Asserted::Value(value) => self.value(claim_type, value),
            Asserted::Reference { issuer, claim_type, .. } => format!("{}->{}", issuer.text, claim_type.text),
        }
    }

    /// A value that a claim of the engine of this type has or is compared with; of others' claims the type is empty.
    fn value(self, claim_type: &str, value: &Value) -> String {
        let is_of_names = self == Self::Canonical && matches!(claim_type, "permit" | "role");
        match (value.pieces.as_slice(), value.constant()) {
            (_, Some(text)) if !value.quoted && is_bare(text) => text.to_owned(),
            (_, Some(text)) if is_of_names && is_plain_name(text) => text.to_owned(),
            ([Piece::Variable(name)], _) if !value.quoted => format!("[{}]", name.text),
            (pieces, _) => quoted(pieces),
        }
    }

    /// One value of a comparison.
    pub(super) fn compared(self, comparison: &Comparison, value: &Value) -> String {
        let claim_type = if comparison.issuer.is_none() { comparison.claim_type.text.as_str() } else { "" };
        self.value(claim_type, value)
    }
}

/// `issuer->type operator`.
pub(super) fn subject(comparison: &Comparison) -> String {
    let (claim_type, operator) = (&comparison.claim_type.text, comparison.operator.text());
    match &comparison.issuer {
        Some(issuer) => format!("{}->{claim_type} {operator}", issuer.text),
        None => format!("{claim_type} {operator}"),
    }
}

/// A string; what stands in it is read back as these pieces and no others.
pub(super) fn quoted(pieces: &[Piece]) -> String {
    let mut out = String::from("\"");
    for piece in pieces {
        match piece {
            Piece::Text(text) => escape(&mut out, text),
            Piece::Variable(name) => out.extend(["[", name.text.as_str(), "]"]),
        }
    }
    out.push('"');
    out
}

fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\', '[']) {
        let (before, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(before);
        let mut chars = special.chars();
        let Some(c) = chars.next() else { return };
        rest = chars.as_str();
        if c != '[' || begins_variable(rest) {
            out.push('\\');
        }
        out.push(c);
    }
    out.push_str(rest);
}

/// Whether a `[` before this text would be a variable.
fn begins_variable(behind: &str) -> bool {
    // A look at a name of any length for each `[` is linear: no name has a `[` in it.
    let end = behind.find(|c| !is_variable_character(c));
    end.is_some_and(|end| end > 0 && behind.get(end..).is_some_and(|it| it.starts_with(']')))
}

/// Whether the text is one word of the language that stands for itself wherever a value belongs.
fn is_bare(text: &str) -> bool {
    let is_comment = text.contains("//") || text.starts_with("/*");
    !text.is_empty() && text.chars().all(is_word) && !is_comment && !matches!(text, "on" | "if")
}

fn is_plain_name(text: &str) -> bool {
    let is_loaded = LOADED.iter().any(|it| text.eq_ignore_ascii_case(it));
    text.starts_with(|c: char| c.is_alphanumeric()) && text.chars().all(is_name) && !is_loaded
}

/// The realm of a policy.
pub(super) fn realm(realm: &Realm) -> String {
    let mut out = format!("{}::/", realm.resource_type.text);
    path(&mut out, &realm.namespace);
    if realm.trailing_slash {
        out.push('/');
    }
    match &realm.local {
        Local::Below => (),
        Local::Exact => out.push_str("::"),
        Local::Any => out.push_str("::*"),
        Local::Named(segments) => {
            out.push_str("::");
            path(&mut out, segments);
        }
    }
    out
}

fn path(out: &mut String, segments: &[Segment]) {
    for (at, segment) in segments.iter().enumerate() {
        if at > 0 {
            out.push('/');
        }
        match segment {
            Segment::Literal(name) => out.push_str(&name.text),
            Segment::Variable(name) => out.extend(["[", name.text.as_str(), "]"]),
        }
    }
}
