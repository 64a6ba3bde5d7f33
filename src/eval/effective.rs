//! Restricting claims and scalars: what holds of them once all claims are asserted (reference section 6).

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    compile::{
        catalogue::{Combines, Measure},
        realm::Specificity,
    },
    eval::{
        Refusal, Request,
        run::{Run, Special},
    },
    syntax::literal::Literal,
};

/// Restricting claims and scalars in force: claim type to its values (one for scalars and for "least wins").
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    /// Ascending by type, the values of each ascending by bytes.
    pub values: BTreeMap<String, Vec<String>>,
    /// The limits `total.*` with the realm over whose sum each stands: unique, ascending.
    pub totals: Vec<Total>,
}

/// A limit on the sum over one realm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Total {
    /// `total.memory`.
    pub claim_type: String,
    /// `2GB`.
    pub value: String,
    /// `quota::/sandbox/tom`, variables replaced by what they are bound to.
    pub realm: String,
}

/// Permits by which someone gets into a job; `ssh.require` speaks of these and not of `read` or `approve`, without
/// which nobody could ever bring what it requires.
const SSH_PERMITS: &[&str] = &["all", "ssh", "shell", "exec", "sftp", "forward", "watch"];

impl Effective {
    /// The one value of a scalar or of a claim of which the least wins.
    pub fn one(&self, claim_type: &str) -> Option<&str> {
        self.values.get(claim_type)?.first().map(String::as_str)
    }

    /// All values of a claim type, none where it is not in force.
    pub fn all(&self, claim_type: &str) -> &[String] {
        self.values.get(claim_type).map(Vec::as_slice).unwrap_or_default()
    }

    /// A duration such as `tokenTimeout` in seconds.
    pub fn seconds(&self, claim_type: &str) -> Option<u64> {
        match Literal::parse(self.one(claim_type)?) {
            Ok(Literal::Duration(seconds)) => Some(seconds),
            Ok(Literal::Number(_) | Literal::Size(_) | Literal::Rate(_) | Literal::Date(_) | Literal::Clock(_))
            | Err(_) => None,
        }
    }
}

/// What is in force, and what of it refuses the request: unique, ascending.
pub(crate) fn effective(run: &Run<'_>) -> (Effective, Vec<Refusal>) {
    if run.special.is_empty() {
        return (Effective::default(), Vec::new());
    }
    let mut by_type: BTreeMap<&str, Vec<&Special<'_>>> = BTreeMap::new();
    for special in &run.special {
        by_type.entry(run.set.slots.claim_type(special.slot)).or_default().push(special);
    }
    let mut restriction = Restriction { run, effective: Effective::default(), refusals: BTreeSet::new() };
    for (claim_type, asserted) in by_type {
        let Some(combines) = asserted.first().map(|it| it.combines) else { continue };
        let values = restriction.values(claim_type, combines, &asserted);
        if !values.is_empty() {
            restriction.effective.values.insert(claim_type.to_owned(), values.into_iter().map(str::to_owned).collect());
        }
    }
    restriction.effective.totals.sort_unstable();
    restriction.effective.totals.dedup();
    (restriction.effective, restriction.refusals.into_iter().collect())
}

struct Restriction<'r, 'a> {
    run: &'r Run<'a>,
    effective: Effective,
    refusals: BTreeSet<Refusal>,
}

impl Restriction<'_, '_> {
    /// The values of one type that are in force.
    fn values<'s>(&mut self, claim_type: &str, combines: Combines, asserted: &[&'s Special<'_>]) -> BTreeSet<&'s str> {
        let all: BTreeSet<&str> = asserted.iter().map(|it| it.value.as_ref()).collect();
        match combines {
            Combines::Union | Combines::Each => all,
            Combines::Scalar => self.scalar(claim_type, asserted),
            Combines::Total(measure) => {
                self.totals(claim_type, asserted);
                self.read(claim_type, &all, |it| amount(measure, it));
                all
            }
            Combines::Least(measure) => {
                let read = self.read(claim_type, &all, |it| amount(measure, it));
                read.into_iter().min().map(|(_, value)| value).into_iter().collect()
            }
            Combines::Most(order) => {
                let read = self.read(claim_type, &all, |it| order.iter().position(|name| *name == it));
                read.into_iter().max().map(|(_, value)| value).into_iter().collect()
            }
            Combines::Require => {
                self.require(&all);
                all
            }
            Combines::Log => self.log(asserted),
        }
    }

