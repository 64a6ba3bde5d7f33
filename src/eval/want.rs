//! Which asserted claim meets a want (reference section 6).

use smallvec::SmallVec;

use crate::{
    compile::{
        catalogue::{Covers, covers},
        realm::Pattern,
    },
    eval::{Claim, image, run::Run},
    syntax::fqn::Fqn,
};

/// For each want, unique and in the request's order, the asserted claim of least height that covers it.
pub(crate) fn met<'r>(run: &Run<'r>) -> SmallVec<[(&'r Claim, Option<usize>); 2]> {
    let mut seen = std::collections::BTreeSet::new();
    let all = run.request.want();
    // One is not noted, which would take memory.
    let wants = all.iter().filter(|it| all.len() == 1 || seen.insert(*it));
    wants.map(|want| (want, covering(run, want))).collect()
}

fn covering(run: &Run<'_>, want: &Claim) -> Option<usize> {
    let slot = run.slot(&want.claim_type)?;
    if run.set.slots.covers(slot) == Covers::Equal {
        return run.number_of(slot, &want.value);
    }
    // Claims come by height, and then by document and place.
    run.claims_of(&want.claim_type)
        .find(|(_, it)| covers_value(&want.claim_type, &it.value, &want.value))
        .map(|(at, _)| at)
}

/// Whether an asserted value of a type covers a wanted one.
pub(crate) fn covers_value(claim_type: &str, asserted: &str, wanted: &str) -> bool {
    match covers(claim_type) {
        Covers::Equal => asserted == wanted,
        Covers::Realm => {
            let realm = Pattern::parse(asserted);
            realm.zip(Fqn::parse(wanted).ok()).is_some_and(|(realm, name)| realm.contains(&name, &[]))
        }
        Covers::Image => image::covers(asserted, wanted),
    }
}
