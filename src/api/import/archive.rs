//! Tar archives: made plain, and looked through before anything believes them.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek},
    path::Path,
};

use flate2::read::MultiGzDecoder;
use tar::{Archive, EntryType};

use crate::api::import::ImportError;

/// Entries of one archive.
const ENTRIES_MAX: usize = 1_000_000;

/// Bytes of a long name or an extended header; the tar reader takes those into memory whole.
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

/// Looks at every entry and refuses what could not be unpacked safely; the archive is at its beginning again.
pub(crate) fn inspect(file: &mut File) -> Result<Contents, ImportError> {
    check_headers(file)?;
    file.rewind().map_err(ImportError::Disk)?;
    let contents = check_entries(file)?;
    file.rewind().map_err(ImportError::Disk)?;
    Ok(contents)
}

/// Before the reader interprets anything: sizes of what it would take into memory, and the number of entries.
fn check_headers(file: &mut File) -> Result<(), ImportError> {
    let mut archive = Archive::new(BufReader::new(file));
    let mut count: usize = 0;
    for entry in archive.entries().map_err(ImportError::Archive)?.raw(true) {
        let entry = entry.map_err(ImportError::Archive)?;
        let kind = entry.header().entry_type();
        let header_only = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        if header_only && HEADER_BYTES_MAX < entry.size() {
            return Err(refused("an extended header of the archive is too large"));
        }
        count = count.saturating_add(1);
        if ENTRIES_MAX < count {
            return Err(refused(format!("the archive has more than {ENTRIES_MAX} entries")));
        }
    }
    if count == 0 {
        return Err(refused("the archive is empty"));
    }
    Ok(())
}

fn check_entries(file: &mut File) -> Result<Contents, ImportError> {
    let mut contents = Contents { is_layout: false };
    let mut archive = Archive::new(BufReader::new(file));
    for entry in archive.entries().map_err(ImportError::Archive)? {
        let entry = entry.map_err(ImportError::Archive)?;
        let path = entry.path_bytes().into_owned();
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            continue;
        }
        check_path(&path)?;
        check_kind(kind, &path)?;
        if kind.is_hard_link() {
            let target = entry.link_name_bytes().ok_or_else(|| refused(format!("`{}` links nowhere", shown(&path))))?;
            check_path(&target)?;
        }
        contents.is_layout |= relative(&path) == LAYOUT && kind.is_file();
    }
    Ok(contents)
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
