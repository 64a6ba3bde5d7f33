//! Logging in: a password, then policy on `auth::/oauth2/http`, then a name that is the subject's own, then a token.

use std::{net::IpAddr, sync::Arc};

use uuid::Uuid;

use crate::{
    audit::Event,
    auth::{
        AuthError,
        keyring::Keyring,
        users::{self, LOCAL, Users},
    },
    eval::Fact,
    gate::{FailureLimiter, Gate, ISSUER, Login, LoginRuling, record},
    limits::{TOKEN_BYTES_MAX, TOKEN_FACTS_BYTES_MAX},
    store::{
        Key, Store, StoreError,
        json::{self, Change},
    },
    wire::{
        self,
        token::{TokenClaims, TokenRequest, TokenResponse},
        user::{NameOwner, UserRecord},
    },
};

/// What policy on logins by HTTP is about.
pub const LOGIN_TARGET: &str = "auth::/oauth2/http";

const NAME_BYTES_MAX: usize = 256;

/// Issues tokens.
#[derive(Debug)]
pub struct Logins {
    cluster: String,
    gate: Arc<Gate>,
    keyring: Arc<Keyring>,
    store: Arc<dyn Store>,
    users: Arc<Users>,
    /// The longest that a token lasts.
    token_seconds: u64,
    failures_of_names: FailureLimiter,
    failures_of_addresses: FailureLimiter,
}

/// A login on its way: who says to be whom, from where.
struct Attempt<'a> {
    subject: &'a str,
    client: Option<IpAddr>,
}

impl Logins {
    /// Of one cluster, with tokens of at most `token_seconds`.
    pub fn new(
        cluster: &str,
        gate: Arc<Gate>,
        keyring: Arc<Keyring>,
        store: Arc<dyn Store>,
        users: Arc<Users>,
        token_seconds: u64,
    ) -> Self {
        Self {
            cluster: cluster.to_owned(),
            gate,
            keyring,
            store,
            users,
            token_seconds,
            failures_of_names: FailureLimiter::of_names(),
            failures_of_addresses: FailureLimiter::of_addresses(),
        }
    }

    /// Answers a token request. Nothing is issued that is not in the audit log.
    pub async fn log_in(&self, request: &TokenRequest, client: Option<IpAddr>) -> Result<TokenResponse, AuthError> {
        let TokenRequest::Password { username, password } = request;
        let attempt = Attempt { subject: username, client };
        let sources = self.begin(&attempt)?;
        let Some(user) = self.users.verify(username, password).await? else {
            return Err(self.refused(&attempt, "name or password is wrong", None).await);
        };
        self.succeeded(&sources);
        let mut asked = users::facts(&user);
        asked.push(Fact::new(ISSUER, "authType", LOCAL));
        let ruling = self.gate.decide_login(LOGIN_TARGET, asked, client)?;
        match self.issue(&attempt, &ruling, &user).await {
            Err(AuthError::Login(reason)) => Err(self.refused(&attempt, &reason, Some(&ruling)).await),
            other => other,
        }
    }

    /// Lets an attempt begin, by its address and by its name from there; gives what it is counted under.
    fn begin(&self, attempt: &Attempt<'_>) -> Result<(String, String), AuthError> {
        let address = attempt.client.map_or_else(String::new, source);
        let name = format!("{address} {}", shortened(attempt.subject));
        let now_ms = self.gate.clock().unix_ms();
        if !self.failures_of_addresses.begin(&address, now_ms) || !self.failures_of_names.begin(&name, now_ms) {
            return Err(AuthError::Busy);
        }
        Ok((address, name))
    }

    fn succeeded(&self, (address, name): &(String, String)) {
        let now_ms = self.gate.clock().unix_ms();
        self.failures_of_addresses.succeeded(address, now_ms);
        self.failures_of_names.succeeded(name, now_ms);
    }

    async fn issue(
        &self,
        attempt: &Attempt<'_>,
        ruling: &LoginRuling,
        user: &UserRecord,
    ) -> Result<TokenResponse, AuthError> {
        let login = ruling.outcome.as_ref().map_err(|reason| AuthError::Login(reason.clone()))?;
        check_name(&login.name)?;
        let claims = self.claims(login, &users::facts(user))?;
        let token = self.keyring.tokens.key.token(&claims)?;
        if TOKEN_BYTES_MAX < token.len() {
            return Err(AuthError::Login("the token would be larger than a token may be".to_owned()));
        }
        self.own_name(&login.name, attempt.subject).await?;
        // Whoever is removed from now on has all that was issued until then revoked.
        if !self.users.still_has(user).await? {
            return Err(AuthError::Login("name or password is wrong".to_owned()));
        }
        let mut item = self.item(Event::TokenIssued, &login.name, attempt, Some(ruling));
        item.payload.insert("sid".to_owned(), claims.sid.clone());
        item.payload.insert("jti".to_owned(), claims.jti.clone());
        item.payload.insert("expires".to_owned(), claims.exp.to_string());
        self.gate.record(item).await?;
        let expires_in = claims.exp.saturating_sub(claims.iat).unsigned_abs();
        Ok(TokenResponse { access_token: token, token_type: "Bearer".to_owned(), expires_in })
    }

