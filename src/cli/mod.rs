//! The programs' command lines.
