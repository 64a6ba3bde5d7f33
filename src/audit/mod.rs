//! The append-only record of who was let in where, and why.
