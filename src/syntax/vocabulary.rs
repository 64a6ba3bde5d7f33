//! The words that have a meaning before any rule is read: resource types, their permits, context types.
//!
//! The claim catalogue of the compiler builds on this table (reference sections 4, 5 and 7).

/// What can be granted with `permit` on one resource type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceType {
    /// `job`.
    pub name: &'static str,
    /// What `permit all` stands for.
    pub expanded: &'static [&'static str],
    /// What has to be granted by its own name.
    pub beside: &'static [&'static str],
}

/// Every resource type, ascending by name.
pub const RESOURCE_TYPES: &[ResourceType] = &[
    ResourceType { name: "audit", expanded: &["read"], beside: &[] },
    ResourceType { name: "auth", expanded: &[], beside: &["issue"] },
    ResourceType { name: "cluster", expanded: &["read", "update"], beside: &[] },
    ResourceType { name: "gateway", expanded: &["promote", "use"], beside: &[] },
    ResourceType {
        name: "job",
        expanded: &["create", "read", "update", "delete", "start", "stop", "map", "ssh", "link", "promote", "bind"],
        beside: &["join", "issue", "shell", "exec", "sftp", "forward", "approve", "watch"],
    },
    ResourceType { name: "network", expanded: &["create", "read", "join", "delete"], beside: &[] },
    ResourceType { name: "package", expanded: &["create", "read", "update", "delete", "use"], beside: &[] },
    ResourceType { name: "policy", expanded: &["read", "update"], beside: &[] },
    ResourceType { name: "policydoc", expanded: &["create", "read", "update", "delete"], beside: &[] },
    ResourceType { name: "provider", expanded: &["create", "read", "update", "delete"], beside: &[] },
    ResourceType { name: "quota", expanded: &[], beside: &[] },
    ResourceType { name: "route", expanded: &["create", "read", "update", "delete", "map"], beside: &[] },
    ResourceType { name: "sempiperule", expanded: &["create", "read", "delete"], beside: &[] },
    ResourceType { name: "service", expanded: &["create", "read", "update", "delete", "bind"], beside: &[] },
    ResourceType { name: "stagpipe", expanded: &["create", "read", "update", "delete", "use"], beside: &[] },
];

/// Types of facts that only the engine supplies, without an issuer; `tag.<name>` is one of them too.
pub const CONTEXT_TYPES: &[&str] = &[
    "ResType",
    "approvals.count",
    "auth.age",
    "client.address",
    "command",
    "dependency",
    "forward.host",
    "forward.port",
    "job",
    "mfa",
    "mfa.age",
    "network",
    "owner",
    "principal.kind",
    "reason",
    "route",
    "service",
    "side",
    "subsystem",
    "time.clock",
    "time.date",
    "time.hour",
    "time.weekday",
];

/// The resource type of this name.
pub fn resource_type(name: &str) -> Option<&'static ResourceType> {
    RESOURCE_TYPES.iter().find(|it| it.name == name)
}

/// Whether facts of this type are context: supplied by the engine, never by a token or a rule.
pub fn is_context(claim_type: &str) -> bool {
    claim_type.strip_prefix("tag.").is_some_and(|name| !name.is_empty())
        // Most differ in length already, so that no two texts are compared.
        || CONTEXT_TYPES.contains(&claim_type)
}

impl ResourceType {
    /// Every value of `permit` that means something on this type: what `all` expands to, the others, and `all`.
    pub fn permits(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.expanded.iter().chain(self.beside).copied().chain(["all"])
    }

    /// Whether `permit value` means something on this type.
    pub fn has_permit(&self, value: &str) -> bool {
        self.permits().any(|it| it == value)
    }
}

#[cfg(test)]
mod tests {
    use crate::syntax::vocabulary::{CONTEXT_TYPES, RESOURCE_TYPES, is_context, resource_type};

    #[test]
    fn tables_are_ascending() {
        assert!(RESOURCE_TYPES.is_sorted_by(|a, b| a.name < b.name));
        assert!(CONTEXT_TYPES.is_sorted());
    }

    #[test]
    fn tags_are_context_and_roles_are_not() {
        assert!(is_context("tag.team") && is_context("mfa"));
        assert!(!is_context("tag.") && !is_context("tag") && !is_context("role"));
    }

    #[test]
    fn all_is_a_permit_of_every_type() {
        assert!(resource_type("job").unwrap().has_permit("all"));
        assert!(!resource_type("route").unwrap().has_permit("ssh"));
    }
}
