//! `apc` as a client of a cluster: where it is, who one is there, and one module for each noun.

mod audit;
pub mod command;
pub mod error;
pub mod home;
pub mod job;
mod login;
pub mod names;
pub mod output;
mod pack;
mod package;
pub mod policy;
pub mod rest;
mod session;
mod tls;
