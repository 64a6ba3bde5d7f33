//! Local users: argon2id, the same work for a user that does not exist, and never more of it at once than is good.

use std::{sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString},
};
use tokio::{sync::Semaphore, task, time};
use zeroize::Zeroizing;

use crate::{
    auth::{AuthError, random},
    eval::Fact,
    store::{
        Key, Store,
        json::{self, Change},
    },
    syntax::fqn,
    wire::user::{NameOwner, PutUser, User, UserRecord},
};

/// Issuer of what we know of local users.
pub(in crate::auth) const LOCAL: &str = "local";

/// Memory, passes and lanes of one hash: the second recommendation of RFC 9106 with less memory, about 50 ms here.
const MEMORY_KIB: u32 = 19 * 1_024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes at once; each takes a processor and [`MEMORY_KIB`].
const HASHES_AT_ONCE: usize = 2;

/// How long a login waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);

const PASSWORD_BYTES_MIN: usize = 8;
/// A longer one is refused before it is hashed.
const PASSWORD_BYTES_MAX: usize = 1_024;
const NAME_BYTES_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 254;
const GROUPS_MAX: usize = 64;

/// The users in the store.
#[derive(Debug)]
pub struct Users {
    store: Arc<dyn Store>,
    turns: Arc<Semaphore>,
    /// Checked in place of the hash of a user that does not exist.
    nobody: String,
}

impl Users {
    /// Of one store.
    pub fn new(store: Arc<dyn Store>) -> Result<Self, AuthError> {
        let nobody = hash(&Zeroizing::new(hex::encode(random::bytes::<16>()?)))?;
        Ok(Self { store, turns: Arc::new(Semaphore::new(HASHES_AT_ONCE)), nobody })
    }

    /// Adds a user or changes one: what is absent stays. A new user needs a password.
    pub async fn put(&self, name: &str, change: PutUser) -> Result<User, AuthError> {
        check_name(name)?;
        let hash = match change.password {
            Some(password) => Some(self.hash(Zeroizing::new(password)).await?),
            None => None,
        };
        let key = user_key(name);
        let written = json::update(&*self.store, &key, |present: Option<UserRecord>| {
            let mut record = match (present, &hash) {
                (Some(record), _) => record,
                (None, Some(_)) => nobody_yet(name),
                (None, None) => return Err(AuthError::Invalid("a new user needs a password".to_owned())),
            };
            record.password_hash = hash.clone().unwrap_or(record.password_hash);
            record.email = change.email.clone().or(record.email);
            record.groups = change.groups.clone().unwrap_or(record.groups);
            check_texts(&record)?;
            Ok(Change::Put(record))
        });
        let written = written.await?.ok_or_else(|| AuthError::NotFound(name.to_owned()))?;
        Ok(shown(written.value))
    }

    /// Removes a user. Tokens that it has go on until they are revoked (`revoke_subject`) or expire.
    pub async fn remove(&self, name: &str) -> Result<(), AuthError> {
        let key = user_key(name);
        let entry = self.store.get(&key).await?.ok_or_else(|| AuthError::NotFound(name.to_owned()))?;
        Ok(self.store.delete(&key, entry.revision).await?)
    }

    /// All users, ascending.
    pub async fn list(&self) -> Result<Vec<User>, AuthError> {
        let all = json::list::<UserRecord>(&*self.store, &Key::new(["user"])).await?;
        Ok(all.into_iter().map(|(_, it)| shown(it.value)).collect())
    }

    /// The user, if name and password are right. Takes as long for one that does not exist.
    pub(in crate::auth) async fn verify(&self, name: &str, password: &str) -> Result<Option<UserRecord>, AuthError> {
        if PASSWORD_BYTES_MAX < password.len() {
            return Ok(None);
        }
        let record = match check_name(name) {
            Ok(()) => json::get::<UserRecord>(&*self.store, &user_key(name)).await?.map(|it| it.value),
            Err(_) => None,
        };
        let expected = record.as_ref().map_or_else(|| self.nobody.clone(), |it| it.password_hash.clone());
        let password = Zeroizing::new(password.to_owned());
        let right = self.in_turn(move || Ok(is_password(&expected, &password))).await?;
        Ok(record.filter(|_| right))
    }

