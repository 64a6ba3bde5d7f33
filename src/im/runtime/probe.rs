//! Whether a runtime works here.
