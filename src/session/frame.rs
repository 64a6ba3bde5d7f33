//! Frames of the subprotocols `apc.terminal.v1` and `apc.ssh.v1`: a 4-byte header and a payload.
//!
//! | bytes | field |
//! | --- | --- |
//! | 0 | type |
//! | 1 | flags: bit 0 ([`SKIP`]) lets a receiver ignore an unknown type; all others are zero |
//! | 2..4 | stream; zero in frames that speak of the session |
//!
//! | type | frame | payload |
//! | --- | --- | --- |
//! | 0 | stdin | 1 byte or more |
//! | 1 | stdout | 1 byte or more |
//! | 2 | stderr | 1 byte or more |
//! | 3 | exit | 0, u32 code; or 1, signal's name; or 2, text (policy); or 3, text (lost) |
//! | 4 | resize | u16 columns, u16 rows |
//! | 5 | signal | name without `SIG` |
//! | 6 | eof | nothing |
//! | 7 | credit | u64 consumed, u32 window |
//! | 8 | open | 1 byte or more of JSON |
//! | 9 | opened or refused | 1, 16 bytes of decision id, u64 revision; or 0, text |
//! | 10 | notice | text (session) |
//! | 11 | ping, pong | 0 or 1, then 8 bytes (session) |
//! | 12, 13, 14 | challenge, resume, presence | reserved: unknown to this version |
//! | 255 | close | text (session) |
//!
//! All integers are big endian. Text is UTF-8 of at most [`TEXT_BYTES_MAX`] bytes. Every message is exactly one frame
//! of at most [`FRAME_BYTES_MAX`] bytes; a payload that is shorter or longer than its type says is an error.

use crate::limits::FRAME_BYTES_MAX;

/// Flag: a receiver that does not know the type may ignore the frame.
pub const SKIP: u8 = 1;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 4;

/// Bytes of data, or of an open request, in one frame.
pub const DATA_BYTES_MAX: usize = FRAME_BYTES_MAX - HEADER_BYTES;

/// Bytes of a sentence for people; a longer one is cut when it is encoded and refused when it is decoded.
pub const TEXT_BYTES_MAX: usize = 4 * 1024;

/// Bytes of a signal's name; those of RFC 4254 have at most four, private ones end in `@domain`.
pub const SIGNAL_BYTES_MAX: usize = 64;

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const EXIT: u8 = 3;
const RESIZE: u8 = 4;
const SIGNAL: u8 = 5;
const EOF: u8 = 6;
const CREDIT: u8 = 7;
const OPEN: u8 = 8;
const ANSWER: u8 = 9;
const NOTICE: u8 = 10;
const PING: u8 = 11;
const CLOSE: u8 = 255;

const EXIT_CODE: u8 = 0;
const EXIT_SIGNAL: u8 = 1;
const EXIT_POLICY: u8 = 2;
const EXIT_LOST: u8 = 3;

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

/// Why a message is no frame, or a value no message. The session ends with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A message of another kind than binary.
    #[error("a message that is not binary")]
    NotBinary,
    /// Shorter than the header.
    #[error("a frame of {0} bytes has no header")]
    NoHeader(usize),
    /// Larger than a frame may be.
    #[error("a frame of {0} bytes is larger than a frame may be")]
    TooLarge(usize),
    /// Not a type of this version, and not to be skipped.
    #[error("unknown frame type {0}")]
    UnknownType(u8),
    /// Flags that this version has no meaning for.
    #[error("unknown flags {flags:#04x} in a frame of type {frame_type}")]
    UnknownFlags {
        /// The frame's type.
        frame_type: u8,
        /// Its flags.
        flags: u8,
    },
    /// A session frame that names a stream.
    #[error("a frame of type {frame_type} speaks of the session, not of stream {stream}")]
    StreamNotZero {
        /// The frame's type.
        frame_type: u8,
        /// Its stream.
        stream: Stream,
    },
    /// The payload is not what its type says.
    #[error("malformed payload of {bytes} bytes in a frame of type {frame_type}")]
    Malformed {
        /// The frame's type.
        frame_type: u8,
        /// Bytes of its payload.
        bytes: usize,
    },
}

