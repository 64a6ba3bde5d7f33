//! Bytes that loading leaves behind, counted by the allocator while it loads and at no other time.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, AtomicIsize, Ordering::Relaxed},
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Counting;

static IS_COUNTED: AtomicBool = AtomicBool::new(false);
static KEPT: AtomicIsize = AtomicIsize::new(0);

/// Runs the work and answers what it gave and how many bytes of it are left.
pub(crate) fn kept<T>(work: impl FnOnce() -> T) -> (T, usize) {
    KEPT.store(0, Relaxed);
    IS_COUNTED.store(true, Relaxed);
    let it = work();
    IS_COUNTED.store(false, Relaxed);
    (it, KEPT.load(Relaxed).try_into().unwrap_or_default())
}

fn note(more: usize, less: usize) {
    if IS_COUNTED.load(Relaxed) {
        KEPT.fetch_add(more.cast_signed() - less.cast_signed(), Relaxed);
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