    /// The values with what they come to; one that comes to nothing refuses, because nobody could hold to it.
    fn read<'s, T>(
        &mut self,
        claim_type: &str,
        values: &BTreeSet<&'s str>,
        amount: impl Fn(&str) -> Option<T>,
    ) -> Vec<(T, &'s str)> {
        let mut read = Vec::new();
        for value in values {
            match amount(value) {
                Some(amount) => read.push((amount, *value)),
                None => {
                    let (claim_type, value) = (claim_type.to_owned(), (*value).to_owned());
                    self.refusals.insert(Refusal::Unreadable { claim_type, value });
                }
            }
        }
        read
    }

    /// The values on the most specific realms; where they are several, which of them holds is not for us to say.
    fn scalar<'s>(&mut self, claim_type: &str, asserted: &[&'s Special<'_>]) -> BTreeSet<&'s str> {
        let most = asserted.iter().filter_map(|it| self.specificity(it)).max();
        let on_most = asserted.iter().filter(|it| self.specificity(it) == most);
        let values: BTreeSet<&str> = on_most.map(|it| it.value.as_ref()).collect();
        self.refusals.extend(conflict(claim_type, &values));
        values
    }

    fn totals(&mut self, claim_type: &str, asserted: &[&Special<'_>]) {
        for it in asserted {
            let Some(matched) = self.run.policies.get(it.policy) else { continue };
            let realm = matched.policy.realm.text(&matched.bound);
            self.effective.totals.push(Total { claim_type: claim_type.to_owned(), value: it.value.to_string(), realm });
        }
    }

    fn require(&mut self, names: &BTreeSet<&str>) {
        if !opens_ssh(self.run.request) {
            return;
        }
        let missing = names.iter().filter(|it| !brings(self.run.request, it));
        self.refusals.extend(missing.map(|it| Refusal::Required { fact: (*it).to_owned() }));
    }

    /// `none` cancels what its own realm and less specific ones assert.
    fn log<'s>(&self, asserted: &[&'s Special<'_>]) -> BTreeSet<&'s str> {
        let none = asserted.iter().filter(|it| it.value == "none").filter_map(|it| self.specificity(it)).max();
        let kept: BTreeSet<&str> =
            asserted.iter().filter(|it| self.specificity(it) > none).map(|it| it.value.as_ref()).collect();
        if kept.is_empty() { BTreeSet::from(["none"]) } else { kept }
    }

    fn specificity(&self, special: &Special<'_>) -> Option<Specificity> {
        self.run.policies.get(special.policy).map(|it| it.policy.realm.specificity())
    }
}

/// The refusal that two values of what can have only one come to.
pub(crate) fn conflict(claim_type: &str, values: &BTreeSet<&str>) -> Option<Refusal> {
    let mut values = values.iter();
    let (first, second) = (values.next()?, values.next()?);
    Some(Refusal::Conflict {
        claim_type: claim_type.to_owned(),
        first: (*first).to_owned(),
        second: (*second).to_owned(),
    })
}

fn opens_ssh(request: &Request) -> bool {
    request.want().iter().any(|it| it.claim_type == "permit" && SSH_PERMITS.contains(&it.value.as_str()))
}

/// Whether the request has a fact of this name: `issuer->type`, `approval` for any fact of an approval, else context.
/// What a token's issuer says under the same type name does not count.
fn brings(request: &Request, name: &str) -> bool {
    request.facts().iter().any(|fact| match name.split_once("->") {
        Some((issuer, claim_type)) => !issuer.is_empty() && fact.issuer == issuer && fact.claim_type == claim_type,
        None if name == "approval" => fact.issuer == "approval",
        None => fact.issuer.is_empty() && fact.claim_type == name,
    })
}

/// A limit in the unit of its measure.
fn amount(measure: Measure, text: &str) -> Option<u64> {
    match (measure, Literal::parse(text).ok()?) {
        (Measure::Size, Literal::Size(amount))
        | (Measure::Rate, Literal::Rate(amount))
        | (Measure::Duration, Literal::Duration(amount))
        | (Measure::Number, Literal::Number(amount)) => Some(amount),
        (
            Measure::Size | Measure::Rate | Measure::Duration | Measure::Number,
            Literal::Number(_)
            | Literal::Size(_)
            | Literal::Rate(_)
            | Literal::Duration(_)
            | Literal::Date(_)
            | Literal::Clock(_),
        ) => None,
    }
}
