//! Realms as a tree of segments, however it is kept: which policies speak of a name is a walk over its segments.

use smallvec::SmallVec;

use crate::syntax::fqn::Fqn;

/// Places for what realms begin with.
pub(super) trait Tree {
    /// Calls a place.
    type At: Copy;
    /// Policies on one realm.
    type List: Copy;

    /// The place of a resource type.
    fn root(&self, resource_type: &str) -> Option<Self::At>;

    /// Where a literal segment leads.
    fn child(&self, at: Self::At, segment: &str) -> Option<Self::At>;

    /// What stands at a place.
    fn standing(&self, at: Self::At) -> Option<Standing<Self::At, Self::List>>;
}

/// What stands at a place.
#[derive(Debug)]
pub(super) struct Standing<A, L> {
    /// Where any segment leads.
    pub(super) variable: Option<A>,
    /// The root of the local names.
    pub(super) named: Option<A>,
    /// The policies on this and all below it.
    pub(super) below: L,
    pub(super) exact: L,
    pub(super) any: L,
}

/// A few places.
type Places<T> = SmallVec<[<T as Tree>::At; 8]>;

/// The lists whose policies may speak of the name. It is a superset of those that do by variables that occur twice; the
/// caller binds.
pub(super) fn lists<T: Tree>(tree: &T, name: &Fqn) -> SmallVec<[T::List; 16]> {
    let mut found = SmallVec::new();
    // Each place is a prefix of some realm and is reached once, so this is at most as many as realms have segments.
    let mut here: Places<T> = tree.root(name.resource_type()).into_iter().collect();
    for segment in name.namespace() {
        here = step(tree, &here, segment, |it| found.push(it.below));
    }
    let mut named = Places::<T>::new();
    for it in here.iter().filter_map(|it| tree.standing(*it)) {
        found.extend([it.below, it.exact]);
        if name.local().is_some() {
            found.push(it.any);
            named.extend(it.named);
        }
    }
    // Of no local name nothing is below, so the roots have nothing to tell.
    for segment in name.local().unwrap_or_default() {
        named = step(tree, &named, segment, |it| found.push(it.below));
    }
    found.extend(named.iter().filter_map(|it| tree.standing(*it)).map(|it| it.below));
    found
}

/// Where a segment leads; `tell` gets what stands where it comes from.
fn step<T: Tree>(
    tree: &T,
    from: &[T::At],
    segment: &str,
    mut tell: impl FnMut(&Standing<T::At, T::List>),
) -> Places<T> {
    let mut next = Places::<T>::new();
    for at in from {
        next.extend(tree.child(*at, segment));
        if let Some(standing) = tree.standing(*at) {
            tell(&standing);
            next.extend(standing.variable);
        }
    }
    next
}
