//! A router or an instance manager on a host of its own.

use std::{ffi::OsString, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    cli::daemon::{
        DaemonError, door,
        member::Member,
        serving::{say_ready, stop_signal},
    },
    config::Config,
    im,
    link::{Client, Role, TcpDialer, TcpDoor},
    router,
    wire::join::JoinToken,
};

/// Where a router asks for a new certificate.
const RENEW_AT_AUTH: &str = "/internal/renew";
/// Where an instance manager does.
const RENEW_AT_API: &str = "/internal/im/renew";

/// A router: joins, and serves clients.
pub(super) async fn router(config: Config, token: Option<JoinToken>) -> Result<(), DaemonError> {
    let stop = stop_signal()?;
    let member =
        Member::enter(&config.state, Role::Router, &config.cluster, &config.router.api, token.as_ref()).await?;
    let auth = config.router.auth.clone().ok_or_else(|| {
        DaemonError::Start(
            "`router.auth` is not set: a router apart needs the address of `auth.cluster_listen`".to_owned(),
        )
    })?;
    let to_auth = Client::new(TcpDialer::new(auth), member.credentials().clone(), Role::Auth);
    let to_api = clients(&config.router.api, &member)?;
    tokio::spawn(member.keep(to_auth.clone(), RENEW_AT_AUTH, stop.clone()));
    serve_clients(&config, to_api, to_auth, stop).await
}

/// An instance manager: joins, and keeps its link.
pub(super) async fn im(config: Config, token: Option<JoinToken>) -> Result<(), DaemonError> {
    let stop = stop_signal()?;
    let member = Member::enter(&config.state, Role::Im, &config.cluster, &config.im.api, token.as_ref()).await?;
    let to_api = clients(&config.im.api, &member)?;
    let first = to_api.first().cloned().ok_or_else(|| DaemonError::Start("`im.api` is empty".to_owned()))?;
    let identity = member.identity().map_or_else(String::new, |it| it.uri());
    tokio::spawn(member.keep(first, RENEW_AT_API, stop.clone()));
    let settings = im_settings(&config)?;
    say_ready(&identity);
    Ok(im::run(settings, Arc::new(im::Linked::new(to_api)), stop).await?)
}

/// Serves clients until `stop` and then as long as the configuration lets sessions go on.
pub(super) async fn serve_clients(
    config: &Config,
    to_api: Vec<Client>,
    to_auth: Client,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let tls = door::certificate(config)?;
    let listener = TcpDoor::bind(config.router.listen).await?;
    say_ready(&format!("https://{}", listener.address()?));
    router::run(&config.router, to_api, to_auth, listener, tls, stop).await;
    Ok(())
}

/// What the configuration says of this host's instances.
pub(super) fn im_settings(config: &Config) -> Result<im::Settings, DaemonError> {
    let program = std::env::current_exe()?;
    let agent = config.im.agent.clone().unwrap_or_else(|| program.with_file_name("apc-agent"));
    if !agent.exists() {
        return Err(DaemonError::Start(format!(
            "there is no SSH agent at `{}`; `make agent` builds it, `im.agent` says where else it is",
            agent.display()
        )));
    }
    let shim: Vec<OsString> = vec![program.into_os_string(), "shim".into()];
    let mut settings = im::Settings::new(config.im_state(), agent, shim);
    settings.address = config.im.address;
    settings.ports = (config.im.ports.first, config.im.ports.last);
    settings.runtime.clone_from(&config.im.runtime);
    settings.uid_base = config.im.uid_base;
    settings.cgroup.clone_from(&config.im.cgroup);
    settings.stop_instances_on_exit = config.im.stop_instances_on_exit;
    if let Some(network) = config.im.private_network() {
        settings.network = network;
    }
    Ok(settings)
}

fn clients(addresses: &[String], member: &Member) -> Result<Vec<Client>, DaemonError> {
    if addresses.is_empty() {
        return Err(DaemonError::Start("no address of an API server is configured".to_owned()));
    }
    let client = |address: &String| Client::new(TcpDialer::new(address), member.credentials().clone(), Role::Api);
    Ok(addresses.iter().map(client).collect())
}