    fn claims(&self, login: &Login, facts: &[Fact]) -> Result<TokenClaims, AuthError> {
        // Policy may shorten what the operator allows, never lengthen it.
        let lasts = login.token_timeout.map_or(self.token_seconds, |it| it.as_secs().min(self.token_seconds));
        let iat = self.gate.clock().unix_seconds();
        let exp = i64::try_from(lasts).ok().and_then(|it| iat.checked_add(it)).filter(|exp| iat < *exp);
        let exp = exp.ok_or_else(|| AuthError::Login(format!("a token cannot last {lasts} seconds")))?;
        let mut all = vec![Fact::new(ISSUER, "name", &login.name), Fact::new(ISSUER, "authType", LOCAL)];
        all.extend_from_slice(facts);
        let facts: Vec<_> = all.into_iter().map(wire_fact).collect();
        let bytes = serde_json::to_vec(&facts).map_or(usize::MAX, |it| it.len());
        if TOKEN_FACTS_BYTES_MAX < bytes {
            return Err(AuthError::Login(format!(
                "what is known of the user takes {bytes} bytes, more than the {TOKEN_FACTS_BYTES_MAX} that a token holds"
            )));
        }
        Ok(TokenClaims {
            iss: ISSUER.to_owned(),
            aud: self.cluster.clone(),
            sub: login.name.clone(),
            sid: Uuid::new_v4().simple().to_string(),
            jti: Uuid::new_v4().simple().to_string(),
            iat,
            exp,
            facts,
        })
    }

    /// A name belongs to the first subject that used it (`language.md` section 6), whatever rules say later.
    async fn own_name(&self, name: &str, subject: &str) -> Result<(), AuthError> {
        let key = Key::new(["principal-name", name]);
        let own = users::owner(subject);
        let owner = json::update(&*self.store, &key, |present: Option<NameOwner>| {
            Ok::<_, StoreError>(if present.is_some() { Change::Keep } else { Change::Put(own.clone()) })
        });
        if owner.await?.is_some_and(|it| it.value == own) {
            return Ok(());
        }
        Err(AuthError::Login(format!("the name `{name}` belongs to someone else")))
    }

    /// Writes a refusal down, or only counts it, and is the answer.
    async fn refused(&self, attempt: &Attempt<'_>, reason: &str, ruling: Option<&LoginRuling>) -> AuthError {
        let mut item = self.item(Event::TokenRefused, &shortened(attempt.subject), attempt, ruling);
        item.payload.insert("reason".to_owned(), reason.to_owned());
        match self.gate.record_refusal(item).await {
            Ok(()) => AuthError::Login(reason.to_owned()),
            Err(error) => error.into(),
        }
    }

    fn item(
        &self,
        event: Event,
        name: &str,
        attempt: &Attempt<'_>,
        ruling: Option<&LoginRuling>,
    ) -> wire::audit::AuditItem {
        let mut item = record::item(event.as_str(), LOGIN_TARGET, name, self.gate.clock().unix_ms());
        item.decision = ruling.map(|it| it.decision.clone());
        item.payload.insert("subject".to_owned(), format!("{LOCAL}:{}", shortened(attempt.subject)));
        if let Some(client) = attempt.client {
            item.payload.insert("client.address".to_owned(), client.to_canonical().to_string());
        }
        item
    }
}

/// One customer: an IPv4 address, or the /64 that is the least anyone gets of IPv6.
fn source(client: IpAddr) -> String {
    match client.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// Beside what the engine refuses: nothing that reads like a resource, or that could be shown or compared wrongly.
fn check_name(name: &str) -> Result<(), AuthError> {
    let sound = (1..=NAME_BYTES_MAX).contains(&name.len())
        && !name.contains("::/")
        && !name.chars().any(|it| it.is_control() || it.is_whitespace())
        && unicode_normalization::is_nfc(name);
    if sound {
        Ok(())
    } else {
        Err(AuthError::Login(format!("`{}` cannot be a principal's name", name.escape_debug())))
    }
}

fn wire_fact(fact: Fact) -> wire::token::Fact {
    wire::token::Fact { issuer: fact.issuer.into(), claim_type: fact.claim_type.into(), value: fact.value.into() }
}

/// A stranger's text, as much of it as a log needs.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
