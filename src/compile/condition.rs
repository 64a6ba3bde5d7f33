//! One comparison, ready to be tried on values (reference section 5).

use std::cmp::Ordering;

use smallvec::SmallVec;

use crate::{
    compile::{
        affix::{Affix, Stands},
        glob::Glob,
        realm::{Pattern, Variables},
        set::{Template, TemplatePiece},
        slots::{Slot, Slots},
    },
    source::Span,
    syntax::{
        ast::{Operator, Piece, Value},
        cidr::{Network, parse_address},
        fqn::Fqn,
        literal::Literal,
    },
};

/// `issuer->type operator value`.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) slot: Slot,
    pub(crate) test: Test,
    /// Whether it is on the context `command`, on which only `==` sees shell metacharacters.
    pub(crate) on_command: bool,
    pub(crate) span: Span,
    /// Which of its document's comparisons it is, of those that are tried and not looked up.
    pub(crate) number: Option<usize>,
}

/// What the values are tried for.
#[derive(Debug)]
pub(crate) enum Test {
    /// `==`, `equals`, `in`: some value is one of these.
    Equal(SmallVec<[Template; 1]>),
    /// `!=`: there are values and none is this.
    NotEqual(Template),
    BeginsWith(Template),
    EndsWith(Template),
    Contains(String),
    Matches(Glob),
    FqnMatch(Pattern),
    InCidr(Network),
    /// By one of the operators of order.
    Ordered(Operator, Literal),
    /// The right side is nothing that the operator takes. The reader of documents has refused it already; should one
    /// come through, it grants nothing.
    Never,
}

/// Characters by which a shell does more than run one command with its words as they are.
const SHELL_METACHARACTERS: &[char] =
    &[';', '&', '|', '<', '>', '$', '(', ')', '{', '}', '*', '?', '~', '#', '!', '\\', '\'', '"', '`'];

impl Test {
    /// Makes the test of an operator and its right side.
    pub(crate) fn new(operator: Operator, values: &[Value], variables: &Variables) -> Self {
        Self::of_operator(operator, values, variables).unwrap_or(Self::Never)
    }

    fn of_operator(operator: Operator, values: &[Value], variables: &Variables) -> Option<Self> {
        let templates: SmallVec<[Template; 1]> =
            values.iter().map(|it| template(it, variables)).collect::<Option<_>>()?;
        if operator == Operator::In && !templates.is_empty() {
            return Some(Self::Equal(templates));
        }
        let ([value], [template]) = (values, templates.as_slice()) else { return None };
        match operator {
            Operator::Equal | Operator::Equals => Some(Self::Equal(templates)),
            Operator::FqnMatch => Pattern::of_value(value, variables).map(Self::FqnMatch),
            Operator::NotEqual
            | Operator::In
            | Operator::BeginsWith
            | Operator::EndsWith
            | Operator::Contains
            | Operator::Matches
            | Operator::InCidr
            | Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => Self::of_template(operator, template),
        }
    }

    /// The test of an operator that takes one text and reads no realm in it.
    pub(super) fn of_template(operator: Operator, template: &Template) -> Option<Self> {
        match operator {
            Operator::NotEqual => Some(Self::NotEqual(template.clone())),
            Operator::BeginsWith => Some(Self::BeginsWith(template.clone())),
            Operator::EndsWith => Some(Self::EndsWith(template.clone())),
            Operator::Contains => Some(Self::Contains(template.constant()?.to_owned())),
            Operator::Matches => Some(Self::Matches(Glob::new(template.constant()?))),
            Operator::InCidr => Network::parse(template.constant()?).ok().map(Self::InCidr),
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                Some(Self::Ordered(operator, Literal::parse(template.constant()?).ok()?))
            }
            Operator::Equal | Operator::Equals | Operator::In | Operator::FqnMatch => None,
        }
    }

    /// Whether it is true of this value alone.
    pub(crate) fn holds_of(&self, value: &str, bound: &[&str]) -> bool {
        match self {
            Self::Equal(templates) => templates.iter().any(|it| it.fill(bound) == value),
            Self::Never => false,
            Self::NotEqual(template) => template.fill(bound) != value,
            Self::BeginsWith(template) => value.starts_with(template.fill(bound).as_ref()),
            Self::EndsWith(template) => value.ends_with(template.fill(bound).as_ref()),
            Self::Contains(text) => value.contains(text.as_str()),
            Self::Matches(glob) => glob.matches(value),
            Self::FqnMatch(realm) => Fqn::parse(value).is_ok_and(|it| realm.contains(&it, bound)),
            Self::InCidr(network) => parse_address(value).is_some_and(|it| network.contains(it)),
            Self::Ordered(operator, right) => {
                let order = Literal::parse(value).ok().and_then(|left| left.compare(*right));
                order.is_some_and(|it| is_in_order(*operator, it))
            }
        }
    }
}

