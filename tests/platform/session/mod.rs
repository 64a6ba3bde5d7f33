//! The tunnel with the real gate, signer and client, against a fake instance and against SSH.

mod caller;
mod changing;
mod fake;
mod opening;
mod relay;
mod ssh;
mod world;
