//! What an author may have meant: the nearest known word.

/// Longer words are compared with nothing: the comparison takes time with the product of the lengths.
const SUGGEST_BYTES_MAX: usize = 64;

/// The candidate that `text` is most likely a misspelling of, if one is near enough.
///
/// ```
/// use gatehouse::syntax::suggest::closest;
///
/// assert_eq!(closest("jobs", ["job", "route"]), Some("job"));
/// assert_eq!(closest("banana", ["job", "route"]), None);
/// ```
pub fn closest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if text.is_empty() || text.len() > SUGGEST_BYTES_MAX {
        return None;
    }
    let folded = text.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| *candidate != text && candidate.len() <= SUGGEST_BYTES_MAX)
        .map(|candidate| (distance(&folded, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= allowed(candidate))
        // The first of the nearest, so that the answer does not depend on more than the order of the table.
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The candidate that one slip of the fingers made `text` of: a letter lost, doubled, mistaken, or two that changed places.
pub fn one_slip<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    closest(text, candidates).filter(|it| distance(&text.to_lowercase(), it) == 1)
}

fn distance(folded: &str, candidate: &str) -> usize {
    strsim::osa_distance(folded, &candidate.to_lowercase())
}

/// A third of the letters may differ, so that short words are not each other's misspelling.
fn allowed(candidate: &str) -> usize {
    candidate.chars().count().div_ceil(3).min(3)
}
