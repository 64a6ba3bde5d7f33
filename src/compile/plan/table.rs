//! A table from hashes to offsets, open addressing, nothing ever taken out.

use std::ops::Deref;

use bytes::Bytes;

/// Slots of a table that has anything in it, at least.
const ROOM_MIN: usize = 8;

/// Bytes of a slot: the upper half of the hash, then the offset, little-endian.
const SLOT_BYTES: usize = 8;

/// From hash to offset. Whoever asks compares what stands there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table<B = Bytes> {
    // INVARIANT (room): none or a power of two of slots, at least half of them empty; an empty slot has offset 0.
    slots: B,
    used: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    tag: u32,
    offset: u32,
}

impl Table<Vec<u8>> {
    /// With room for so many, so that it need not grow for them.
    pub(super) fn with_room(count: usize) -> Self {
        Self { slots: vec![0; Self::slots_for(count).saturating_mul(SLOT_BYTES)], used: 0 }
    }

    /// Files an offset, which is not 0, under its hash; `rehash` gives the hash of what stands at an offset.
    pub(super) fn insert(&mut self, hash: u64, offset: u32, rehash: impl Fn(u32) -> u64) {
        let room = self.all().len();
        if room < self.used.saturating_add(1).saturating_mul(2) {
            self.resize(room, rehash);
        }
        self.place(hash, offset);
        self.used = self.used.saturating_add(1);
    }

    fn place(&mut self, hash: u64, offset: u32) {
        let (slots, _) = self.slots.as_chunks_mut::<SLOT_BYTES>();
        let free = places(hash, slots.len()).find(|at| slots.get(*at).is_some_and(|it| Slot::read(*it).offset == 0));
        if let Some(slot) = free.and_then(|at| slots.get_mut(at)) {
            *slot = Slot { tag: tag(hash), offset }.bytes();
        }
    }

    /// Gives back room for far more than there is; `rehash` as for `insert`.
    pub(super) fn fit(&mut self, rehash: impl Fn(u32) -> u64) {
        if Self::slots_for(self.used) < self.all().len() {
            self.resize(self.used, rehash);
        }
    }

    fn slots_for(count: usize) -> usize {
        count.saturating_mul(2).next_power_of_two().max(ROOM_MIN)
    }

    fn resize(&mut self, count: usize, rehash: impl Fn(u32) -> u64) {
        let old = std::mem::replace(self, Self::with_room(count));
        for it in old.all().iter().map(|it| Slot::read(*it)).filter(|it| it.offset != 0) {
            self.place(rehash(it.offset), it.offset);
        }
        self.used = old.used;
    }

    pub(super) fn frozen(self) -> Table {
        Table { slots: self.slots.into(), used: self.used }
    }
}

impl Table {
    /// A copy that can be written to.
    pub(super) fn thawed(&self) -> Table<Vec<u8>> {
        Table { slots: self.slots.to_vec(), used: self.used }
    }

    /// What there is of it: slots, and how many of them are used.
    pub(in crate::compile) fn parts(&self) -> (&Bytes, usize) {
        (&self.slots, self.used)
    }

    /// A table of these; nothing where they are none.
    pub(in crate::compile) fn of_parts(slots: Bytes, used: usize) -> Option<Self> {
        let count = slots.len() / SLOT_BYTES;
        let has_room = count == 0 && used == 0 || count.is_power_of_two() && used.checked_mul(2)? <= count;
        (slots.len().is_multiple_of(SLOT_BYTES) && has_room).then_some(Self { slots, used })
    }
}

impl<B: Deref<Target = [u8]>> Table<B> {
    #[inline]
    fn all(&self) -> &[[u8; SLOT_BYTES]] {
        self.slots.as_chunks().0
    }

    /// The offset with this hash of which `is_it` is true.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let (slots, tag) = (self.all(), tag(hash));
        for at in places(hash, slots.len()) {
            let slot = Slot::read(*slots.get(at)?);
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
        self.slots.len()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "each half is taken by itself")]
impl Slot {
    #[inline]
    fn read(bytes: [u8; SLOT_BYTES]) -> Self {
        let both = u64::from_le_bytes(bytes);
        Self { tag: both as u32, offset: (both >> 32) as u32 }
    }

    fn bytes(self) -> [u8; SLOT_BYTES] {
        (u64::from(self.offset) << 32 | u64::from(self.tag)).to_le_bytes()
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
    use crate::compile::plan::table::{ROOM_MIN, SLOT_BYTES, Table};

    #[test]
    fn what_was_filed_is_found_and_nothing_else() {
        // All in one slot, and half of them with one tag.
        let hash = |it: u32| u64::from(it % 2) << 40;
        let mut table = Table::<Vec<u8>>::default();
        for at in 1..=100 {
            assert_eq!(table.find(hash(at), |it| it == at), None);
            table.insert(hash(at), at, hash);
        }
        for at in 1..=100 {
            assert_eq!(table.find(hash(at), |it| it == at), Some(at));
        }
        assert_eq!(table.find(hash(1), |it| it == 2), None);
        let size = table.size();
        table.fit(hash);
        assert_eq!(table.size(), size);
        let mut roomy = Table::<Vec<u8>>::with_room(1_000);
        roomy.insert(hash(7), 7, hash);
        roomy.fit(hash);
        assert_eq!((roomy.find(hash(7), |it| it == 7), roomy.size()), (Some(7), ROOM_MIN * SLOT_BYTES));
        assert_eq!(table.find(3 << 32, |_| true), None);
        assert_eq!(Table::<Vec<u8>>::default().find(0, |_| true), None);
    }
}
