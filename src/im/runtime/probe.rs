//! Whether a runtime, and what else we need, works on this host; asked once, before any instance depends on it.

use std::path::Path;

use crate::im::{
    ImError, Settings,
    runtime::{arguments, program},
};

/// Fails with what is missing, for the operator.
pub async fn probe(settings: &Settings) -> Result<(), ImError> {
    if !rustix::process::geteuid().is_root() {
        return Err(ImError::Unusable("an instance manager must run as root".to_owned()));
    }
    let missing = |name: &str, package: &str| ImError::Unusable(format!("`{name}` does not run; install `{package}`"));
    program::run(Path::new("ip"), arguments([&"-V"]), b"").await.map_err(|_| missing("ip", "iproute2"))?;
    program::run(Path::new("nft"), arguments([&"--version"]), b"").await.map_err(|_| missing("nft", "nftables"))?;
    let name = settings.runtime.display().to_string();
    program::run(&settings.runtime, arguments([&"--version"]), b"").await.map_err(|_| missing(&name, &name))?;
    if !settings.agent.is_file() {
        return Err(ImError::Unusable(format!("there is no agent at `{}`", settings.agent.display())));
    }
    Ok(())
}
