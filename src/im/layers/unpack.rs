//! Unpacks one layer's archive, which may be hostile, into a folder that nobody else touches.
//!
//! Names are walked part by part beneath the folder and through no link (`openat2`), so nothing is written outside of
//! it whatever the archive says. Whiteouts (OCI image layer specification) become overlayfs's own.

use std::{
    cell::Cell,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::{
        fd::OwnedFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Component, Path, PathBuf},
    rc::Rc,
};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps, XattrFlags, chmodat, chownat, fsetxattr,
    linkat, mkdirat, mknodat, openat, openat2, statat, symlinkat, unlinkat, utimensat,
};
use rustix::process::{Gid, Uid};
use tar::{Archive, Entry, EntryType};

use crate::im::{ImError, error::printable, runtime::spec::RANGE};

/// Bytes of one entry's header with its long names and attributes.
const HEADER_BYTES_MAX: u64 = 1024 * 1024;

/// What an archive may cost.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Entries.
    pub entries: u64,
    /// Bytes of all files together; also of one entry in the archive.
    pub bytes: u64,
    /// Parts of a name.
    pub depth: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { entries: 1_000_000, bytes: crate::im::layers::LAYER_BYTES_MAX, depth: 128 }
    }
}

/// Unpacks; an archive that breaks a rule is refused whole, the caller then removes the folder.
///
/// Device nodes are left out: `/dev` is the runtime's. Extended attributes are left out: they could forge overlayfs's own.
pub fn unpack(archive: impl Read, folder: &Path, bounds: &Bounds) -> Result<(), ImError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, folder, flags, Mode::empty()).map_err(|error| at("the layer's folder", error))?;
    chmodat(CWD, folder, 0o755.into(), AtFlags::empty()).map_err(|error| at("the layer's folder", error))?;
    let mut tree = Tree { root, bytes_left: bounds.bytes, depth: bounds.depth, folders: Vec::new() };
    let allowance = Rc::new(Cell::new(HEADER_BYTES_MAX));
    let mut archive = Archive::new(Metered { inner: archive, allowance: Rc::clone(&allowance) });
    let mut entries = archive.entries().map_err(|error| unusable(&error))?;
    for _ in 0..bounds.entries {
        allowance.set(HEADER_BYTES_MAX);
        let Some(entry) = entries.next() else { return tree.finish() };
        let mut entry = entry.map_err(|error| unusable(&error))?;
        allowance.set(bounds.bytes);
        tree.add(&mut entry)?;
        // What is left of it must not count as the next one's header.
        io::copy(&mut entry, &mut io::sink()).map_err(|error| unusable(&error))?;
    }
    Err(ImError::Unusable("the archive has too many entries".to_owned()))
}

/// The `tar` crate reads names and attributes whole into memory, however long an archive says that they are; so what
/// it may read before it shows us the next entry is bounded.
struct Metered<R> {
    inner: R,
    allowance: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.allowance.get().checked_sub(count.try_into().unwrap_or(u64::MAX));
        self.allowance.set(left.ok_or_else(|| io::Error::other("a part of it is larger than it may be"))?);
        Ok(count)
    }
}

struct Tree {
    root: OwnedFd,
    bytes_left: u64,
    depth: usize,
    /// Times of folders, set at the end because every new entry changes them.
    folders: Vec<(PathBuf, Timestamps)>,
}

/// Where an entry goes: an opened folder and a last part that is neither empty nor a link elsewhere.
struct Place {
    folder: OwnedFd,
    name: OsString,
    path: PathBuf,
}

