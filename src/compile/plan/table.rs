//! A table from hashes to offsets, open addressing, nothing ever taken out.

/// Slots of a table that has anything in it, at least.
const ROOM_MIN: usize = 8;

/// From hash to offset. Whoever asks compares what stands there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    // INVARIANT (room): none or a power of two, at least half of it empty; an empty slot has offset 0.
    slots: Vec<Slot>,
    used: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    // The upper half of the hash.
    tag: u32,
    offset: u32,
}

impl Table {
    /// With room for so many, so that it need not grow for them.
    pub(super) fn with_room(count: usize) -> Self {
        Self { slots: vec![Slot::default(); count.saturating_mul(2).next_power_of_two().max(ROOM_MIN)], used: 0 }
    }

    /// Files an offset, which is not 0, under its hash; `rehash` gives the hash of what stands at an offset.
    pub(super) fn insert(&mut self, hash: u64, offset: u32, rehash: impl Fn(u32) -> u64) {
        if self.slots.len() < self.used.saturating_add(1).saturating_mul(2) {
            let room = self.slots.len().saturating_mul(2).max(ROOM_MIN);
            let old = std::mem::replace(&mut self.slots, vec![Slot::default(); room]);
            old.iter().filter(|it| it.offset != 0).for_each(|it| self.place(rehash(it.offset), it.offset));
        }
        self.place(hash, offset);
        self.used = self.used.saturating_add(1);
    }

    fn place(&mut self, hash: u64, offset: u32) {
        let free = places(hash, self.slots.len()).find(|at| self.slots.get(*at).is_some_and(|it| it.offset == 0));
        if let Some(slot) = free.and_then(|at| self.slots.get_mut(at)) {
            *slot = Slot { tag: tag(hash), offset };
        }
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
        let mut table = Table::default();
        for at in 1..=100 {
            assert_eq!(table.find(hash(at), |it| it == at), None);
            table.insert(hash(at), at, hash);
        }
        for at in 1..=100 {
            assert_eq!(table.find(hash(at), |it| it == at), Some(at));
        }
        assert_eq!(table.find(hash(1), |it| it == 2), None);
        assert_eq!(table.find(3 << 32, |_| true), None);
        assert_eq!(Table::default().find(0, |_| true), None);
    }
}
