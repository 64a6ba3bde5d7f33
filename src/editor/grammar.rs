//! Where in the grammar a place is, told by the words before it, so that it is known in the middle of typing too.

use crate::{
    source::{Source, Span},
    syntax::{ast::Operator, token_spans},
};

/// A place as the grammar sees it, and the word that stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot<'a> {
    pub(super) expects: Expects<'a>,
    /// The resource type of the policy around it, as written; empty outside of one.
    pub(super) on: &'a str,
    /// The realm of the policy around it, as written.
    pub(super) realm: &'a str,
    /// The word at the place, up to where it ends; empty where there is none.
    pub(super) word: Span,
    /// Whether the word begins with a quote.
    pub(super) quoted: bool,
}

/// What may stand at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expects<'a> {
    /// A policy.
    Realm,
    /// `{` of a policy or a rule.
    Brace,
    /// `if`, `{`, a claim.
    Item,
    /// What a claim asserts.
    Asserted { claim_type: &'a str },
    /// A fact's type behind an arrow.
    FactType { issuer: &'a str },
    /// `(` behind `if`.
    Paren,
    /// A comparison.
    Comparison,
    /// `==` and its like.
    Operator,
    /// The right side of one.
    Compared(Comparison<'a>),
    /// `&&`, `||`, `)`.
    Connective,
}

/// The left side and operator of a comparison that is being written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Comparison<'a> {
    pub(super) issuer: Option<&'a str>,
    pub(super) claim_type: &'a str,
    pub(super) operator: &'a str,
}

/// The place at an offset; none within a comment.
pub(super) fn spot(source: &Source, offset: usize) -> Option<Spot<'_>> {
    let mut reader = Reader::default();
    for span in token_spans(source.text()) {
        let text = source.slice(span);
        let touches = span.start < offset && offset <= span.end;
        if touches && text.starts_with("//") {
            return None;
        }
        // Behind a closing quote nobody is within the string any more.
        let closed = text.len() > 1 && text.starts_with('"') && text.ends_with('"') && offset == span.end;
        if offset <= span.start {
            break;
        }
        if touches && begins_word(text) && !closed {
            return Some(reader.spot(span, text, offset));
        }
        reader.word(text);
    }
    Some(reader.spot(Span::at(offset), "", offset))
}

fn begins_word(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_whitespace() || "{}(),<>=!&|".contains(c)) && text != "->"
}

/// Follows the grammar as far as it is kept.
#[derive(Default)]
struct Reader<'a> {
    /// Braces around the place.
    depth: usize,
    /// Parentheses around the place, those of the `if` too.
    parens: usize,
    realm: &'a str,
    at: At<'a>,
}

