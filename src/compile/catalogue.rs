//! The claim catalogue: what each claim type is on each resource type, as data (reference sections 6 and 7).
//!
//! Permits of each resource type and the context types stand in `syntax::vocabulary`, because the reader of documents
//! needs them too.

/// A claim type that rules may assert and that means something to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimType {
    /// `package.allow`.
    pub name: &'static str,
    /// The resource types on which it means something; empty for all.
    pub on: &'static [&'static str],
    /// When an asserted value covers a wanted one.
    pub covers: Covers,
    /// What several values come to.
    pub combines: Combines,
}

/// When an asserted value covers a wanted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covers {
    /// Byte for byte the same.
    Equal,
    /// The wanted name lies in the asserted realm.
    Realm,
    /// The wanted image reference is the asserted one, or of its registry or repository.
    Image,
}

/// What several asserted values of one type come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combines {
    /// They add up, and grant.
    Union,
    /// The most specific realm's value; two of them refuse.
    Scalar,
    /// A limit on the sum over the realm that it was asserted on; all hold.
    Total(Measure),
    /// The least holds.
    Least(Measure),
    /// The most in this order holds.
    Most(&'static [&'static str]),
    /// Each applies.
    Each,
    /// Each names a fact type that the request must bring.
    Require,
    /// They add up; `none` cancels its own realm and those above.
    Log,
}

/// What a limit is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// `2GB`
    Size,
    /// `10Mbps`
    Rate,
    /// `15m`
    Duration,
    /// `100`
    Number,
}

/// Context types that may have several values; `tag.<name>` may too.
pub const CONTEXT_SEVERAL: &[&str] = &["dependency", "mfa"];

const fn claim(name: &'static str, on: &'static [&'static str], covers: Covers, combines: Combines) -> ClaimType {
    ClaimType { name, on, covers, combines }
}

const JOB: &[&str] = &["job"];
const AUTH: &[&str] = &["auth"];
const QUOTA: &[&str] = &["quota"];

/// Every claim type of the catalogue, ascending by name.
pub const CLAIM_TYPES: &[ClaimType] = &[
    claim("defaultNamespace", AUTH, Covers::Equal, Combines::Scalar),
    claim("defaultNamespacePrefix", AUTH, Covers::Equal, Combines::Scalar),
    claim("docker.allow", JOB, Covers::Image, Combines::Union),
    claim("label", JOB, Covers::Equal, Combines::Union),
    claim("log", &["audit"], Covers::Equal, Combines::Log),
    claim("max.instance.cpu", QUOTA, Covers::Equal, Combines::Least(Measure::Number)),
    claim("max.instance.disk", QUOTA, Covers::Equal, Combines::Least(Measure::Size)),
    claim("max.instance.memory", QUOTA, Covers::Equal, Combines::Least(Measure::Size)),
    claim("max.instance.network", QUOTA, Covers::Equal, Combines::Least(Measure::Rate)),
    claim("max.instances", QUOTA, Covers::Equal, Combines::Least(Measure::Number)),
    claim("max.job.cpu", QUOTA, Covers::Equal, Combines::Least(Measure::Number)),
    claim("max.job.disk", QUOTA, Covers::Equal, Combines::Least(Measure::Size)),
    claim("max.job.memory", QUOTA, Covers::Equal, Combines::Least(Measure::Size)),
    claim("max.job.network", QUOTA, Covers::Equal, Combines::Least(Measure::Rate)),
    claim("max.package.size", QUOTA, Covers::Equal, Combines::Least(Measure::Size)),
    claim("name", AUTH, Covers::Equal, Combines::Union),
    claim("package.allow", JOB, Covers::Realm, Combines::Union),
    claim("package.default", JOB, Covers::Realm, Combines::Scalar),
    claim("package.lock", JOB, Covers::Realm, Combines::Each),
    claim("package.retire", JOB, Covers::Realm, Combines::Each),
    claim("permit", &[], Covers::Equal, Combines::Union),
    claim("role", &[], Covers::Equal, Combines::Union),
    claim("schedulingTag.hard", JOB, Covers::Equal, Combines::Each),
    claim("schedulingTag.soft", JOB, Covers::Equal, Combines::Union),
    claim("sp.disable", JOB, Covers::Equal, Combines::Each),
    claim("ssh.idleTimeout", JOB, Covers::Equal, Combines::Least(Measure::Duration)),
    claim("ssh.maxSession", JOB, Covers::Equal, Combines::Least(Measure::Duration)),
    claim("ssh.record", JOB, Covers::Equal, Combines::Most(&["none", "output", "full"])),
    claim("ssh.require", JOB, Covers::Equal, Combines::Require),
    claim("ssh.user", JOB, Covers::Equal, Combines::Scalar),
    claim("tokenTimeout", &["auth", "job"], Covers::Equal, Combines::Least(Measure::Duration)),
    claim("total.cpu", QUOTA, Covers::Equal, Combines::Total(Measure::Number)),
    claim("total.disk", QUOTA, Covers::Equal, Combines::Total(Measure::Size)),
    claim("total.memory", QUOTA, Covers::Equal, Combines::Total(Measure::Size)),
    claim("total.network", QUOTA, Covers::Equal, Combines::Total(Measure::Rate)),
    claim("total.package.size", QUOTA, Covers::Equal, Combines::Total(Measure::Size)),
];

/// What the catalogue has of a claim type.
pub fn claim_type(name: &str) -> Option<&'static ClaimType> {
    // Most differ in length already, so that no two texts are compared.
    CLAIM_TYPES.iter().find(|it| it.name == name)
}

/// What several values of a claim type come to on a resource type: union where the catalogue has nothing.
pub fn combines(name: &str, resource_type: &str) -> Combines {
    match claim_type(name) {
        Some(found) if found.is_on(resource_type) => found.combines,
        Some(_) | None => Combines::Union,
    }
}

/// When an asserted value of a claim type covers a wanted one: equal where the catalogue has nothing.
pub fn covers(name: &str) -> Covers {
    claim_type(name).map_or(Covers::Equal, |it| it.covers)
}

impl ClaimType {
    /// Whether it means something on this resource type.
    pub fn is_on(&self, resource_type: &str) -> bool {
        self.on.is_empty() || self.on.contains(&resource_type)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        compile::catalogue::{CLAIM_TYPES, CONTEXT_SEVERAL},
        syntax::vocabulary::is_context,
    };

    #[test]
    fn the_table_is_ascending() {
        assert!(CLAIM_TYPES.is_sorted_by(|a, b| a.name < b.name));
    }

    #[test]
    fn nothing_is_both_context_and_claim() {
        assert!(CLAIM_TYPES.iter().all(|it| !is_context(it.name)));
        assert!(CONTEXT_SEVERAL.iter().all(|it| is_context(it)));
    }
}
