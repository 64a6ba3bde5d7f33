//! A folder as a tar archive that is made while it is sent.

use std::{
    collections::HashMap,
    fs::{self, Metadata},
    io::{self, Write},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use axum::body::{Body, Bytes};
use futures_util::stream;
use tar::{Builder, EntryType, Header};
use tokio::sync::mpsc;

/// Pieces that are under way.
const PIECES: usize = 16;

/// User ids that an instance has.
const IDS: u64 = 65_536;

/// The folder as a request's body. A failure while packing breaks the body off, and `failed` has the reason.
pub(crate) fn body(folder: &Path) -> (Body, tokio::task::JoinHandle<io::Result<Packed>>) {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(PIECES);
    let folder = folder.to_owned();
    let packing = tokio::task::spawn_blocking(move || {
        let mut writer = io::BufWriter::with_capacity(128 * 1024, Pieces(sender.clone()));
        let packed = pack(&folder, &mut writer).and_then(|packed| writer.flush().map(|()| packed));
        if let Err(error) = &packed {
            // The other side must not take half an archive for a whole one.
            let _gone = sender.blocking_send(Err(io::Error::other(error.to_string())));
        }
        packed
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    });
    (Body::from_stream(pieces), packing)
}

/// What was packed.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packed {
    /// Entries.
    pub(crate) entries: u64,
    /// Devices, pipes and sockets, which are left out: an instance has devices of its own.
    pub(crate) left_out: u64,
}

struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the archive, in the order of names, so that the same folder is the same archive.
fn pack(folder: &Path, to: &mut impl Write) -> io::Result<Packed> {
    let mut builder = Builder::new(to);
    let mut packer =
        Packer { owner: rustix::process::geteuid().as_raw(), linked: HashMap::new(), packed: Packed::default() };
    let mut waiting: Vec<PathBuf> = children(folder)?;
    while let Some(path) = waiting.pop() {
        let metadata = fs::symlink_metadata(&path)?;
        let name = path.strip_prefix(folder).map_err(io::Error::other)?.to_owned();
        packer.entry(&mut builder, &path, &name, &metadata)?;
        if metadata.is_dir() {
            waiting.extend(children(&path)?);
        }
    }
    builder.finish()?;
    Ok(packer.packed)
}

/// The last name first, because they are taken from the end.
fn children(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut children: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|it| it.path())).collect::<io::Result<_>>()?;
    children.sort();
    children.reverse();
    Ok(children)
}

struct Packer {
    /// Who packs: their files become root's.
    owner: u32,
    /// Files with several names, by device and inode: the first name has the bytes, the others link to it.
    linked: HashMap<(u64, u64), PathBuf>,
    packed: Packed,
}

impl Packer {
    fn entry(
        &mut self,
        builder: &mut Builder<impl Write>,
        path: &Path,
        name: &Path,
        metadata: &Metadata,
    ) -> io::Result<()> {
        let kind = metadata.file_type();
        if kind.is_char_device() || kind.is_block_device() || kind.is_fifo() || kind.is_socket() {
            self.packed.left_out = self.packed.left_out.saturating_add(1);
            return Ok(());
        }
        let mut header = self.header(metadata);
        self.packed.entries = self.packed.entries.saturating_add(1);
        if kind.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            return builder.append_link(&mut header, name, fs::read_link(path)?);
        }
        if kind.is_dir() {
            header.set_entry_type(EntryType::Directory);
            return builder.append_data(&mut header, name, io::empty());
        }
        if 1 < metadata.nlink() {
            let identity = (metadata.dev(), metadata.ino());
            if let Some(first) = self.linked.get(&identity) {
                header.set_entry_type(EntryType::Link);
                return builder.append_link(&mut header, name, first);
            }
            self.linked.insert(identity, name.to_owned());
        }
        header.set_entry_type(EntryType::Regular);
        header.set_size(metadata.len());
        // A file that grows meanwhile must not shift what follows it.
        builder.append_data(&mut header, name, io::Read::take(fs::File::open(path)?, metadata.len()))
    }

    fn header(&self, metadata: &Metadata) -> Header {
        let mut header = Header::new_gnu();
        header.set_mode(metadata.mode() & 0o7777);
        header.set_uid(self.id(metadata.uid()));
        header.set_gid(self.id(metadata.gid()));
        header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
        header.set_size(0);
        header
    }

    /// An id as the instance knows it: the packer's own and those that no instance has are root's.
    fn id(&self, id: u32) -> u64 {
        if id == self.owner || IDS <= u64::from(id) { 0 } else { u64::from(id) }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_folder_is_packed_with_its_links_and_without_its_devices() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("bin")).unwrap();
        fs::write(at("bin/busybox"), b"program").unwrap();
        fs::hard_link(at("bin/busybox"), at("bin/sh")).unwrap();
        symlink("/bin/sh", at("sh")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
            .unwrap();
        let mut bytes = Vec::new();
        let packed = pack(folder.path(), &mut bytes).unwrap();
        assert_eq!(packed, Packed { entries: 4, left_out: 1 });
        let mut archive = tar::Archive::new(bytes.as_slice());
        let found: Vec<(String, EntryType, u64)> = archive
            .entries()
            .unwrap()
            .map(|it| it.unwrap())
            .map(|it| (it.path().unwrap().display().to_string(), it.header().entry_type(), it.size()))
            .collect();
        let expected = [
            ("bin", EntryType::Directory, 0),
            ("bin/busybox", EntryType::Regular, 7),
            ("bin/sh", EntryType::Link, 0),
            ("sh", EntryType::Symlink, 0),
        ];
        assert_eq!(found, expected.map(|(name, kind, size)| (name.to_owned(), kind, size)));
    }
}
