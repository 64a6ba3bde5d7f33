//! A table from hashes to offsets, open addressing, never changed.

/// From hash to offset. Whoever asks compares what stands there.
#[derive(Debug, Default)]
pub(crate) struct Table {
    // INVARIANT (room): a power of two, at least half of it empty; an empty slot has offset 0.
    slots: Vec<Slot>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    // The upper half of the hash.
    tag: u32,
    offset: u32,
}

impl Table {
    /// Files offsets, none of them 0, under their hashes.
    pub(super) fn new(entries: &[(u64, u32)]) -> Self {
        let mut slots = vec![Slot::default(); entries.len().saturating_mul(2).next_power_of_two()];
        for (hash, offset) in entries {
            let free = places(*hash, slots.len()).find(|at| slots.get(*at).is_some_and(|it| it.offset == 0));
            if let Some(slot) = free.and_then(|at| slots.get_mut(at)) {
                *slot = Slot { tag: tag(*hash), offset: *offset };
            }
        }
        Self { slots }
    }

    /// The offset with this hash of which `is_it` is true.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let tag = tag(hash);
        for at in places(hash, self.slots.len()) {
            let slot = self.slots.get(at)?;
            if slot.offset == 0 {
                return None;
            }
            if slot.tag == tag && is_it(slot.offset) {
                return Some(slot.offset);
            }
        }
        None
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        self.slots.len().saturating_mul(size_of::<Slot>())
    }
}

#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Each slot once, from that of the hash on.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "any part of the hash will do")]
fn places(hash: u64, slots: usize) -> impl Iterator<Item = usize> {
    let mask = slots.wrapping_sub(1);
    (0..slots).map(move |step| (hash as usize).wrapping_add(step) & mask)
}

#[cfg(test)]
mod tests {
    use crate::compile::plan::table::Table;

    #[test]
    fn what_was_filed_is_found_and_nothing_else() {
        // All in one slot, and half of them with one tag.
        let hash = |it: u32| u64::from(it % 2) << 40;
        let entries: Vec<(u64, u32)> = (1..=100).map(|it| (hash(it), it)).collect();
        let table = Table::new(&entries);
        for at in 1..=100 {
            assert_eq!(table.find(hash(at), |it| it == at), Some(at));
        }
        assert_eq!(table.find(hash(1), |it| it == 2), None);
        assert_eq!(table.find(3 << 32, |_| true), None);
        assert_eq!(Table::new(&[]).find(0, |_| true), None);
        assert_eq!(Table::default().find(0, |_| true), None);
    }
}
