//! The syntax tree: what a document says, with the place of every word.
//!
//! Depth is bounded by `limits::NESTING_MAX`, so walks may recurse.

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::source::Span;

/// One document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Document {
    /// The line `<continuum-policy ...>`, kept byte for byte.
    pub header: Option<Header>,
    /// In source order.
    pub policies: Vec<Policy>,
}

/// The header line of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// From `<` to `>`.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// A realm and its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The word `on`, where it stands.
    pub on: Option<Span>,
    /// What the rules speak of.
    pub realm: Realm,
    /// The rules.
    pub block: Block,
    /// From `on` or the realm to the closing brace.
    pub span: Span,
}

/// One thing in braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// `if (...) { ... }`
    Rule(Rule),
    /// `{ ... }`
    Block(Block),
    /// `permit ssh`
    Claim(Claim),
}

/// Items that apply when the condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The word `if`.
    pub keyword: Span,
    /// What must hold.
    pub condition: Expr,
    /// What then applies.
    pub block: Block,
    /// From `if` to the closing brace.
    pub span: Span,
}

/// Items in braces.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// In source order.
    pub items: Vec<Item>,
    /// From `{` to `}`, both included.
    pub span: Span,
}

/// One claim type with the values it is asserted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// `permit`, `role`, `docker.allow`.
    pub claim_type: Name,
    /// At least one.
    pub asserted: SmallVec<[Asserted; 1]>,
    /// From the type to the last value.
    pub span: Span,
}

/// What a claim is asserted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asserted {
    /// A constant, or a text with variables.
    Value(Value),
    /// Every value of a fact: `Google->email`.
    Reference {
        /// `Google`.
        issuer: Name,
        /// `email`.
        claim_type: Name,
        /// Both and the arrow.
        span: Span,
    },
}

/// A word with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The text. Most are short, and stand in the tree itself.
    pub text: SmolStr,
    /// Where.
    pub span: Span,
}

/// A literal value, perhaps with variables in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Text and variables in order; adjacent texts are merged; empty for `""`.
    pub pieces: SmallVec<[Piece; 1]>,
    /// Whether it stands in quotes.
    pub quoted: bool,
    /// With the quotes.
    pub span: Span,
}

/// A part of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text with escapes resolved.
    Text(SmolStr),
    /// `[name]`; the span has the brackets.
    Variable(Name),
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// `a || b || c`: at least two.
    Or(Vec<Self>),
    /// `a && b && c`: at least two.
    And(Vec<Self>),
    /// `( a )`.
    Group(Box<Self>, Span),
    /// `issuer->type == value`.
    Comparison(Comparison),
}

/// One test of one claim type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Absent for what the engine asserts and for context.
    pub issuer: Option<Name>,
    /// `name`.
    pub claim_type: Name,
    /// How.
    pub operator: Operator,
    /// Where the operator stands.
    pub operator_span: Span,
    /// One value, or with `in` at least one.
    pub values: SmallVec<[Value; 1]>,
    /// All of it.
    pub span: Span,
}

/// The operators, `equals` apart from `==` only for the formatter's sake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// `==`
    Equal,
    /// `equals`
    Equals,
    /// `beginsWith`
    BeginsWith,
    /// `endsWith`
    EndsWith,
    /// `fqnMatch`
    FqnMatch,
    /// `!=`
    NotEqual,
    /// `contains`
    Contains,
    /// `matches`
    Matches,
    /// `inCidr`
    InCidr,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `in ( ... )`
    In,
}

impl Operator {
    /// All of them, as a list of them reads best.
    pub const ALL: &[Self] = &[
        Self::Equal,
        Self::Equals,
        Self::NotEqual,
        Self::In,
        Self::BeginsWith,
        Self::EndsWith,
        Self::FqnMatch,
        Self::Contains,
        Self::Matches,
        Self::InCidr,
        Self::Less,
        Self::LessOrEqual,
        Self::Greater,
        Self::GreaterOrEqual,
    ];

    /// As it is written.
    pub fn text(self) -> &'static str {
        match self {
            Self::Equal => "==",
            Self::Equals => "equals",
            Self::BeginsWith => "beginsWith",
            Self::EndsWith => "endsWith",
            Self::FqnMatch => "fqnMatch",
            Self::NotEqual => "!=",
            Self::Contains => "contains",
            Self::Matches => "matches",
            Self::InCidr => "inCidr",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::In => "in",
        }
    }

    /// Those that are words and stand between two values; `in` stands before a list.
    pub fn words() -> impl Iterator<Item = Self> {
        let is_word = |it: &Self| *it != Self::In && it.text().starts_with(|c: char| c.is_ascii_alphabetic());
        Self::ALL.iter().copied().filter(is_word)
    }
}

/// A pattern of fully qualified names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    /// `job`.
    pub resource_type: Name,
    /// The segments behind `::/`; none for the root.
    pub namespace: Vec<Segment>,
    /// What stands behind the second `::`.
    pub local: Local,
    /// Whether a `/` stood at the end of the namespace behind a segment (it means nothing).
    pub trailing_slash: bool,
    /// All of it.
    pub span: Span,
}

/// The local part of a realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// `job::/sandbox`: the namespace and all below it.
    Below,
    /// `job::/sandbox::`: exactly the namespace, local name given or not.
    Exact,
    /// `job::/sandbox::*`: exactly the namespace, any local name.
    Any,
    /// `job::/sandbox::web`: that name and those below it; at least one segment.
    Named(Vec<Segment>),
}

/// One part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Text; never empty, `.`, `..` or with `*`.
    Literal(Name),
    /// `[name]`; the name is without the brackets, its span with them.
    Variable(Name),
}

// What is derived would keep several items on the stack at each level of nesting.
impl Clone for Block {
    #[inline(never)]
    fn clone(&self) -> Self {
        let mut items = Vec::with_capacity(self.items.len());
        for item in &self.items {
            match item {
                Item::Claim(claim) => push_claim(&mut items, claim),
                Item::Block(block) => push_block(&mut items, block.clone()),
                Item::Rule(rule) => push_rule(&mut items, rule, rule.block.clone()),
            }
        }
        Self { items, span: self.span }
    }
}

#[inline(never)]
fn push_claim(items: &mut Vec<Item>, claim: &Claim) {
    items.push(Item::Claim(claim.clone()));
}

#[inline(never)]
fn push_block(items: &mut Vec<Item>, block: Block) {
    items.push(Item::Block(block));
}

/// Adds a copy of a rule, whose block was copied before.
#[inline(never)]
fn push_rule(items: &mut Vec<Item>, rule: &Rule, block: Block) {
    let (keyword, condition, span) = (rule.keyword, rule.condition.clone(), rule.span);
    items.push(Item::Rule(Rule { keyword, condition, block, span }));
}

impl Segment {
    /// Where it stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Literal(name) | Self::Variable(name) => name.span,
        }
    }
}

impl Expr {
    /// Where it stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Or(parts) | Self::And(parts) => parts.iter().map(Self::span).reduce(Span::to).unwrap_or_default(),
            Self::Group(_, span) => *span,
            Self::Comparison(comparison) => comparison.span,
        }
    }
}

impl Value {
    /// The text, where no variable is in it.
    pub fn constant(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            [Piece::Text(_) | Piece::Variable(_), ..] => None,
        }
    }
}
