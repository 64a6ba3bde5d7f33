//! Gatehouse: a policy language, its compiler and evaluator, and the gate that it guards.
//!
//! Read it in this order. [`limits`] has every bound. A [`source`] is a document's text; [`syntax`] reads it,
//! [`diagnostic`]s say what is wrong with it, [`mod@format`] writes it in its canonical form, [`compile`] makes a policy
//! set of several, [`eval`] decides a request by it, a [`suite`] of tests holds it to what its author expects, [`lint`]
//! looks for what an author will regret, [`editor`] answers what one asks while one types. [`session`] is the conversation between a client and a job instance as a pure
//! function. All of that is without clock, file, socket or runtime, and is what remains with `--no-default-features`.
//!
//! The platform stands on it: `streams` has byte streams of the operating system, `wire` has what is sent and stored, `site` reads a folder of documents, `lsp` serves editors, `store` keeps what is stored, `audit` writes down what was
//! decided, `config` is the operator's file, `link` the mutual TLS between roles, `gate` turns tokens and operations
//! into requests and decisions into grants. On these stand the roles: `auth`, `ssh`, `api`, `im`, `router`; and on
//! everything `cli`, the two programs.

#[cfg(feature = "platform")]
pub mod api;
#[cfg(feature = "platform")]
pub mod audit;
#[cfg(feature = "platform")]
pub mod auth;
#[cfg(feature = "platform")]
pub mod cli;
pub mod compile;
#[cfg(feature = "platform")]
pub mod config;
pub mod diagnostic;
pub mod editor;
pub mod eval;
pub mod format;
#[cfg(feature = "platform")]
pub mod gate;
#[cfg(feature = "platform")]
pub mod im;
pub mod limits;
#[cfg(feature = "platform")]
pub mod link;
pub mod lint;
#[cfg(feature = "platform")]
pub mod lsp;
#[cfg(feature = "platform")]
pub mod router;
pub mod session;
#[cfg(feature = "platform")]
mod site;
pub mod source;
#[cfg(feature = "agent")]
pub mod ssh;
#[cfg(feature = "platform")]
pub mod store;
#[cfg(feature = "agent")]
mod streams;
pub mod suite;
pub mod syntax;
#[cfg(feature = "agent")]
pub mod wire;
