//! A compiled set as bytes that need not be compiled again, under a seal.
//!
//! What is read again decides who may do what, so nothing of it is believed before all of it was held to its seal: a
//! BLAKE3 hash keyed with a secret of whoever wrote it. The runs are used where they lie, so that a set in a mapped file is there as
//! soon as it was hashed.
//!
//! ```text
//! header      magic, format, seed (two), probe, lengths of the eight sections: u64, little-endian
//! sections    head, texts, packed policies, their starts, layout, tables of edges, claims, keyed rules; each from a multiple of 64 on
//! head        what the writer says of it, version of the program, system documents or not, slots, numbers, layout, documents
//! seal        32 bytes: hash of all before
//! ```

use std::{
    io::{self, Write},
    sync::Arc,
};

use bytes::Bytes;
use bytestring::ByteString;

use crate::{
    compile::{
        PolicySet, System,
        document::{self, Document},
        packed::{Reader, Writer},
        plan::{
            Plan,
            hash::{self, Seed},
        },
        set::Numbers,
        slots::Slots,
        system,
    },
    source::Source,
};

/// Bytes that a sealed set begins with.
const MAGIC: [u8; 8] = *b"ghpolset";

/// Grows whenever the same bytes would be read in another way; a test holds the bytes of a known set to it.
const FORMAT: u32 = 2;

/// What each section begins at a multiple of: a line of the processor's cache.
const ALIGNMENT: usize = 64;

const SECTIONS: usize = 8;
const HEADER_BYTES: usize = 2 * ALIGNMENT;
const SEAL_BYTES: usize = blake3::OUT_LEN;

/// The secret that a set is sealed with.
#[derive(Clone)]
pub struct SealKey([u8; SealKey::BYTES]);

/// Why bytes are no set that can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// They do not begin as one.
    #[error("this is no compiled policy set")]
    NotOne,
    /// Of an earlier or a later program.
    #[error("the compiled policy set was written by another version of the program")]
    Version,
    /// Cut, changed, or sealed with another key.
    #[error("the seal of the compiled policy set is broken: it was damaged, or somebody else wrote it")]
    Broken,
    /// This process has hashed with another seed before, or hashes in another way.
    #[error("the compiled policy set was made for another process")]
    Seed,
}

impl SealKey {
    /// How long a key is.
    pub const BYTES: usize = blake3::KEY_LEN;

    /// Takes a secret, which should be random.
    pub fn new(secret: [u8; Self::BYTES]) -> Self {
        Self(secret)
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

impl PolicySet {
    /// Writes the set, with whatever the caller wants to read with it, sealed. The bytes tell how names are hashed: they are
    /// for those alone who may know the key.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn seal(&self, about: &[u8], key: &SealKey, to: &mut dyn Write) -> io::Result<()> {
        let head = self.head(about).into_bytes();
        let texts = || self.sources.iter().map(|it| it.text().as_bytes());
        let runs = || self.documents.iter().map(|it| it.runs());
        let total = |lengths: &mut dyn Iterator<Item = usize>| lengths.fold(0_usize, usize::saturating_add);
        let [bytes, edges, claims, keyed] = self.plan.runs();
        let lengths: [usize; SECTIONS] = [
            head.len(),
            total(&mut texts().map(<[u8]>::len)),
            total(&mut runs().map(|[packed, _]| packed.len())),
            total(&mut runs().map(|[_, starts]| starts.len())),
            bytes.len(),
            edges.len(),
            claims.len(),
            keyed.len(),
        ];
        let mut sealing = Sealing { to, hasher: blake3::Hasher::new_keyed(&key.0), at: 0 };
        sealing.part(&header(lengths))?;
        sealing.section([head.as_slice()])?;
        sealing.section(texts())?;
        sealing.section(runs().map(|[packed, _]| packed.as_ref()))?;
        sealing.section(runs().map(|[_, starts]| starts.as_ref()))?;
        for run in [bytes, edges, claims, keyed] {
            sealing.section([run.as_ref()])?;
        }
        let seal = sealing.hasher.finalize();
        to.write_all(seal.as_bytes())?;
        to.flush()
    }

    /// The set that was sealed in these bytes, and what its writer said of it. It is used where it lies.
    ///
    /// A process has one seed for its hashes, which it takes from the first set that it unseals: where it has compiled
    /// before, only its own sets can be unsealed.
    ///
    /// ```
    /// use gatehouse::{
    ///     compile::{PolicySet, SealKey, System, compile},
    ///     source::Source,
    /// };
    ///
    /// let source = Source::new("a.pol", b"job::/ { if (mfa == \"totp\") { permit ssh } }".to_vec())?;
    /// let set = compile(&[source], System::Included).unwrap();
    /// let key = SealKey::new([7; 32]);
    /// let mut bytes = Vec::new();
    /// set.seal(b"of today", &key, &mut bytes)?;
    /// let (again, about) = PolicySet::unseal(&bytes.clone().into(), &key)?;
    /// assert_eq!((again.sources(), &*about), (set.sources(), b"of today".as_slice()));
    /// bytes[1_000] ^= 1;
    /// assert!(PolicySet::unseal(&bytes.into(), &key).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unseal(bytes: &Bytes, key: &SealKey) -> Result<(Self, Bytes), UnsealError> {
        let (header, _) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(UnsealError::NotOne)?;
        let mut header = Reader::new(header);
        let magic = header.wide().ok_or(UnsealError::NotOne)?;
        if magic != u64::from_le_bytes(MAGIC) {
            return Err(UnsealError::NotOne);
        }
        if header.wide() != Some(FORMAT.into()) {
            return Err(UnsealError::Version);
        }
        let (sealed, seal) = bytes.split_last_chunk::<SEAL_BYTES>().ok_or(UnsealError::Broken)?;
        // By as many threads as there are: of a large set this is nearly all that a start waits for. Compared in the same time
        // wherever they differ.
        if blake3::Hasher::new_keyed(&key.0).update_rayon(sealed).finalize() != *seal {
            return Err(UnsealError::Broken);
        }
        let mut word = || header.wide().ok_or(UnsealError::Broken);
        let (seed, probe) = (Seed([word()?, word()?]), word()?);
        if !hash::adopt(seed) || hash::probe() != probe {
            return Err(UnsealError::Seed);
        }
        let sections = sections(&bytes.slice_ref(sealed), header).ok_or(UnsealError::Broken)?;
        Self::of_sections(sections)
    }

