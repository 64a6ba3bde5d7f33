//! Names as people type them: short, `/namespace::name`, or in full.

use crate::{
    cli::client::{error::ClientError, rest::Rest},
    syntax::fqn::Fqn,
    wire::token::Info,
};

/// The full name of `name` as a `resource_type`. Short names stand in the namespace of `apc namespace`, else in the one
/// that policy gives.
pub async fn full_name(rest: &Rest, resource_type: &str, name: &str) -> Result<String, ClientError> {
    let fqn = if name.starts_with(&format!("{resource_type}::")) {
        name.to_owned()
    } else if name.starts_with('/') {
        format!("{resource_type}::{name}")
    } else {
        format!("{resource_type}::{}::{name}", namespace(rest).await?)
    };
    check(&fqn)?;
    Ok(fqn)
}

/// The namespace that short names stand in.
pub async fn namespace(rest: &Rest) -> Result<String, ClientError> {
    match &rest.target().namespace {
        Some(namespace) => Ok(namespace.clone()),
        None => Ok(rest.get::<Info>("/v1/info").await?.default_namespace),
    }
}

/// Whether a text is a namespace.
pub(crate) fn check_namespace(namespace: &str) -> Result<(), ClientError> {
    if !namespace.starts_with('/') {
        return Err(ClientError::Usage(format!("the namespace `{namespace}` does not begin with `/`")));
    }
    check(&format!("job::{namespace}::x"))
}

/// The last part of a full name, for people.
pub(crate) fn local_name(fqn: &str) -> &str {
    fqn.rsplit_once("::").map_or(fqn, |(_, local)| local)
}

fn check(fqn: &str) -> Result<(), ClientError> {
    Fqn::parse(fqn).map(drop).map_err(|error| ClientError::Usage(format!("`{fqn}` is no name: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::home::Target;

    fn rest() -> Rest {
        // Any authority will do: nothing is dialled.
        let key = rcgen::KeyPair::generate().unwrap();
        let authority = rcgen::CertificateParams::new(vec!["ca".to_owned()]).unwrap().self_signed(&key).unwrap();
        let target = Target {
            url: "https://localhost:1".to_owned(),
            authorities: Some(authority.pem()),
            namespace: Some("/sandbox/tom".to_owned()),
        };
        Rest::new(target, Some("token")).unwrap()
    }

    #[tokio::test]
    async fn a_name_may_be_short_rooted_or_full() {
        let rest = rest();
        for (typed, full) in [
            ("web", "job::/sandbox/tom::web"),
            ("/prod::web", "job::/prod::web"),
            ("job::/prod::web", "job::/prod::web"),
        ] {
            assert_eq!(full_name(&rest, "job", typed).await.unwrap(), full);
        }
        for bad in ["", "../x", "a b", "web\u{7}", "x::y"] {
            assert!(full_name(&rest, "job", bad).await.is_err(), "{bad:?}");
        }
        assert_eq!(local_name("job::/prod::a/b"), "a/b");
    }
}
