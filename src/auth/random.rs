//! Random bytes from the one cryptography provider of the program.

use crate::auth::AuthError;

/// Fills an array with bytes that nobody can guess.
pub(in crate::auth) fn bytes<const N: usize>() -> Result<[u8; N], AuthError> {
    let mut bytes = [0; N];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.secure_random.fill(&mut bytes).map_err(|_| AuthError::Key("no random bytes".to_owned()))?;
    Ok(bytes)
}
