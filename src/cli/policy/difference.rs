//! What would change in a file, as a unified diff: the only file that knows similar.

use std::time::Duration;

use similar::TextDiff;

use crate::wire::printable::Printable;

/// Texts that have nothing in common are told apart in this time; the diff is then longer than need be.
const SEARCH_MAX: Duration = Duration::from_secs(1);

/// The diff from one text to another, ready for `patch`; empty where they are the same.
pub(super) fn unified(file: &str, old: &str, new: &str) -> String {
    let name = Printable(file).to_string();
    let diff = TextDiff::configure().timeout(SEARCH_MAX).diff_lines(old, new);
    diff.unified_diff().context_radius(3).header(&name, &name).to_string()
}