impl Tree {
    fn add<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), ImError> {
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XGlobalHeader | EntryType::Char | EntryType::Block) {
            return Ok(());
        }
        let raw = PathBuf::from(OsString::from_vec(entry.path_bytes().into_owned()));
        let path = relative(&raw, self.depth)?;
        let Some(place) = self.place(path)? else { return Ok(()) };
        let name = place.name.as_bytes();
        if let Some(hidden) = name.strip_prefix(b".wh.") {
            return whiteout(&place, hidden);
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else there is, or will be, is refused")]
        match kind {
            EntryType::Directory => self.directory(&place, entry),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => self.file(&place, entry),
            EntryType::Symlink => symlink(&place, entry),
            EntryType::Link => self.hard_link(&place, entry),
            EntryType::Fifo => special(&place, entry),
            _ => Err(refuse(&place.path, &format!("entries of kind {kind:?} are not known"))),
        }
    }

    /// Opens the folder of an entry, making what is missing; `None` for the root itself.
    fn place(&self, path: PathBuf) -> Result<Option<Place>, ImError> {
        let Some(name) = path.file_name().map(OsStr::to_owned) else { return Ok(None) };
        let mut folder = self.root.try_clone().map_err(|error| at("the layer's folder", error))?;
        for part in path.parent().into_iter().flat_map(Path::components) {
            folder = match beneath(&folder, part.as_os_str(), OFlags::DIRECTORY) {
                Err(rustix::io::Errno::NOENT) => {
                    mkdirat(&folder, part.as_os_str(), 0o755.into())
                        .map_err(|error| refuse(&path, &error.to_string()))?;
                    beneath(&folder, part.as_os_str(), OFlags::DIRECTORY)
                }
                other => other,
            }
            .map_err(|error| refuse(&path, &format!("its folder cannot be entered: {error}")))?;
        }
        Ok(Some(Place { folder, name, path }))
    }

    fn directory<R: Read>(&mut self, place: &Place, entry: &Entry<'_, R>) -> Result<(), ImError> {
        match mkdirat(&place.folder, &place.name, 0o700.into()) {
            Err(rustix::io::Errno::EXIST) if place.is_directory() => {}
            Err(rustix::io::Errno::EXIST) => {
                place.clear()?;
                mkdirat(&place.folder, &place.name, 0o700.into()).map_err(|error| place.error(error))?;
            }
            other => other.map_err(|error| place.error(error))?,
        }
        own(place, entry)?;
        self.folders.push((place.path.clone(), times(entry)));
        Ok(())
    }

    fn file<R: Read>(&mut self, place: &Place, entry: &mut Entry<'_, R>) -> Result<(), ImError> {
        place.clear()?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&place.folder, &place.name, flags, 0o600.into()).map_err(|error| place.error(error))?;
        // One byte more than there may be tells too much from just enough.
        let mut bounded = entry.take(self.bytes_left.saturating_add(1));
        let written =
            io::copy(&mut bounded, &mut File::from(file)).map_err(|error| refuse(&place.path, &error.to_string()))?;
        self.bytes_left = self
            .bytes_left
            .checked_sub(written)
            .ok_or_else(|| ImError::Unusable("the files are larger than a layer may be".to_owned()))?;
        own(place, entry)?;
        touch(&place.folder, &place.name, &times(entry))
    }

    fn hard_link<R: Read>(&self, place: &Place, entry: &Entry<'_, R>) -> Result<(), ImError> {
        let target = entry.link_name_bytes().ok_or_else(|| refuse(&place.path, "a link to nothing"))?;
        let target = relative(Path::new(OsStr::from_bytes(&target)), self.depth)?;
        let target = self.place(target)?.ok_or_else(|| refuse(&place.path, "a link to the root"))?;
        // Neither to a folder nor to a whiteout, and not to itself.
        let stat =
            statat(&target.folder, &target.name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| target.error(error))?;
        if !matches!(FileType::from_raw_mode(stat.st_mode), FileType::RegularFile | FileType::Symlink | FileType::Fifo)
        {
            return Err(refuse(&place.path, "a link to what is no file"));
        }
        if target.path == place.path {
            return Ok(());
        }
        place.clear()?;
        linkat(&target.folder, &target.name, &place.folder, &place.name, AtFlags::empty())
            .map_err(|error| place.error(error))
    }

    fn finish(self) -> Result<(), ImError> {
        for (path, times) in self.folders.iter().rev() {
            // It may have been replaced by a later entry; then its times are not ours to set.
            if let Some(place) = self.place(path.clone())?
                && place.is_directory()
            {
                touch(&place.folder, &place.name, times)?;
            }
        }
        Ok(())
    }
}

impl Place {
    fn error(&self, error: rustix::io::Errno) -> ImError {
        refuse(&self.path, &error.to_string())
    }

    fn clone_folder(&self) -> Result<OwnedFd, ImError> {
        self.folder.try_clone().map_err(|error| refuse(&self.path, &error.to_string()))
    }

    fn is_directory(&self) -> bool {
        let stat = statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        stat.is_ok_and(|it| FileType::from_raw_mode(it.st_mode) == FileType::Directory)
    }

    /// Makes room: a later entry replaces an earlier one of its name, but never a whole folder.
    fn clear(&self) -> Result<(), ImError> {
        match unlinkat(&self.folder, &self.name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
            Err(rustix::io::Errno::ISDIR) => {
                unlinkat(&self.folder, &self.name, AtFlags::REMOVEDIR).map_err(|error| self.error(error))
            }
            Err(error) => Err(self.error(error)),
        }
    }
}