impl Frame {
    /// One message. Long sentences are cut; data and open requests over [`DATA_BYTES_MAX`], empty ones, and signals with
    /// names that are none are an error, so that what is encoded can always be decoded.
    ///
    /// ```
    /// use gatehouse::session::frame::Frame;
    ///
    /// let frame = Frame::Stdin(7, b"ls\n".to_vec());
    /// assert_eq!(frame.encode().unwrap(), [0, 0, 0, 7, b'l', b's', b'\n']);
    /// assert_eq!(Frame::decode(&[0, 0, 0, 7, b'l', b's', b'\n']), Ok(Some(frame)));
    /// ```
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let mut message = vec![0; HEADER_BYTES];
        let (frame_type, stream) = self.write_payload(&mut message);
        let malformed = FrameError::Malformed { frame_type, bytes: message.len().saturating_sub(HEADER_BYTES) };
        if FRAME_BYTES_MAX < message.len() {
            return Err(FrameError::TooLarge(message.len()));
        }
        match self {
            Self::Stdin(_, bytes) | Self::Stdout(_, bytes) | Self::Stderr(_, bytes) | Self::Open(_, bytes)
                if bytes.is_empty() =>
            {
                return Err(malformed);
            }
            Self::Signal(_, name) | Self::Exit(_, Exit::Signal(name)) if !is_signal_name(name) => {
                return Err(malformed);
            }
            Self::Stdin(..)
            | Self::Stdout(..)
            | Self::Stderr(..)
            | Self::Exit(..)
            | Self::Resize(..)
            | Self::Signal(..)
            | Self::Eof(_)
            | Self::Credit(..)
            | Self::Open(..)
            | Self::Opened(..)
            | Self::Refused(..)
            | Self::Notice(_)
            | Self::Ping(_)
            | Self::Pong(_)
            | Self::Close(_) => (),
        }
        let [high, low] = stream.to_be_bytes();
        for (byte, own) in message.iter_mut().zip([frame_type, 0, high, low]) {
            *byte = own;
        }
        Ok(message)
    }

    /// Type and stream; the payload goes to the end of `to`.
    fn write_payload(&self, to: &mut Vec<u8>) -> (u8, Stream) {
        match self {
            Self::Stdin(stream, bytes) => (put(to, [bytes.as_slice()], STDIN), *stream),
            Self::Stdout(stream, bytes) => (put(to, [bytes.as_slice()], STDOUT), *stream),
            Self::Stderr(stream, bytes) => (put(to, [bytes.as_slice()], STDERR), *stream),
            Self::Exit(stream, exit) => {
                exit.write(to);
                (EXIT, *stream)
            }
            Self::Resize(stream, size) => {
                (put(to, [&size.columns.to_be_bytes()[..], &size.rows.to_be_bytes()], RESIZE), *stream)
            }
            Self::Signal(stream, name) => (put(to, [name.as_bytes()], SIGNAL), *stream),
            Self::Eof(stream) => (EOF, *stream),
            Self::Credit(stream, credit) => {
                (put(to, [&credit.consumed.to_be_bytes()[..], &credit.window.to_be_bytes()], CREDIT), *stream)
            }
            Self::Open(stream, json) => (put(to, [json.as_slice()], OPEN), *stream),
            Self::Opened(stream, opened) => {
                (put(to, [&[1][..], &opened.decision, &opened.revision.to_be_bytes()], ANSWER), *stream)
            }
            Self::Refused(stream, text) => (put(to, [&[0][..], cut(text)], ANSWER), *stream),
            Self::Notice(text) => (put(to, [cut(text)], NOTICE), 0),
            Self::Ping(bytes) => (put(to, [&[0][..], bytes], PING), 0),
            Self::Pong(bytes) => (put(to, [&[1][..], bytes], PING), 0),
            Self::Close(text) => (put(to, [cut(text)], CLOSE), 0),
        }
    }

    /// Reads one message; `None` for one of an unknown type that may be skipped.
    pub fn decode(message: &[u8]) -> Result<Option<Self>, FrameError> {
        if FRAME_BYTES_MAX < message.len() {
            return Err(FrameError::TooLarge(message.len()));
        }
        let Some((&[frame_type, flags, high, low], payload)) = message.split_first_chunk() else {
            return Err(FrameError::NoHeader(message.len()));
        };
        if !matches!(frame_type, STDIN..=PING | CLOSE) {
            return if flags & SKIP == 0 { Err(FrameError::UnknownType(frame_type)) } else { Ok(None) };
        }
        if flags & !SKIP != 0 {
            return Err(FrameError::UnknownFlags { frame_type, flags });
        }
        let stream = Stream::from_be_bytes([high, low]);
        if matches!(frame_type, NOTICE | PING | CLOSE) && stream != 0 {
            return Err(FrameError::StreamNotZero { frame_type, stream });
        }
        let malformed = FrameError::Malformed { frame_type, bytes: payload.len() };
        read_payload(frame_type, stream, payload).map(Some).ok_or(malformed)
    }

    /// The stream that it speaks of; none for frames of the session.
    pub fn stream(&self) -> Option<Stream> {
        match self {
            Self::Stdin(stream, _)
            | Self::Stdout(stream, _)
            | Self::Stderr(stream, _)
            | Self::Exit(stream, _)
            | Self::Resize(stream, _)
            | Self::Signal(stream, _)
            | Self::Eof(stream)
            | Self::Credit(stream, _)
            | Self::Open(stream, _)
            | Self::Opened(stream, _)
            | Self::Refused(stream, _) => Some(*stream),
            Self::Notice(_) | Self::Ping(_) | Self::Pong(_) | Self::Close(_) => None,
        }
    }
}

