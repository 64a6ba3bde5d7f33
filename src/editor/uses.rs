//! Where a role or a variable comes from and where it is used.

use crate::{
    editor::{
        Documents, Place,
        cursor::{self, Found, Symbol},
    },
    lint::walk::{claims, comparisons, constants, segments},
    source::Span,
    syntax::{
        Parse,
        ast::{Asserted, Comparison, Name, Operator, Piece, Policy, Segment, Value},
    },
};

/// One place where a role is named.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoleUse<'a> {
    pub(super) document: usize,
    /// The resource type of the policy that it stands in.
    pub(super) on: &'a str,
    pub(super) value: &'a Value,
    /// Whether a rule asserts it here. Else a condition asks for it.
    pub(super) asserts: bool,
}

/// The role that a value names: asserted, or asked for by name. The roles of an approver are asked for as a fact.
pub(super) fn role_of<'a>(found: &Found<'a>) -> Option<&'a str> {
    match found.symbol {
        Symbol::Asserted { claim_type, value } if claim_type.text == "role" => value.constant(),
        Symbol::Compared { comparison, value } if asks_by_name(comparison) => value.constant(),
        Symbol::Asserted { .. }
        | Symbol::Compared { .. }
        | Symbol::Realm(_)
        | Symbol::ClaimType(_)
        | Symbol::Issuer(_)
        | Symbol::FactType { .. }
        | Symbol::Operator(_)
        | Symbol::Variable(_) => None,
    }
}

/// Whether a comparison is on roles, those of the principal or those of an approver (reference section 9). What an
/// identity provider calls a role is another matter.
pub(super) fn is_on_roles(comparison: &Comparison) -> bool {
    let issuer = comparison.issuer.as_ref().map(|it| it.text.as_str());
    comparison.claim_type.text == "role" && matches!(issuer, None | Some("approval"))
}

/// Whether a comparison is on roles, and on their names as wholes.
pub(super) fn asks_by_name(comparison: &Comparison) -> bool {
    let by_name = [Operator::Equal, Operator::Equals, Operator::In, Operator::NotEqual];
    is_on_roles(comparison) && by_name.contains(&comparison.operator)
}

/// Every place of a document where a role is named, in no particular order.
pub(super) fn role_uses(document: usize, parse: &Parse) -> impl Iterator<Item = RoleUse<'_>> {
    parse.document.policies.iter().flat_map(move |policy| {
        let on = policy.realm.resource_type.text.as_str();
        let claims = claims(policy).into_iter().map(|place| place.claim).filter(|it| it.claim_type.text == "role");
        let asserted = claims.flat_map(constants).map(move |(value, _)| RoleUse { document, on, value, asserts: true });
        let asking = comparisons(policy).into_iter().filter(|it| asks_by_name(it)).flat_map(|it| &it.values);
        let asked = asking.filter(|it| it.constant().is_some());
        asserted.chain(asked.map(move |value| RoleUse { document, on, value, asserts: false }))
    })
}

/// Every place of all documents where this role is named, by document and place.
pub(super) fn uses_of<'a>(documents: &Documents<'a>, role: &str) -> Vec<RoleUse<'a>> {
    let all = documents.iter().enumerate().flat_map(|(at, &(_, parse))| role_uses(at, parse));
    let mut uses: Vec<RoleUse<'a>> = all.filter(|it| it.value.constant() == Some(role)).collect();
    uses.sort_by_key(|it| (it.document, it.value.span));
    uses
}

/// Every place of a policy where a variable stands, the one that binds it first. The spans have the brackets.
pub(super) fn variable_uses<'a>(policy: &'a Policy, variable: &str) -> Vec<&'a Name> {
    let bound = segments(&policy.realm).filter_map(|it| match it {
        Segment::Variable(name) => Some(name),
        Segment::Literal(_) => None,
    });
    let asserted = claims(policy).into_iter().flat_map(|it| &it.claim.asserted).filter_map(|it| match it {
        Asserted::Value(value) => Some(value),
        Asserted::Reference { .. } => None,
    });
    let compared = comparisons(policy).into_iter().flat_map(|it| &it.values);
    let pieces = asserted.chain(compared).flat_map(|it| &it.pieces);
    let used = pieces.filter_map(|it| match it {
        Piece::Variable(name) => Some(name),
        Piece::Text(_) => None,
    });
    bound.chain(used).filter(|it| it.text == variable).collect()
}

/// Where what stands at a place comes from: the rules that assert a role, the segment that binds a variable.
///
/// A role holds on the resource type on which it is asserted, so rules of that type are the answer where there are any.
///
/// ```
/// use gatehouse::{editor::definitions, source::Source, syntax::parse};
///
/// let text = "job::/ { if (LDAP->group == ops) { role sre } }\njob::/a { if (role == sre) { permit ssh } }";
/// let source = Source::new("a.pol", text.as_bytes().to_vec())?;
/// let parsed = parse(&source);
/// let places = definitions(&[(&source, &parsed)], 0, text.rfind("sre").unwrap());
/// assert_eq!(places[0].span.start, text.find("sre").unwrap());
/// # Ok::<(), gatehouse::source::SourceError>(())
/// ```
pub fn definitions(documents: &Documents<'_>, document: usize, offset: usize) -> Vec<Place> {
    let Some((_, parse)) = documents.get(document) else { return Vec::new() };
    let Some(found) = cursor::at(&parse.document, offset) else { return Vec::new() };
    if let Symbol::Variable(name) = found.symbol {
        let bound = variable_uses(found.policy, &name.text).first().map(|it| it.span);
        return bound
            .filter(|it| found.policy.realm.span.end >= it.end)
            .map(|it| place(document, it))
            .into_iter()
            .collect();
    }
    let Some(role) = role_of(&found) else { return Vec::new() };
    let mut asserting = uses_of(documents, role);
    asserting.retain(|it| it.asserts);
    let on = found.policy.realm.resource_type.text.as_str();
    if asserting.iter().any(|it| it.on == on) {
        asserting.retain(|it| it.on == on);
    }
    asserting.iter().map(|it| place(it.document, it.value.span)).collect()
}

/// Every place where what stands at a place is used, with the places that it comes from if these are wanted too.
pub fn references(documents: &Documents<'_>, document: usize, offset: usize, with_definitions: bool) -> Vec<Place> {
    let Some((_, parse)) = documents.get(document) else { return Vec::new() };
    let Some(found) = cursor::at(&parse.document, offset) else { return Vec::new() };
    if let Symbol::Variable(name) = found.symbol {
        let realm = found.policy.realm.span;
        let all = variable_uses(found.policy, &name.text).into_iter().map(|it| it.span);
        let wanted = all.filter(|it| with_definitions || realm.end < it.end);
        return wanted.map(|it| place(document, it)).collect();
    }
    let Some(role) = role_of(&found) else { return Vec::new() };
    let uses = uses_of(documents, role).into_iter().filter(|it| with_definitions || !it.asserts);
    uses.map(|it| place(it.document, it.value.span)).collect()
}

fn place(document: usize, span: Span) -> Place {
    Place { document, span }
}
