//! Local users, as the store keeps them and the operator's socket changes them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A local user, under `user/<name>`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    /// Fact `local->name`.
    pub name: String,
    /// Fact `local->email`.
    pub email: Option<String>,
    /// Facts `local->group`.
    pub groups: Vec<String>,
    /// Argon2id hash in PHC string format.
    pub password_hash: String,
}

/// `PUT /admin/users/{name}` on the operator's socket.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutUser {
    /// The password; for a new user it must be there.
    #[serde(default)]
    pub password: Option<String>,
    /// Replaces the address.
    #[serde(default)]
    pub email: Option<String>,
    /// Replaces the groups.
    #[serde(default)]
    pub groups: Option<Vec<String>>,
}

/// A user as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Name.
    pub name: String,
    /// Address.
    pub email: Option<String>,
    /// Groups.
    pub groups: Vec<String>,
}

/// `POST /admin/join-tokens` on the operator's socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewJoinToken {
    /// `im` or `router`.
    pub role: String,
    /// Seconds that it can be used.
    pub lasts_seconds: u64,
}

/// Answer to [`NewJoinToken`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedJoinToken {
    /// As [`crate::wire::join::JoinToken`] writes it.
    pub token: String,
    /// Unix second from which it is worthless.
    pub expires: i64,
}

/// Under `principal-name/<name>`: who may have tokens of that name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NameOwner {
    /// Who vouched for the subject: `local`.
    pub issuer: String,
    /// The subject's own name there.
    pub subject: String,
}

impl fmt::Debug for UserRecord {
    /// Without the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserRecord").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for PutUser {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutUser").field("email", &self.email).field("groups", &self.groups).finish_non_exhaustive()
    }
}

impl fmt::Debug for CreatedJoinToken {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedJoinToken").field("expires", &self.expires).finish_non_exhaustive()
    }
}
