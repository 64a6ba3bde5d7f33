//! The documents that come with the program: those that cannot be edited, and the defaults of a first start.

use unicode_normalization::is_nfc;

use crate::{
    source::Source,
    syntax::{character::is_invisible, vocabulary::RESOURCE_TYPES},
};

/// Where the first admin's name goes in `adminUsers`.
const FIRST_ADMIN: &str = "FIRST-ADMIN";

/// Bytes in the first admin's name, so that the document it is written to stays a document.
const NAME_BYTES_MAX: usize = 1_024;

const SYSTEM: &[(&str, &str)] = &[
    ("clusterPermissions.pol", include_str!("../../policies/system/clusterPermissions.pol")),
    ("rolePermissions.pol", include_str!("../../policies/system/rolePermissions.pol")),
];

const DEFAULT: &[(&str, &str)] = &[
    ("adminUsers.pol", include_str!("../../policies/default/adminUsers.pol")),
    ("authSettings.pol", include_str!("../../policies/default/authSettings.pol")),
    ("packageResolution.pol", include_str!("../../policies/default/packageResolution.pol")),
    ("quotas.pol", include_str!("../../policies/default/quotas.pol")),
    ("sandbox.pol", include_str!("../../policies/default/sandbox.pol")),
];

/// Documents that are part of every set and cannot be edited: `clusterPermissions`, `rolePermissions`.
pub fn system_sources() -> Vec<Source> {
    SYSTEM.iter().filter_map(|(name, text)| source(name, (*text).to_owned())).collect()
}

/// Whether a document of this name is part of the program.
pub fn is_system(document: &str) -> bool {
    SYSTEM.iter().any(|(name, _)| name.strip_suffix(".pol") == Some(document))
}

/// Why there are no default documents for a first admin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be the name of the first admin", .0.escape_debug())]
pub struct BadAdminName(pub String);

/// The editable documents of a first start: `adminUsers`, `authSettings`, `packageResolution`, `quotas`, `sandbox`.
///
/// `first_admin` is the `auth_server@apcera.me->name` of the cluster's first admin. It is data: whatever stands in it
/// is quoted. Empty names, names that no document can hold, and names that read like a resource are refused.
pub fn default_sources(first_admin: &str) -> Result<Vec<Source>, BadAdminName> {
    let unreadable = |c: char| c.is_control() || c == '\u{a0}' || is_invisible(c);
    let like_resource =
        RESOURCE_TYPES.iter().any(|it| first_admin.strip_prefix(it.name).is_some_and(|rest| rest.starts_with("::/")));
    let length = 1..=NAME_BYTES_MAX;
    if !length.contains(&first_admin.len()) || first_admin.contains(unreadable) || like_resource || !is_nfc(first_admin)
    {
        return Err(BadAdminName(first_admin.to_owned()));
    }
    let quoted = first_admin.replace('\\', "\\\\").replace('"', "\\\"").replace('[', "\\[");
    Ok(DEFAULT.iter().filter_map(|(name, text)| source(name, text.replace(FIRST_ADMIN, &quoted))).collect())
}

fn source(name: &str, text: String) -> Option<Source> {
    Source::new(name, text.into_bytes()).ok()
}