/// What was read last.
#[derive(Clone, Copy, Default)]
enum At<'a> {
    #[default]
    Outside,
    Realm,
    Item,
    /// A claim's type, or a comma behind a value.
    Claim {
        claim_type: &'a str,
    },
    /// A value of a claim.
    Value {
        claim_type: &'a str,
        value: &'a str,
    },
    /// An arrow behind a value of a claim.
    Arrow {
        claim_type: &'a str,
        issuer: &'a str,
    },
    If,
    Operand,
    /// The first word of a comparison, and what stood before an arrow.
    Left(Comparison<'a>),
    LeftArrow {
        issuer: &'a str,
    },
    Operator(Comparison<'a>),
    /// A value in the list behind `in (`.
    Listed(Comparison<'a>),
    Compared,
    Condition,
}

impl<'a> Reader<'a> {
    fn spot(&self, span: Span, text: &'a str, offset: usize) -> Spot<'a> {
        let on = self.realm.split_once("::").map_or(self.realm, |(on, _)| on);
        let quoted = text.starts_with('"');
        // A string that is not closed goes to the end of its line, and what is typed there belongs to nobody yet.
        let open = quoted && (text.len() == 1 || !text.ends_with('"'));
        let word = if open { Span::new(span.start, offset) } else { span };
        Spot { expects: self.expects(), on, realm: self.realm, word, quoted }
    }

    fn expects(&self) -> Expects<'a> {
        match self.at {
            At::Outside => Expects::Realm,
            At::Realm | At::Condition => Expects::Brace,
            At::Item | At::Value { .. } => Expects::Item,
            At::Claim { claim_type } => Expects::Asserted { claim_type },
            At::Arrow { issuer, .. } | At::LeftArrow { issuer } => Expects::FactType { issuer },
            At::If => Expects::Paren,
            At::Operand => Expects::Comparison,
            At::Left(_) => Expects::Operator,
            At::Operator(comparison) => Expects::Compared(comparison),
            At::Listed(_) | At::Compared => Expects::Connective,
        }
    }

    fn word(&mut self, text: &'a str) {
        if text.starts_with(char::is_whitespace) || text.starts_with("//") || text.starts_with("<continuum-policy") {
            return;
        }
        self.at = match text {
            "{" => {
                self.depth = self.depth.saturating_add(1);
                self.parens = 0;
                At::Item
            }
            "}" => {
                self.depth = self.depth.saturating_sub(1);
                self.parens = 0;
                if self.depth == 0 { self.outside() } else { At::Item }
            }
            "if" if self.depth > 0 && self.parens == 0 => At::If,
            _ => self.next(text),
        };
    }

    fn outside(&mut self) -> At<'a> {
        self.realm = "";
        At::Outside
    }

    fn next(&mut self, text: &'a str) -> At<'a> {
        match self.at {
            At::Outside if text == "on" => At::Outside,
            At::Outside | At::Realm => {
                self.realm = text;
                At::Realm
            }
            At::Claim { claim_type } | At::Arrow { claim_type, .. } => At::Value { claim_type, value: text },
            At::Value { claim_type, .. } if text == "," => At::Claim { claim_type },
            At::Value { claim_type, value } if text == "->" => At::Arrow { claim_type, issuer: value },
            At::Item | At::Condition | At::Value { .. } => At::Claim { claim_type: text },
            At::If
            | At::Operand
            | At::Left(_)
            | At::LeftArrow { .. }
            | At::Operator(_)
            | At::Listed(_)
            | At::Compared => self.in_condition(text),
        }
    }

    fn in_condition(&mut self, text: &'a str) -> At<'a> {
        match (self.at, text) {
            (At::Operator(comparison), "(") if comparison.operator == "in" => At::Operator(comparison),
            (At::Operator(comparison), _) if comparison.operator == "in" => At::Listed(comparison),
            (At::Listed(comparison), ",") => At::Operator(comparison),
            (At::Listed(_), ")") => At::Compared,
            (_, "(") => {
                self.parens = self.parens.saturating_add(1);
                At::Operand
            }
            (_, ")") => {
                self.parens = self.parens.saturating_sub(1);
                if self.parens == 0 { At::Condition } else { At::Compared }
            }
            (_, "&&" | "||") => At::Operand,
            (At::Left(left), "->") => At::LeftArrow { issuer: left.claim_type },
            (At::LeftArrow { issuer }, _) => {
                At::Left(Comparison { issuer: Some(issuer), claim_type: text, operator: "" })
            }
            (At::Left(left), _) if Operator::ALL.iter().any(|it| it.text() == text) => {
                At::Operator(Comparison { operator: text, ..left })
            }
            (At::Operand | At::Left(_), _) => At::Left(Comparison { issuer: None, claim_type: text, operator: "" }),
            _ => At::Compared,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        editor::grammar::{Comparison, Expects, spot},
        source::Source,
    };

    /// What is expected at the `^` of a text.
    fn at(text: &str) -> (String, String) {
        let offset = text.find('^').unwrap();
        let source = Source::new("a.pol", text.replace('^', "").into_bytes()).unwrap();
        let spot = spot(&source, offset).unwrap();
        let expects = match spot.expects {
            Expects::Compared(Comparison { issuer, claim_type, operator }) => {
                format!("{}{claim_type} {operator} ?", issuer.map(|it| format!("{it}->")).unwrap_or_default())
            }
            Expects::Asserted { claim_type } => format!("{claim_type} ?"),
            Expects::FactType { issuer } => format!("{issuer}->?"),
            other @ (Expects::Realm
            | Expects::Brace
            | Expects::Item
            | Expects::Paren
            | Expects::Comparison
            | Expects::Operator
            | Expects::Connective) => format!("{other:?}"),
        };
        (expects, source.slice(spot.word).to_owned())
    }

    #[test]
    fn each_place_of_a_policy_is_known_while_it_is_typed() {
        let cases = [
            ("^", "Realm", ""),
            ("jo^", "Realm", "jo"),
            ("on ^", "Realm", ""),
            ("job::/a ^", "Brace", ""),
            ("job::/a {^", "Item", ""),
            ("job::/a { { per^ } }", "Item", "per"),
            ("job::/a { permit ^", "permit ?", ""),
            ("job::/a { permit re^ad", "permit ?", "read"),
            ("job::/a { permit read ^", "Item", ""),
            ("job::/a { permit read, ^ }", "permit ?", ""),
            ("auth::/ { name Google->^", "Google->?", ""),
            ("auth::/ { name Google->email ^", "Item", ""),
            ("job::/a { if ^", "Paren", ""),
            ("job::/a { if (^", "Comparison", ""),
            ("job::/a { if (LDAP->^", "LDAP->?", ""),
            ("job::/a { if (LDAP->gr^", "LDAP->?", "gr"),
            ("job::/a { if (LDAP->group ^", "Operator", ""),
            ("job::/a { if (LDAP->group == ^", "LDAP->group == ?", ""),
            ("job::/a { if (LDAP->group == \"o^", "LDAP->group == ?", "\"o"),
            ("job::/a { if (LDAP->group == \"o^ps\") {", "LDAP->group == ?", "\"ops\""),
            ("job::/a { if (role == \"x\"^", "Connective", ""),
            ("job::/a { if (role == x ^", "Connective", ""),
            ("job::/a { if (role == x && ^", "Comparison", ""),
            ("job::/a { if (role in (x, ^", "role in ?", ""),
            ("job::/a { if (role in (x) ^", "Connective", ""),
            ("job::/a { if ((a == b) && (^", "Comparison", ""),
            ("job::/a { if (a == b) ^", "Brace", ""),
            ("job::/a { if (a == b) { ^", "Item", ""),
            ("job::/a { if (a == b) { permit ssh } ^", "Item", ""),
            ("job::/a { permit ssh } ^", "Realm", ""),
            ("job::/a { if (a == ^ { permit ssh } }", "a == ?", ""),
        ];
        for (text, expects, word) in cases {
            assert_eq!(at(text), (expects.to_owned(), word.to_owned()), "{text}");
        }
    }

    #[test]
    fn nothing_is_expected_in_a_comment() {
        let source = Source::new("a.pol", b"job::/a { // perm\n}".to_vec()).unwrap();
        assert_eq!(spot(&source, 15), None);
    }
}