fn whiteout(place: &Place, hidden: &[u8]) -> Result<(), ImError> {
    if hidden == b".wh..opq" {
        // The folder must be open for more than its path.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(&place.folder, ".", flags, Mode::empty()).map_err(|error| place.error(error))?;
        return fsetxattr(&folder, "trusted.overlay.opaque", b"y", XattrFlags::empty())
            .map_err(|error| place.error(error));
    }
    if hidden.starts_with(b".wh.") {
        return Ok(()); // Bookkeeping of another file system (aufs).
    }
    if matches!(hidden, b"" | b"." | b"..") {
        return Err(refuse(&place.path, "it hides no name"));
    }
    let place =
        Place { folder: place.clone_folder()?, name: OsStr::from_bytes(hidden).to_owned(), path: place.path.clone() };
    place.clear()?;
    // Overlayfs's whiteout is a character device 0/0.
    mknodat(&place.folder, &place.name, FileType::CharacterDevice, Mode::empty(), 0).map_err(|error| place.error(error))
}

fn symlink<R: Read>(place: &Place, entry: &Entry<'_, R>) -> Result<(), ImError> {
    let target = entry.link_name_bytes().ok_or_else(|| refuse(&place.path, "a link to nothing"))?;
    place.clear()?;
    // Whatever it says: only processes inside the container follow it, and our own look-ups stay inside the root.
    symlinkat(OsStr::from_bytes(&target), &place.folder, &place.name).map_err(|error| place.error(error))?;
    own(place, entry)?;
    touch(&place.folder, &place.name, &times(entry))
}

fn special<R: Read>(place: &Place, entry: &Entry<'_, R>) -> Result<(), ImError> {
    place.clear()?;
    mknodat(&place.folder, &place.name, FileType::Fifo, 0o600.into(), 0).map_err(|error| place.error(error))?;
    own(place, entry)
}

/// Sets owner, then mode: a change of owner takes the set-user-id bit away.
fn own<R: Read>(place: &Place, entry: &Entry<'_, R>) -> Result<(), ImError> {
    let header = entry.header();
    let id = |it: io::Result<u64>| it.ok().and_then(|it| u32::try_from(it).ok()).filter(|it| *it < RANGE);
    let (Some(uid), Some(gid)) = (id(header.uid()), id(header.gid())) else {
        return Err(refuse(&place.path, "its owner is not among the 65536 ids of an instance"));
    };
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    chownat(&place.folder, &place.name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| place.error(error))?;
    if header.entry_type() == EntryType::Symlink {
        return Ok(());
    }
    let mode = header.mode().map_err(|error| unusable(&error))? & 0o7777;
    // `clear` and `O_EXCL` made sure that the name is what we have just made, no link.
    chmodat(&place.folder, &place.name, mode.into(), AtFlags::empty()).map_err(|error| place.error(error))
}

fn times<R: Read>(entry: &Entry<'_, R>) -> Timestamps {
    let seconds = entry.header().mtime().ok().and_then(|it| i64::try_from(it).ok()).unwrap_or_default();
    // What no file system can hold is set to what it holds; an error here would be no one's gain.
    let time = Timespec { tv_sec: seconds.min(i64::from(u32::MAX)), tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

fn touch(folder: &OwnedFd, name: &OsStr, times: &Timestamps) -> Result<(), ImError> {
    utimensat(folder, name, times, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| at("times", error))
}

fn beneath(folder: &OwnedFd, part: &OsStr, kind: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    openat2(folder, part, OFlags::PATH | OFlags::CLOEXEC | kind, Mode::empty(), resolve)
}

/// A name without `.`; refuses `..`, absolute names and what is too deep.
fn relative(path: &Path, depth: usize) -> Result<PathBuf, ImError> {
    let mut res = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => res.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err(refuse(path, "its name climbs out with `..`")),
            Component::RootDir | Component::Prefix(_) => return Err(refuse(path, "its name is absolute")),
        }
    }
    if depth < res.components().count() {
        return Err(refuse(path, "its name is too deep"));
    }
    Ok(res)
}

fn refuse(path: &Path, why: &str) -> ImError {
    ImError::Unusable(format!("entry `{}`: {why}", printable(&path.to_string_lossy(), 200)))
}

fn unusable(error: &io::Error) -> ImError {
    ImError::Unusable(format!("the archive is damaged: {}", printable(&error.to_string(), 200)))
}

fn at(what: &str, error: impl Into<io::Error>) -> ImError {
    ImError::Io { what: what.to_owned(), source: error.into() }
}
