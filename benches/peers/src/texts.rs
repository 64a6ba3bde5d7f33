//! The names of the world that everyone is asked about.

use std::collections::HashMap;

use crate::sandboxes::ROLE_EVERY;

/// The resource that is entered.
pub(crate) fn target(sandbox: usize) -> String {
    format!("job::/sandbox/user-{sandbox}::web")
}

/// The sandbox that it lies in.
pub(crate) fn namespace(sandbox: usize) -> String {
    format!("/sandbox/user-{sandbox}")
}

/// Who wants in.
pub(crate) fn user(user: usize) -> String {
    format!("user-{user}")
}

/// The group that a sandbox is open to which has no owner.
pub(crate) fn team(sandbox: usize) -> String {
    format!("team-{sandbox}")
}

/// Who may enter a sandbox: a user, or a group.
pub(crate) fn owner(sandbox: usize) -> String {
    if sandbox.is_multiple_of(ROLE_EVERY) { team(sandbox) } else { user(sandbox) }
}

/// Whose each sandbox is that has an owner.
pub(crate) fn owners(policies: usize) -> HashMap<String, String> {
    (0..policies).filter(|it| it % ROLE_EVERY != 0).map(|it| (namespace(it), user(it))).collect()
}

/// The group that each of the other sandboxes is open to.
pub(crate) fn teams(policies: usize) -> HashMap<String, String> {
    (0..policies).step_by(ROLE_EVERY).map(|it| (namespace(it), team(it))).collect()
}
