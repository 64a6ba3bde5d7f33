//! Frames of the subprotocols `apc.terminal.v1` and `apc.ssh.v1`: a 4-byte header and a payload.
//!
//! | bytes | field |
//! | --- | --- |
//! | 0 | type |
//! | 1 | flags: bit 0 (`SKIP`) lets a receiver ignore an unknown type |
//! | 2..4 | stream, big endian |
//!
//! All integers are big endian.

/// Which session stream a frame speaks of.
pub type Stream = u16;

/// One message, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// Type 0: bytes towards the instance.
    Stdin(Stream, Vec<u8>),
    /// Type 1: bytes towards the client.
    Stdout(Stream, Vec<u8>),
    /// Type 2: bytes of standard error towards the client.
    Stderr(Stream, Vec<u8>),
    /// Type 3: how it ended; nothing but `Close` follows on the stream.
    Exit(Stream, Exit),
    /// Type 4: the terminal's size.
    Resize(Stream, Size),
    /// Type 5: a signal's name without `SIG` (RFC 4254 section 6.10).
    Signal(Stream, String),
    /// Type 6: no more bytes in this direction.
    Eof(Stream),
    /// Type 7: how much the sender has consumed, and how much more it takes.
    Credit(Stream, Credit),
    /// Type 8: asks for a shell, a command, ...; JSON of `wire::sign::Open`.
    Open(Stream, Vec<u8>),
    /// Type 9, first payload byte 1: it was opened.
    Opened(Stream, Opened),
    /// Type 9, first payload byte 0: it was refused, with a sentence for people.
    Refused(Stream, String),
    /// Type 10: a sentence for people (idle warning, drain, policy change).
    Notice(String),
    /// Type 11, first payload byte 0: asks for the same 8 bytes back.
    Ping([u8; 8]),
    /// Type 11, first payload byte 1.
    Pong([u8; 8]),
    /// Type 255: the sender is done with the session; a sentence for people, empty when all is well.
    Close(String),
}

/// How a stream's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Code(u32),
    /// By this signal, named without `SIG`.
    Signal(String),
    /// The session was ended by policy; why, for people: `missing claim "permit ssh" since revision 7`.
    Policy(String),
    /// The connection to the instance was lost; nobody knows.
    Lost(String),
}

/// Size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Characters across.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// Flow control of one direction of one stream, stated by the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// Absolute offset: bytes consumed since the stream began. For client-bound bytes, stdout and stderr counted together.
    pub consumed: u64,
    /// The peer may have this many bytes beyond `consumed` under way.
    pub window: u32,
}

/// A stream that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// The decision's id in the audit log.
    pub decision: [u8; 16],
    /// Policy revision that it was made under.
    pub revision: u64,
}
