//! `apc target`, `login`, `logout`, `whoami`, `namespace`: which cluster, and who one is there.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Write},
    path::PathBuf,
};

use axum::{body::Body, http::Method};
use jiff::Timestamp;
use rustix::termios::{self, LocalModes, OptionalActions};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    cli::client::{
        error::ClientError,
        home::{Home, Login, Target},
        names::{check_namespace, namespace},
        output::{Output, properties, remark},
        rest::Rest,
        tls,
    },
    wire::token::{Info, TokenRequest, TokenResponse},
};

/// Bytes of a password.
const PASSWORD_BYTES_MAX: u64 = 4 * 1024;

/// `apc target [URL] [--ca FILE]`.
#[derive(Debug, clap::Args)]
pub struct TargetArgs {
    /// The router's address, `https://host[:port]`; without it the present one is shown
    url: Option<String>,
    /// PEM certificates of the authorities that may sign the router's; else those of the system
    #[arg(long, value_name = "FILE", requires = "url")]
    ca: Option<PathBuf>,
}

/// `apc login`.
#[derive(Debug, clap::Args)]
pub struct LoginArgs {
    /// Local user; asked for if absent
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

/// `apc namespace`.
#[derive(Debug, clap::Args)]
pub struct NamespaceArgs {
    /// Namespace of short names from now on, such as `/sandbox/tom`; without it the present one is shown
    namespace: Option<String>,
    /// Go back to the one that policy gives
    #[arg(long, conflicts_with = "namespace")]
    reset: bool,
}

/// Chooses or shows the cluster.
pub(crate) fn target(home: &Home, args: TargetArgs, output: Output) -> Result<(), ClientError> {
    let Some(url) = args.url else {
        let target = home.target()?;
        return output.answer(&json!({ "url": target.url }), |_| target.url.clone());
    };
    let url = url.trim_end_matches('/').to_owned();
    tls::split(&url)?;
    let authorities = args
        .ca
        .map(|path| fs::read_to_string(&path).map_err(|error| ClientError::File { path, cause: error.to_string() }));
    let target = Target { url, authorities: authorities.transpose()?, namespace: None };
    // Certificates that cannot be read are told now, not at the first request.
    Rest::new(target.clone(), None)?;
    home.set_target(&target)?;
    output.done(&format!("target: {}", target.url));
    Ok(())
}

/// Gets a token and keeps it.
pub(crate) async fn login(home: &Home, args: LoginArgs, output: Output) -> Result<(), ClientError> {
    let target = home.target()?;
    let username = match args.user {
        Some(user) => user,
        None if output.batch => return Err(ClientError::Usage("`--batch` needs `--user`".to_owned())),
        None => ask("user: ", true)?.to_string(),
    };
    let password = if args.password_stdin {
        first_line(io::stdin().lock())?
    } else if output.batch {
        return Err(ClientError::Usage("`--batch` needs `--password-stdin`".to_owned()));
    } else {
        ask("password: ", false)?
    };
    let rest = Rest::new(target.clone(), None)?;
    let request = TokenRequest::Password { username, password: password.to_string() };
    let token: TokenResponse = rest.send(Method::POST, "/oauth2/token", &request).await?;
    home.set_login(&target, Some(Login { token: token.access_token.clone() }))?;
    let info: Info = Rest::new(target, Some(&token.access_token))?.get("/v1/info").await?;
    output.answer(&info, |info| format!("logged in as {}", crate::wire::printable::Printable(&info.principal)))
}

/// Ends the login, here and at the cluster.
pub(crate) async fn logout(home: &Home, output: Output) -> Result<(), ClientError> {
    let target = home.target()?;
    let Some(token) = home.token(&target)? else { return Err(ClientError::NotLoggedIn) };
    let revoked = Rest::new(target.clone(), Some(&token))?
        .exchange::<serde_json::Value>(Method::POST, "/oauth2/revoke", Body::empty())
        .await;
    // What is kept here goes whatever the cluster says.
    home.set_login(&target, None)?;
    match revoked {
        // A token that has expired is as good as revoked.
        Err(ClientError::Refused(error)) if error.token_invalid => (),
        Err(error) => return Err(error),
        Ok(_) => (),
    }
    output.done("logged out");
    Ok(())
}

/// Says who one is.
pub(crate) async fn whoami(home: &Home, output: Output) -> Result<(), ClientError> {
    let info: Info = Rest::open(home)?.get("/v1/info").await?;
    output.answer(&info, |info| {
        let facts: Vec<String> =
            info.facts.iter().map(|it| format!("{}->{} {}", it.issuer, it.claim_type, it.value)).collect();
        let expires = Timestamp::from_second(info.token_expires).map(|it| it.to_string()).unwrap_or_default();
        properties([
            ("Name", info.principal.clone()),
            ("Cluster", info.cluster.clone()),
            ("Default Namespace", info.default_namespace.clone()),
            ("Policy Revision", info.policy_revision.to_string()),
            ("Token Expires", expires),
            ("Facts", facts.join("\n")),
        ])
    })
}

/// Shows or sets the namespace of short names.
pub(crate) async fn set_namespace(home: &Home, args: NamespaceArgs, output: Output) -> Result<(), ClientError> {
    let mut target = home.target()?;
    if args.reset || args.namespace.is_some() {
        if let Some(namespace) = &args.namespace {
            check_namespace(namespace)?;
        }
        target.namespace = args.namespace;
        home.set_target(&target)?;
    }
    let namespace = namespace(&Rest::open(home)?).await?;
    output.answer(&json!({ "namespace": namespace }), |_| namespace.clone())
}

/// Asks at the terminal; without echo for what must not be seen.
fn ask(question: &str, echo: bool) -> Result<Zeroizing<String>, ClientError> {
    let path = PathBuf::from("/dev/tty");
    let failed = |error: io::Error| ClientError::File { path: PathBuf::from("/dev/tty"), cause: error.to_string() };
    if !io::stdin().is_terminal() {
        return Err(ClientError::Usage(
            "there is no terminal to ask at; use `--user` and `--password-stdin`".to_owned(),
        ));
    }
    let mut terminal = fs::OpenOptions::new().read(true).write(true).open(path).map_err(failed)?;
    terminal.write_all(question.as_bytes()).map_err(failed)?;
    let before = termios::tcgetattr(&terminal).map_err(|error| failed(error.into()))?;
    if !echo {
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        termios::tcsetattr(&terminal, OptionalActions::Flush, &silent).map_err(|error| failed(error.into()))?;
    }
    let line = first_line(io::BufReader::new(&terminal));
    if !echo {
        let _restored = termios::tcsetattr(&terminal, OptionalActions::Flush, &before);
        remark("");
    }
    line
}

fn first_line(reader: impl BufRead) -> Result<Zeroizing<String>, ClientError> {
    let mut line = Zeroizing::new(String::new());
    let read = reader.take(PASSWORD_BYTES_MAX).read_line(&mut line);
    read.map_err(|error| ClientError::Usage(format!("standard input: {error}")))?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line_without_its_end() {
        assert_eq!(first_line(&b"s3 cret \r\nmore"[..]).unwrap().as_str(), "s3 cret ");
        assert_eq!(first_line(&b""[..]).unwrap().as_str(), "");
    }
}