impl Comparison {
    /// A test of what a slot holds.
    pub(crate) fn new(slots: &Slots, slot: Slot, test: Test, span: Span) -> Self {
        let on_command = slots.key(slot).is_some_and(|it| it.issuer.is_empty() && it.claim_type == "command");
        Self { slot, test, on_command, span, number: None }
    }

    /// Whether it holds of these values, which are ascending; never where there is none.
    pub(crate) fn holds(&self, values: &[&str], bound: &[&str]) -> bool {
        match &self.test {
            Test::Equal(templates) => templates.iter().any(|it| values.binary_search(&it.fill(bound).as_ref()).is_ok()),
            Test::NotEqual(template) => {
                !values.is_empty()
                    && values.binary_search(&template.fill(bound).as_ref()).is_err()
                    && !values.iter().any(|it| self.is_unreadable(it))
            }
            Test::BeginsWith(_)
            | Test::EndsWith(_)
            | Test::Contains(_)
            | Test::Matches(_)
            | Test::FqnMatch(_)
            | Test::InCidr(_)
            | Test::Ordered(..)
            | Test::Never => values.iter().any(|it| self.holds_of(it, bound)),
        }
    }

    /// Whether this value by itself makes it hold. For `!=` that is so only where it is the only value.
    pub(crate) fn holds_of(&self, value: &str, bound: &[&str]) -> bool {
        let by_text = matches!(self.test, Test::Equal(_));
        (by_text || !self.is_unreadable(value)) && self.test.holds_of(value, bound)
    }

    /// Whether it holds of these values, in any order; never where there is none.
    pub(crate) fn holds_of_each<'v>(&self, mut values: impl Iterator<Item = &'v str>, bound: &[&str]) -> bool {
        let Test::NotEqual(template) = &self.test else { return values.any(|it| self.holds_of(it, bound)) };
        let unwanted = template.fill(bound);
        let Some(first) = values.next() else { return false };
        let mut all = std::iter::once(first).chain(values);
        all.all(|it| it != unwanted && !self.is_unreadable(it))
    }

    /// The values that make it hold, where these are all it asks for.
    pub(crate) fn equal_to(&self) -> Option<&[Template]> {
        if let Test::Equal(templates) = &self.test { Some(templates) } else { None }
    }

    /// A text without which in a value it is not true of that value, where there is one. Without `bound`, what variables are
    /// bound to is not known, and there is one only where there is no variable.
    pub(crate) fn affix<'a>(&'a self, bound: Option<&'a [&'a str]>) -> Option<Affix<'a>> {
        let fill = |template: &'a Template| match bound {
            Some(bound) => Some(template.fill(bound)),
            None => template.constant().map(Into::into),
        };
        let (stands, text) = match &self.test {
            Test::BeginsWith(template) => (Stands::AtStart, fill(template)?),
            Test::EndsWith(template) => (Stands::AtEnd, fill(template)?),
            Test::Contains(text) => (Stands::Anywhere, text.into()),
            Test::Matches(glob) => (Stands::Anywhere, glob.literal().into()),
            Test::FqnMatch(realm) => (Stands::AtStart, realm.start(bound)?.into()),
            Test::Equal(_) | Test::NotEqual(_) | Test::InCidr(_) | Test::Ordered(..) | Test::Never => return None,
        };
        (!text.is_empty()).then_some(Affix { stands, text })
    }

    /// Whether it is true as soon as it is of one value, and finding that value takes trying.
    pub(crate) fn is_of_some_value(&self) -> bool {
        !matches!(self.test, Test::Equal(_) | Test::NotEqual(_) | Test::Never)
    }

    /// Whether it speaks of all values at once, not of some value.
    pub(crate) fn is_of_all_values(&self) -> bool {
        matches!(self.test, Test::NotEqual(_))
    }

    /// A command that a shell would take apart is known only as a whole: `matches "pg_dump *"` must not let
    /// `pg_dump x; sh` in.
    fn is_unreadable(&self, value: &str) -> bool {
        self.on_command && value.contains(|c: char| c.is_control() || SHELL_METACHARACTERS.contains(&c))
    }
}

/// Whether an operator of order holds of what stands in this order.
fn is_in_order(operator: Operator, order: Ordering) -> bool {
    match operator {
        Operator::Less => order.is_lt(),
        Operator::LessOrEqual => order.is_le(),
        Operator::Greater => order.is_gt(),
        Operator::GreaterOrEqual => order.is_ge(),
        Operator::Equal
        | Operator::Equals
        | Operator::NotEqual
        | Operator::In
        | Operator::BeginsWith
        | Operator::EndsWith
        | Operator::FqnMatch
        | Operator::Contains
        | Operator::Matches
        | Operator::InCidr => false,
    }
}

/// A value with its variables numbered; none where one of them is not bound.
fn template(value: &Value, variables: &Variables) -> Option<Template> {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => Some(TemplatePiece::Text(text.clone())),
        Piece::Variable(name) => variables.find(&name.text).map(TemplatePiece::Variable),
    };
    Some(Template { pieces: value.pieces.iter().map(piece).collect::<Option<_>>()? })
}
