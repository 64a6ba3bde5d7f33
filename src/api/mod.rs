//! The API role: REST, sessions, consoles.
