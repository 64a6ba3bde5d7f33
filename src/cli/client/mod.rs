//! `apc` as a client of a cluster: where it is, who one is there, and one module for each noun.

pub mod error;
pub mod home;
pub mod rest;
mod tls;
