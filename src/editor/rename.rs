//! Another name for a role, in every document of a set, or for a variable of a policy.

use unicode_normalization::is_nfc;

use crate::{
    compile::{condition::Test, realm::Variables},
    diagnostic::{Edit, Fix, mend, printable::short},
    editor::{
        Documents,
        cursor::{self, Found, Symbol},
        uses::{asks_by_name, is_on_roles, role_of, role_uses, uses_of, variable_uses},
    },
    lint::walk::{comparisons, in_place_of},
    source::{Source, Span},
    syntax::{ast::Comparison, character::is_forbidden_control, parse, realm::is_variable_character},
};

/// Why something cannot be renamed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenameRefusal {
    /// Neither a role nor a variable stands there.
    #[error("only roles and variables can be renamed")]
    NothingHere,
    /// A use of the role may stand where nothing could be read.
    #[error("`{0}` has errors; mend them first, or a use of the role could be missed")]
    Unreadable(String),
    /// Documents that come with the program name it.
    #[error("`{0}` is a role of the system documents, which cannot be changed")]
    OfTheSystem(String),
    /// There is such a role, or such a variable, already.
    #[error("`{0}` is in use already; two would become one")]
    InUse(String),
    /// A condition on the role's text would decide otherwise.
    #[error("the condition in `{document}`, line {line}, would decide otherwise for `{name}`")]
    ToldApart {
        /// The document.
        document: String,
        /// From 1.
        line: usize,
        /// The new name.
        name: String,
    },
    /// No role or variable can be called this.
    #[error("`{0}` cannot be the name")]
    BadName(String),
}

/// The place and the text that a new name would replace; a variable's without its brackets, a string's without its
/// quotes.
pub fn renameable(documents: &Documents<'_>, document: usize, offset: usize) -> Result<(Span, String), RenameRefusal> {
    let found = found(documents, document, offset)?;
    if let Symbol::Variable(name) = found.symbol {
        return Ok((within(name.span), name.text.to_string()));
    }
    let role = role_of(&found).ok_or(RenameRefusal::NothingHere)?;
    let Some((source, _)) = documents.get(document) else { return Err(RenameRefusal::NothingHere) };
    let quoted = source.slice(found.span).starts_with('"');
    Ok((if quoted { within(found.span) } else { found.span }, role.to_owned()))
}

/// The edits, each with the index of its document, that give what stands at a place another name.
///
/// A role is renamed on every resource type, because authors assert one on several and mean the same by it. The
/// documents must be readable to the end, and afterwards they grant what they granted before: a name that is in use
/// already is refused, and so is one that a condition on the text of roles (`role beginsWith "sre-"`) would tell apart
/// from the old one. `system` are the documents that come with the program; their roles keep their names.
pub fn rename(
    documents: &Documents<'_>,
    system: &Documents<'_>,
    (document, offset): (usize, usize),
    name: &str,
) -> Result<Vec<(usize, Edit)>, RenameRefusal> {
    let found = found(documents, document, offset)?;
    let edits = match found.symbol {
        Symbol::Variable(variable) => rename_variable(document, &found, &variable.text, name)?,
        Symbol::Realm(_)
        | Symbol::ClaimType(_)
        | Symbol::Asserted { .. }
        | Symbol::Issuer(_)
        | Symbol::FactType { .. }
        | Symbol::Operator(_)
        | Symbol::Compared { .. } => {
            let role = role_of(&found).ok_or(RenameRefusal::NothingHere)?;
            rename_role(documents, system, role, name)?
        }
    };
    if leaves_readable(documents, &edits) { Ok(edits) } else { Err(RenameRefusal::BadName(short(name))) }
}

fn found<'a>(documents: &Documents<'a>, document: usize, offset: usize) -> Result<Found<'a>, RenameRefusal> {
    let at = documents.get(document).and_then(|(_, parse)| cursor::at(&parse.document, offset));
    at.ok_or(RenameRefusal::NothingHere)
}

/// A span without what stands around its text: quotes or brackets, one byte each.
fn within(span: Span) -> Span {
    Span::new(span.start.saturating_add(1), span.end.saturating_sub(1))
}

fn rename_variable(
    document: usize,
    found: &Found<'_>,
    old: &str,
    name: &str,
) -> Result<Vec<(usize, Edit)>, RenameRefusal> {
    if name.is_empty() || !name.chars().all(is_variable_character) || !is_nfc(name) {
        return Err(RenameRefusal::BadName(short(name)));
    }
    if old != name && !variable_uses(found.policy, name).is_empty() {
        return Err(RenameRefusal::InUse(short(name)));
    }
    let uses = variable_uses(found.policy, old).into_iter();
    Ok(uses.map(|it| (document, Edit { span: within(it.span), text: name.to_owned() })).collect())
}

fn rename_role(
    documents: &Documents<'_>,
    system: &Documents<'_>,
    role: &str,
    name: &str,
) -> Result<Vec<(usize, Edit)>, RenameRefusal> {
    if let Some((source, _)) = documents.iter().find(|(_, parse)| !parse.is_usable()) {
        return Err(RenameRefusal::Unreadable(short(source.document())));
    }
    if name.is_empty() || !is_nfc(name) || name.chars().any(|c| is_forbidden_control(c) || matches!(c, '\r' | '\n')) {
        return Err(RenameRefusal::BadName(short(name)));
    }
    if !uses_of(system, role).is_empty() {
        return Err(RenameRefusal::OfTheSystem(short(role)));
    }
    if role != name && !(uses_of(documents, name).is_empty() && uses_of(system, name).is_empty()) {
        return Err(RenameRefusal::InUse(short(name)));
    }
    told_apart(documents, role, name)?;
    let uses = uses_of(documents, role).into_iter();
    Ok(uses.map(|it| (it.document, Edit { span: it.value.span, text: in_place_of(it.value, name) })).collect())
}

/// Refuses a name that some condition on the text of roles would tell apart from the old one.
fn told_apart(documents: &Documents<'_>, role: &str, name: &str) -> Result<(), RenameRefusal> {
    for (source, parse) in documents {
        let mut comparisons = parse.document.policies.iter().flat_map(comparisons).filter(|it| is_on_roles(it));
        if let Some(comparison) = comparisons.find(|it| tells_apart(it, role, name)) {
            return Err(RenameRefusal::ToldApart {
                document: short(source.document()),
                line: source.line(comparison.span.start),
                name: short(name),
            });
        }
    }
    Ok(())
}

fn tells_apart(comparison: &Comparison, role: &str, name: &str) -> bool {
    // What a variable will be is not known here.
    if comparison.values.iter().any(|it| it.constant().is_none()) {
        return role != name;
    }
    let test = Test::new(comparison.operator, &comparison.values, &Variables::default());
    !asks_by_name(comparison) && test.holds_of(role, &[]) != test.holds_of(name, &[])
}

/// Whether the documents can be read with the edits in them, and name as many roles as before.
fn leaves_readable(documents: &Documents<'_>, edits: &[(usize, Edit)]) -> bool {
    documents.iter().enumerate().all(|(at, &(source, before))| {
        let own: Vec<Edit> = edits.iter().filter(|(document, _)| *document == at).map(|(_, it)| it.clone()).collect();
        if own.is_empty() {
            return true;
        }
        let fix = Fix { title: String::new(), safe: true, edits: own };
        let text = mend::apply(source.text(), &[&fix]).text;
        let Ok(renamed) = Source::new(source.name(), text.into_bytes()) else { return false };
        let after = parse(&renamed);
        after.is_usable() && role_uses(at, &after).count() == role_uses(at, before).count()
    })
}
