//! The operator's file and flags.
