//! From a token and an operation to a decision, and from a decision to a grant.
//!
//! [`Authenticator`] turns a bearer token into a [`Principal`], [`Operation`] says what is about to be done,
//! [`Gate::decide`] asks the [`PolicyView`]'s policy set and writes the answer down before it gives it: a [`Ruling`].
//! An allowed ruling of an SSH opening becomes a [`Grant`], without which nothing can be dialled. The auth role and each
//! API server have a gate of their own and believe no other's.

mod bearer;
mod clock;
mod context;
mod error;
mod grant;
mod kept;
mod key;
mod limiter;
mod login;
mod operation;
mod policy;
mod principal;
pub mod record;
mod restriction;
mod revocation;
mod ruling;
mod session;
mod visibility;
mod witness;

pub use bearer::{Authenticator, BearerError};
pub use clock::{Clock, FixedClock, SystemClock};
pub use error::{GateError, Refusal};
pub use grant::Grant;
pub use kept::Kept;
pub use key::{KeySet, PublicKey};
pub use limiter::FailureLimiter;
pub use login::{Login, LoginRuling};
pub use operation::{JobPermit, Opening, Operation, PackagePermit, PolicyPermit};
pub use policy::{PolicyError, PolicyView, Snapshot, head_bytes, head_key};
pub(crate) use policy::{read_documents, read_tests};
pub use principal::{ISSUER, Principal};
pub use restriction::Restrictions;
pub use revocation::{Revocations, Revoked, revoked_principal, revoked_session};
pub use ruling::{Gate, Ruling};
pub use session::{SessionTarget, Stale};
pub use visibility::JobSight;
pub use witness::{Recorded, Witness};
