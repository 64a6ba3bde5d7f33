//! Realms, templates and comparisons in a run of bytes.
//!
//! ```text
//! realm       resource type, parts, kind of local name (0 below, 1 exact, 2 any, 3 named: then parts)
//! parts       how many; each as a piece
//! template    how many pieces; these
//! piece       2 × length and so many bytes, or 2 × number of a variable + 1
//! comparison  slot, start, length, operator, then of `==` how many templates and these, of `fqnMatch` a realm, else a template
//! ```

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::{
    compile::{
        condition::{Comparison, Test},
        packed::{Reader, Writer},
        realm::{LocalPattern, Part, Pattern},
        set::{Template, TemplatePiece},
        slots::{Slot, Slots},
    },
    source::Span,
    syntax::ast::Operator,
};

impl Writer {
    pub(super) fn realm(&mut self, realm: &Pattern) {
        self.text(&realm.resource_type);
        self.parts(&realm.namespace);
        match &realm.local {
            LocalPattern::Below => self.number(0),
            LocalPattern::Exact => self.number(1),
            LocalPattern::Any => self.number(2),
            LocalPattern::Named(parts) => {
                self.number(3);
                self.parts(parts);
            }
        }
    }

    fn parts(&mut self, parts: &[Part]) {
        self.number(parts.len());
        for part in parts {
            match part {
                Part::Literal(text) => self.literal(text.as_bytes()),
                Part::Variable(number) => self.variable(*number),
            }
        }
    }

    pub(super) fn template<T: AsRef<[u8]>>(&mut self, template: &Template<T>) {
        self.number(template.pieces.len());
        for piece in &template.pieces {
            match piece {
                TemplatePiece::Text(text) => self.literal(text.as_ref()),
                TemplatePiece::Variable(number) => self.variable(*number),
            }
        }
    }

    pub(super) fn comparison(&mut self, comparison: &Comparison) {
        self.number(comparison.slot.0);
        self.number(comparison.span.start);
        self.number(comparison.span.end.saturating_sub(comparison.span.start));
        match &comparison.test {
            Test::Never => self.operator(None),
            Test::Equal(templates) => {
                self.operator(Some(Operator::Equal));
                self.number(templates.len());
                templates.iter().for_each(|it| self.template(it));
            }
            Test::FqnMatch(realm) => {
                self.operator(Some(Operator::FqnMatch));
                self.realm(realm);
            }
            Test::NotEqual(template) => self.of_template(Operator::NotEqual, template),
            Test::BeginsWith(template) => self.of_template(Operator::BeginsWith, template),
            Test::EndsWith(template) => self.of_template(Operator::EndsWith, template),
            Test::Contains(text) => self.of_text(Operator::Contains, text),
            Test::Matches(glob) => self.of_text(Operator::Matches, &glob.to_string()),
            Test::InCidr(network) => self.of_text(Operator::InCidr, &network.to_string()),
            Test::Ordered(operator, literal) => self.of_text(*operator, &literal.to_string()),
        }
    }

    fn of_template(&mut self, operator: Operator, template: &Template) {
        self.operator(Some(operator));
        self.template(template);
    }

    fn of_text(&mut self, operator: Operator, text: &str) {
        self.operator(Some(operator));
        self.number(1);
        self.literal(text.as_bytes());
    }

    /// None is behind the last of all.
    fn operator(&mut self, operator: Option<Operator>) {
        let at = operator.and_then(|it| Operator::ALL.iter().position(|own| *own == it));
        self.number(at.unwrap_or(Operator::ALL.len()));
    }

    fn literal(&mut self, text: &[u8]) {
        self.number(text.len().saturating_mul(2));
        self.bytes(text);
    }

    fn variable(&mut self, number: usize) {
        self.number(number.saturating_mul(2).saturating_add(1));
    }
}

impl<'a> Reader<'a> {
    /// A realm.
    pub(super) fn pattern(&mut self) -> Option<Pattern> {
        let (mut namespace, mut named) = (SmallVec::new(), Vec::new());
        let (resource_type, local) = self.realm(|segment, _, is_local| {
            let part = match segment {
                TemplatePiece::Text(bytes) => Part::Literal(SmolStr::new(std::str::from_utf8(bytes).ok()?)),
                TemplatePiece::Variable(number) => Part::Variable(number),
            };
            if is_local {
                named.push(part);
            } else {
                namespace.push(part);
            }
            Some(())
        })?;
        let local = match local {
            LocalPattern::Below => LocalPattern::Below,
            LocalPattern::Exact => LocalPattern::Exact,
            LocalPattern::Any => LocalPattern::Any,
            LocalPattern::Named(()) => LocalPattern::Named(named),
        };
        Some(Pattern { resource_type: SmolStr::new(resource_type), namespace, local })
    }

    /// Reads a realm; `tell` gets each segment, its number in the namespace or local name, and which of these it is.
    pub(super) fn realm(
        &mut self,
        mut tell: impl FnMut(TemplatePiece<&'a [u8]>, u32, bool) -> Option<()>,
    ) -> Option<(&'a str, LocalPattern<()>)> {
        let resource_type = self.text()?;
        self.parts(|segment, number| tell(segment, number, false))?;
        let local = match self.number()? {
            0 => LocalPattern::Below,
            1 => LocalPattern::Exact,
            2 => LocalPattern::Any,
            _ => LocalPattern::Named(self.parts(|segment, number| tell(segment, number, true))?),
        };
        Some((resource_type, local))
    }

    fn parts(&mut self, mut tell: impl FnMut(TemplatePiece<&'a [u8]>, u32) -> Option<()>) -> Option<()> {
        let count = u32::try_from(self.number()?).ok()?;
        (0..count).try_for_each(|number| tell(self.piece()?, number))
    }

    // Where there is mostly one thing in a list, collecting it costs more than all the rest.
    pub(super) fn template(&mut self) -> Option<Template<&'a [u8]>> {
        let mut pieces = SmallVec::new();
        for _ in 0..self.number()? {
            pieces.push(self.piece()?);
        }
        Some(Template { pieces })
    }

    fn piece(&mut self) -> Option<TemplatePiece<&'a [u8]>> {
        let number = self.number()?;
        let half = number / 2;
        if number % 2 == 1 { Some(TemplatePiece::Variable(half)) } else { self.bytes(half).map(TemplatePiece::Text) }
    }

    pub(super) fn comparison(&mut self, slots: &Slots) -> Option<Comparison> {
        let slot = Slot(self.number()?);
        let start = self.number()?;
        let span = Span::new(start, start.checked_add(self.number()?)?);
        let at = self.number()?;
        let test = match Operator::ALL.get(at) {
            None => Test::Never,
            Some(Operator::Equal) => {
                let count = self.number()?;
                Test::Equal((0..count).map(|_| self.template()?.owned()).collect::<Option<_>>()?)
            }
            Some(Operator::FqnMatch) => Test::FqnMatch(self.pattern()?),
            Some(operator) => Test::of_template(*operator, &self.template()?.owned()?)?,
        };
        Some(Comparison::new(slots, slot, test, span))
    }
}