impl Exit {
    fn write(&self, to: &mut Vec<u8>) {
        let (kind, number, text) = match self {
            Self::Code(code) => (EXIT_CODE, code.to_be_bytes(), None),
            Self::Signal(name) => (EXIT_SIGNAL, [0; 4], Some(name.as_bytes())),
            Self::Policy(text) => (EXIT_POLICY, [0; 4], Some(cut(text))),
            Self::Lost(text) => (EXIT_LOST, [0; 4], Some(cut(text))),
        };
        to.push(kind);
        to.extend_from_slice(text.unwrap_or(&number));
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let (&kind, rest) = payload.split_first()?;
        match kind {
            EXIT_CODE => Some(Self::Code(u32::from_be_bytes(rest.try_into().ok()?))),
            EXIT_SIGNAL => Some(Self::Signal(signal_name(rest)?)),
            EXIT_POLICY => Some(Self::Policy(text(rest)?)),
            EXIT_LOST => Some(Self::Lost(text(rest)?)),
            _ => None,
        }
    }
}

/// Whether it is a signal's name as frames and SSH (RFC 4254 section 6.10) carry it: no `SIG`, no controls, no blanks.
pub fn is_signal_name(name: &str) -> bool {
    (1..=SIGNAL_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.' | b'@' | b'_'))
}

fn put<'a>(to: &mut Vec<u8>, parts: impl IntoIterator<Item = &'a [u8]>, frame_type: u8) -> u8 {
    for part in parts {
        to.extend_from_slice(part);
    }
    frame_type
}

/// The longest beginning that a sentence may have, at a character's boundary.
fn cut(text: &str) -> &[u8] {
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    text.as_bytes().get(..end).unwrap_or_default()
}

/// `None` when it is not what the type says. Types that [`Frame::decode`] does not know do not come here.
fn read_payload(frame_type: u8, stream: Stream, payload: &[u8]) -> Option<Frame> {
    match frame_type {
        STDIN => Some(Frame::Stdin(stream, data(payload)?)),
        STDOUT => Some(Frame::Stdout(stream, data(payload)?)),
        STDERR => Some(Frame::Stderr(stream, data(payload)?)),
        EXIT => Some(Frame::Exit(stream, Exit::read(payload)?)),
        RESIZE => {
            let (columns, rows) = payload.split_first_chunk()?;
            let size = Size { columns: u16::from_be_bytes(*columns), rows: u16::from_be_bytes(rows.try_into().ok()?) };
            Some(Frame::Resize(stream, size))
        }
        SIGNAL => Some(Frame::Signal(stream, signal_name(payload)?)),
        EOF => payload.is_empty().then_some(Frame::Eof(stream)),
        CREDIT => {
            let (consumed, window) = payload.split_first_chunk()?;
            let credit =
                Credit { consumed: u64::from_be_bytes(*consumed), window: u32::from_be_bytes(window.try_into().ok()?) };
            Some(Frame::Credit(stream, credit))
        }
        OPEN => Some(Frame::Open(stream, data(payload)?)),
        ANSWER => match payload.split_first()? {
            (0, rest) => Some(Frame::Refused(stream, text(rest)?)),
            (1, rest) => {
                let (decision, revision) = rest.split_first_chunk()?;
                let revision = u64::from_be_bytes(revision.try_into().ok()?);
                Some(Frame::Opened(stream, Opened { decision: *decision, revision }))
            }
            _ => None,
        },
        NOTICE => Some(Frame::Notice(text(payload)?)),
        PING => match payload.split_first()? {
            (0, rest) => Some(Frame::Ping(rest.try_into().ok()?)),
            (1, rest) => Some(Frame::Pong(rest.try_into().ok()?)),
            _ => None,
        },
        CLOSE => Some(Frame::Close(text(payload)?)),
        _ => None,
    }
}

/// Data frames are never empty: they would cost their sender no credit.
fn data(payload: &[u8]) -> Option<Vec<u8>> {
    (!payload.is_empty()).then(|| payload.to_vec())
}

fn text(payload: &[u8]) -> Option<String> {
    let res = str::from_utf8(payload).ok()?;
    (res.len() <= TEXT_BYTES_MAX).then(|| res.to_owned())
}

fn signal_name(payload: &[u8]) -> Option<String> {
    let res = str::from_utf8(payload).ok()?;
    is_signal_name(res).then(|| res.to_owned())
}
