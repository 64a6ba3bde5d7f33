//! An allocator that counts, so that a test can bound memory and work where a clock would only guess.
//!
//! Counts are of one thread: tests beside it do not disturb them.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static CALLS: Cell<usize> = const { Cell::new(0) };
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// What a piece of work took of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Used {
    /// The most bytes at once above what was there at the start.
    pub(crate) peak: usize,
    /// Bytes asked for in all.
    pub(crate) bytes: usize,
    /// How often memory was asked for.
    pub(crate) calls: usize,
    /// Bytes that were not given back.
    pub(crate) left: isize,
}

/// Runs the work and counts what this thread asks for.
pub(crate) fn measured<T>(work: impl FnOnce() -> T) -> (T, Used) {
    let (live, calls, bytes) = (LIVE.get(), CALLS.get(), TAKEN.get());
    PEAK.set(live);
    let answer = work();
    let peak = usize::try_from(PEAK.get() - live).unwrap_or_default();
    (answer, Used { peak, bytes: TAKEN.get() - bytes, calls: CALLS.get() - calls, left: LIVE.get() - live })
}

/// A thread that ends has no counters any more; what it does then is not counted.
fn note(more: usize, less: usize) {
    let change = more.cast_signed().wrapping_sub(less.cast_signed());
    let _ = LIVE.try_with(|live| {
        live.set(live.get().wrapping_add(change));
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
    if more > 0 {
        let _ = CALLS.try_with(|it| it.set(it.get().wrapping_add(1)));
        let _ = TAKEN.try_with(|it| it.set(it.get().wrapping_add(more)));
    }
}

#[expect(unsafe_code, reason = "a counting allocator can be written in no other way")]
// SAFETY: every call goes to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size(), 0);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note(0, layout.size());
        // SAFETY: `place` came from `alloc` above with this layout.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size, layout.size());
        // SAFETY: `place` came from `alloc` above with this layout; the caller keeps the contract for `size`.
        unsafe { System.realloc(place, layout, size) }
    }
}
