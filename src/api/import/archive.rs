//! Tar archives: made plain, and looked through before anything believes them.

use std::{
    cell::Cell,
    fs::File,
    io::{self, BufReader, Read, Seek},
    path::Path,
    rc::Rc,
};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use crate::api::import::ImportError;

/// Entries of one archive.
const ENTRIES_MAX: usize = 1_000_000;

/// Bytes of one entry's header with its long names and extensions.
const HEADER_BYTES_MAX: u64 = 1024 * 1024;

/// The file that makes an archive an OCI image layout.
const LAYOUT: &[u8] = b"oci-layout";

/// What an archive turned out to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contents {
    /// Whether it is an OCI image layout.
    pub(crate) is_layout: bool,
}

/// The archive without compression, at its beginning.
pub(crate) fn uncompressed(mut file: File, scratch: &Path, bytes_max: u64) -> Result<File, ImportError> {
    let mut magic = [0; 4];
    let read = read_up_to(&mut file, &mut magic).map_err(ImportError::Disk)?;
    file.rewind().map_err(ImportError::Disk)?;
    match magic.get(..read).unwrap_or_default() {
        [0x1f, 0x8b, ..] => {
            let mut plain = tempfile::tempfile_in(scratch).map_err(ImportError::Disk)?;
            // One byte more than may be, so that a bomb is told from what just fits.
            let mut decoder = MultiGzDecoder::new(BufReader::new(file)).take(bytes_max.saturating_add(1));
            let bytes = copy(&mut decoder, &mut plain)?;
            if bytes_max < bytes {
                return Err(ImportError::TooLarge(bytes_max));
            }
            plain.rewind().map_err(ImportError::Disk)?;
            Ok(plain)
        }
        [0x28, 0xb5, 0x2f, 0xfd] => Err(unsupported("zstd")),
        [0xfd, b'7', b'z', b'X'] => Err(unsupported("xz")),
        [b'B', b'Z', b'h', _] => Err(unsupported("bzip2")),
        _ => Ok(file),
    }
}

/// Looks at every entry and refuses what could not be unpacked safely; the archive is at its beginning again. What it
/// unpacks to has at most `bytes_max` bytes.
pub(crate) fn inspect(file: &mut File, bytes_max: u64) -> Result<Contents, ImportError> {
    let contents = check_entries(file, bytes_max)?;
    file.rewind().map_err(ImportError::Disk)?;
    Ok(contents)
}

/// The `tar` crate reads long names and extended headers whole into memory, and only it knows where they are: what looks
/// like a file to who does not know them may hide some. So what it may read before it shows the next entry is bounded.
struct Metered<R> {
    inner: R,
    allowance: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.allowance.get().checked_sub(count.try_into().unwrap_or(u64::MAX));
        self.allowance.set(left.ok_or_else(|| io::Error::other("an extended header of it is too large"))?);
        Ok(count)
    }
}

fn check_entries(file: &mut File, bytes_max: u64) -> Result<Contents, ImportError> {
    let mut contents = Contents { is_layout: false };
    let mut left = bytes_max;
    let allowance = Rc::new(Cell::new(HEADER_BYTES_MAX));
    let mut archive = Archive::new(Metered { inner: BufReader::new(file), allowance: Rc::clone(&allowance) });
    let mut entries = archive.entries().map_err(ImportError::Archive)?;
    for count in 0..=ENTRIES_MAX {
        allowance.set(HEADER_BYTES_MAX);
        let Some(entry) = entries.next() else {
            return if count == 0 { Err(refused("the archive is empty")) } else { Ok(contents) };
        };
        let mut entry = entry.map_err(ImportError::Archive)?;
        contents.is_layout |= check_entry(&entry)?;
        // A sparse file takes little in the archive and much on the disk.
        left = left.checked_sub(entry.size()).ok_or(ImportError::TooLarge(bytes_max))?;
        // What is left of it must not count as the next one's header.
        allowance.set(u64::MAX);
        io::copy(&mut entry, &mut io::sink()).map_err(ImportError::Archive)?;
    }
    Err(refused(format!("the archive has more than {ENTRIES_MAX} entries")))
}

/// Whether it is the file that makes an image layout.
fn check_entry<R: Read>(entry: &Entry<'_, R>) -> Result<bool, ImportError> {
    let path = entry.path_bytes();
    let kind = entry.header().entry_type();
    if kind.is_pax_global_extensions() {
        return Ok(false);
    }
    check_path(&path)?;
    check_kind(kind, &path)?;
    if kind.is_hard_link() {
        let target = entry.link_name_bytes().ok_or_else(|| refused(format!("`{}` links nowhere", shown(&path))))?;
        check_path(&target)?;
    }
    Ok(relative(&path) == LAYOUT && kind.is_file())
}

/// A path that stays below the root: relative, without `..` and without NUL.
fn check_path(path: &[u8]) -> Result<(), ImportError> {
    let escapes = path.starts_with(b"/") || path.split(|byte| *byte == b'/').any(|segment| segment == b"..");
    if path.is_empty() || escapes || path.contains(&0) {
        return Err(refused(format!("`{}` leads out of the archive", shown(path))));
    }
    Ok(())
}

fn check_kind(kind: EntryType, path: &[u8]) -> Result<(), ImportError> {
    let ordinary = kind.is_file()
        || kind.is_dir()
        || kind.is_symlink()
        || kind.is_hard_link()
        || kind.is_contiguous()
        || kind.is_gnu_sparse();
    if ordinary {
        return Ok(());
    }
    let what = if kind.is_character_special() || kind.is_block_special() {
        "a device"
    } else if kind.is_fifo() {
        "a named pipe"
    } else {
        "of a kind that is not known"
    };
    Err(refused(format!("`{}` is {what}; leave it out", shown(path))))
}

/// A path without `./` before it.
pub(crate) fn relative(path: &[u8]) -> &[u8] {
    path.strip_prefix(b"./").unwrap_or(path)
}

/// Copies, and says whose fault a failure is.
pub(crate) fn copy(from: &mut impl Read, to: &mut File) -> Result<u64, ImportError> {
    let mut buffer = vec![0; 256 * 1024];
    let mut total: u64 = 0;
    loop {
        let count = from.read(&mut buffer).map_err(ImportError::Archive)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(total);
        }
        io::Write::write_all(to, bytes).map_err(ImportError::Disk)?;
        total = total.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            count => read = read.saturating_add(count),
        }
    }
    Ok(read)
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(200).collect()
}

pub(crate) fn refused(message: impl Into<String>) -> ImportError {
    ImportError::Refused(message.into())
}

fn unsupported(compression: &str) -> ImportError {
    ImportError::Unsupported(format!("archives compressed by {compression} are not read; use gzip or none"))
}