    /// Whether the user is still there with the password that was verified.
    pub(in crate::auth) async fn still_has(&self, user: &UserRecord) -> Result<bool, AuthError> {
        let present = json::get::<UserRecord>(&*self.store, &user_key(&user.name)).await?;
        Ok(present.is_some_and(|it| it.value.password_hash == user.password_hash))
    }

    async fn hash(&self, password: Zeroizing<String>) -> Result<String, AuthError> {
        if !(PASSWORD_BYTES_MIN..=PASSWORD_BYTES_MAX).contains(&password.len()) {
            let message = format!("a password has {PASSWORD_BYTES_MIN} to {PASSWORD_BYTES_MAX} bytes");
            return Err(AuthError::Invalid(message));
        }
        self.in_turn(move || hash(&password)).await
    }

    /// Hashing blocks a processor: it is done beside the runtime, and only so often at once.
    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AuthError> + Send + 'static,
    ) -> Result<T, AuthError> {
        let turn = time::timeout(TURN_TIMEOUT, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| AuthError::Busy)?.map_err(|_| AuthError::Busy)?;
        let done = task::spawn_blocking(move || {
            // Held by the work itself: a client that goes away does not make room before it is done.
            let _turn = turn;
            work()
        });
        done.await.map_err(|error| AuthError::Key(error.to_string()))?
    }
}

/// A user as the owner of names.
pub(in crate::auth) fn owner(name: &str) -> NameOwner {
    NameOwner { issuer: LOCAL.to_owned(), subject: name.to_owned() }
}

/// What policy may ask about a user.
pub(in crate::auth) fn facts(user: &UserRecord) -> Vec<Fact> {
    let mut facts = vec![Fact::new(LOCAL, "name", &user.name)];
    facts.extend(user.email.as_ref().map(|it| Fact::new(LOCAL, "email", it)));
    facts.extend(user.groups.iter().map(|it| Fact::new(LOCAL, "group", it)));
    facts
}

fn argon2() -> Result<Argon2<'static>, AuthError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| AuthError::Key(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn hash(password: &Zeroizing<String>) -> Result<String, AuthError> {
    let failed = |error: argon2::password_hash::Error| AuthError::Key(error.to_string());
    let salt = SaltString::encode_b64(&random::bytes::<16>()?).map_err(failed)?;
    Ok(argon2()?.hash_password(password.as_bytes(), &salt).map_err(failed)?.to_string())
}

fn is_password(expected: &str, password: &str) -> bool {
    let Ok(expected) = PasswordHash::new(expected) else { return false };
    argon2().is_ok_and(|it| it.verify_password(password.as_bytes(), &expected).is_ok())
}

/// A name can stand as a segment of a realm, in a path and on a terminal as it is.
fn check_name(name: &str) -> Result<(), AuthError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'@' | b'-');
    let begins = name.bytes().next().is_some_and(|it| it.is_ascii_alphanumeric());
    if begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(plain) && fqn::check_segment(name).is_ok() {
        return Ok(());
    }
    let message =
        format!("a user's name has 1 to {NAME_BYTES_MAX} of letters, digits and `. _ @ -`, a letter or digit first");
    Err(AuthError::Invalid(message))
}

fn check_texts(record: &UserRecord) -> Result<(), AuthError> {
    let sound = |text: &String| {
        (1..=TEXT_BYTES_MAX).contains(&text.len())
            && !text.chars().any(char::is_control)
            && unicode_normalization::is_nfc(text)
    };
    if GROUPS_MAX < record.groups.len() || !record.groups.iter().chain(&record.email).all(sound) {
        return Err(AuthError::Invalid(format!(
            "an address or group has 1 to {TEXT_BYTES_MAX} bytes without control characters, in NFC; a user has at most \
             {GROUPS_MAX} groups"
        )));
    }
    Ok(())
}

fn user_key(name: &str) -> Key {
    Key::new(["user", name])
}

fn nobody_yet(name: &str) -> UserRecord {
    UserRecord { name: name.to_owned(), email: None, groups: Vec::new(), password_hash: String::new() }
}

fn shown(record: UserRecord) -> User {
    User { name: record.name, email: record.email, groups: record.groups }
}
