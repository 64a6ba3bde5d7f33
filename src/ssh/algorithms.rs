//! The algorithms that both ends offer: a short list, each with authenticated encryption or encrypt-then-MAC.

use std::{borrow::Cow, time::Duration};

use russh::{Limits, Preferred, cipher, compression, kex, keys::Algorithm, mac};

/// Silence after which a keepalive is sent; the third without an answer ends the connection.
pub(in crate::ssh) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);

/// Keepalives without an answer.
pub(in crate::ssh) const KEEPALIVES_MAX: usize = 3;

/// Bytes of one packet's data.
pub(in crate::ssh) const PACKET_BYTES_MAX: u32 = 32 * 1024;

/// No `diffie-hellman-*`: its exponents cost an unauthenticated peer nothing and us milliseconds.
const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

/// AES first: every machine of a cluster has it in hardware.
const CIPHERS: &[cipher::Name] =
    &[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR, cipher::AES_128_CTR];

const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM];

/// No compression: zlib before authentication is attack surface, and lengths would tell of contents.
const COMPRESSIONS: &[compression::Name] = &[compression::NONE];

/// What to offer, with these host key algorithms.
pub(in crate::ssh) fn preferred(host_keys: Vec<Algorithm>) -> Preferred {
    Preferred {
        kex: Cow::Borrowed(KEY_EXCHANGES),
        key: Cow::Owned(host_keys),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(CIPHERS),
        mac: Cow::Borrowed(MACS),
        compression: Cow::Borrowed(COMPRESSIONS),
    }
}

/// When keys are made anew: after a GiB or an hour (RFC 4253 section 9).
pub(in crate::ssh) fn limits() -> Limits {
    Limits::default()
}