    fn head(&self, about: &[u8]) -> Writer {
        let mut head = Writer::default();
        head.slice(about);
        head.text(env!("CARGO_PKG_VERSION"));
        head.number(usize::from(self.system == System::Included));
        self.slots.put(&mut head);
        self.numbers.put(&mut head);
        self.plan.put(&mut head);
        head.number(self.sources.len());
        for (source, document) in self.sources.iter().zip(&self.documents) {
            head.text(source.name());
            head.number(source.text().len());
            document.put(&mut head);
        }
        head
    }

    fn of_sections([head, texts, packed, starts, runs @ ..]: [Bytes; SECTIONS]) -> Result<(Self, Bytes), UnsealError> {
        let mut from = Reader::new(&head);
        let about = from.slice().map(|it| head.slice_ref(it)).ok_or(UnsealError::Broken)?;
        if from.text().ok_or(UnsealError::Broken)? != env!("CARGO_PKG_VERSION") {
            return Err(UnsealError::Version);
        }
        let set = Self::of_head(&mut from, [texts, packed, starts], runs).ok_or(UnsealError::Broken)?;
        let has = |it: &Source| set.sources.iter().any(|own| own.name() == it.name() && own.has_text_of(it));
        // Their texts are the program's, whatever its version says.
        if set.system == System::Included && !system::system_sources().iter().all(has) {
            return Err(UnsealError::Version);
        }
        Ok((set, about))
    }

    fn of_head(from: &mut Reader<'_>, [texts, mut packed, mut starts]: [Bytes; 3], runs: [Bytes; 4]) -> Option<Self> {
        let system = if from.number()? == 0 { System::LeftOut } else { System::Included };
        let slots = Slots::take(from)?;
        let numbers = Numbers::take(from)?;
        let plan = Plan::take(from, runs)?;
        let texts = ByteString::try_from(texts).ok()?;
        let mut rest: &str = &texts;
        let (mut sources, mut documents) = (Vec::new(), Vec::new());
        for _ in 0..from.number()? {
            let name = from.text()?;
            let text;
            (text, rest) = rest.split_at_checked(from.number()?)?;
            let source = Source::of_text(name.into(), texts.slice_ref(text));
            let mut document = Document::take(from, [&mut packed, &mut starts], &slots)?;
            document.make_ready(&slots, system::is_system(source.document()));
            sources.push(source);
            documents.push(Arc::new(document));
        }
        document::make_ready_if_few(&mut documents, &slots);
        Some(Self { sources, documents, numbers, slots, plan, system })
    }
}

/// Writes and hashes.
struct Sealing<'a> {
    to: &'a mut dyn Write,
    hasher: blake3::Hasher,
    at: usize,
}

impl Sealing<'_> {
    fn section<'b>(&mut self, parts: impl IntoIterator<Item = &'b [u8]>) -> io::Result<()> {
        for part in parts {
            self.part(part)?;
        }
        let gap = self.at.next_multiple_of(ALIGNMENT).saturating_sub(self.at);
        self.part([0; ALIGNMENT].get(..gap).unwrap_or_default())
    }

    fn part(&mut self, part: &[u8]) -> io::Result<()> {
        self.hasher.update(part);
        self.at = self.at.saturating_add(part.len());
        self.to.write_all(part)
    }
}

fn header(lengths: [usize; SECTIONS]) -> Vec<u8> {
    let Seed([first, second]) = hash::seed();
    let words = [u64::from_le_bytes(MAGIC), FORMAT.into(), first, second, hash::probe()];
    let lengths = lengths.map(|it| u64::try_from(it).unwrap_or(u64::MAX));
    let mut header: Vec<u8> = words.iter().chain(&lengths).flat_map(|it| it.to_le_bytes()).collect();
    header.resize(HEADER_BYTES, 0);
    header
}

/// The sections by the lengths that the header says.
fn sections(bytes: &Bytes, mut lengths: Reader<'_>) -> Option<[Bytes; SECTIONS]> {
    let mut sections = [const { Bytes::new() }; SECTIONS];
    let mut at = HEADER_BYTES;
    for section in &mut sections {
        let end = at.checked_add(usize::try_from(lengths.wide()?).ok()?)?;
        *section = (end <= bytes.len()).then(|| bytes.slice(at..end))?;
        at = end.checked_next_multiple_of(ALIGNMENT)?;
    }
    Some(sections)
}
