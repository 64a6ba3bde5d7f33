//! Component identities: the authority that certifies them, one-time join tokens, and renewal.

mod authority;
mod join;

pub use self::authority::ComponentAuthority;
pub(in crate::auth) use self::authority::{SigningRequest, Validity};
pub use self::join::Components;
