//! Hostile archives: nothing is written outside of the layer's folder, and nothing unbounded is kept.

use std::{
    fs,
    io::Cursor,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
};

use gatehouse::im::layers::unpack::{Bounds, unpack};
use tar::{Builder, EntryType, Header};

use crate::{
    Test,
    rig::{append, header},
};

pub(crate) const TESTS: &[Test] = &[
    ("names_that_leave_the_layer_are_refused", outside),
    ("links_lead_nowhere_outside_while_unpacking", links),
    ("devices_and_attributes_are_left_out", devices),
    ("owners_outside_the_range_are_refused", owners),
    ("bounds_hold", bounds),
    ("whiteouts_become_overlayfs_s_own", whiteouts),
    ("later_entries_replace_earlier_ones_of_any_kind", replaced),
    ("every_prefix_of_an_archive_is_refused_or_read_without_panic", prefixes),
];

/// Unpacks into `victim/layer`, and tells what of `victim` is neither the layer nor the file that must stay as it is.
fn attempt(archive: &[u8], bounds: &Bounds) -> (Result<(), String>, tempfile::TempDir) {
    let victim = tempfile::tempdir().unwrap();
    fs::write(victim.path().join("kept"), "kept").unwrap();
    let layer = victim.path().join("layer");
    fs::create_dir(&layer).unwrap();
    let result = unpack(Cursor::new(archive), &layer, bounds).map_err(|error| error.to_string());
    assert_eq!(fs::read_to_string(victim.path().join("kept")).unwrap(), "kept");
    assert_eq!(fs::read_dir(victim.path()).unwrap().count(), 2, "something was written beside the layer");
    (result, victim)
}

fn refused(archive: &[u8], why: &str) {
    let error = attempt(archive, &Bounds::default()).0.expect_err(why);
    assert!(error.contains(why), "{error}");
}

/// An entry whose name the `tar` crate itself would not write.
fn raw(kind: EntryType, name: &[u8], link: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut header = header(kind, 0o644, bytes.len().try_into().unwrap());
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
    header.set_cksum();
    let mut tar = Builder::new(Vec::new());
    tar.append(&header, bytes).unwrap();
    tar.into_inner().unwrap()
}

fn join(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut tar: Vec<u8> = parts.iter().flat_map(|it| it[..it.len() - 1024].to_vec()).collect();
    tar.extend([0; 1024]);
    tar
}

fn outside() {
    for name in ["../kept", "a/../../kept", "..", "a/..", "./../kept"] {
        refused(&raw(EntryType::Regular, name.as_bytes(), b"", b"bad"), "climbs out");
    }
    for name in ["/kept", "//etc/passwd"] {
        refused(&raw(EntryType::Regular, name.as_bytes(), b"", b"bad"), "absolute");
    }
    let deep = "d/".repeat(40) + "f";
    let bounds = Bounds { depth: 20, ..Bounds::default() };
    let (result, _) = attempt(&raw(EntryType::Regular, deep.as_bytes(), b"", b""), &bounds);
    assert!(result.unwrap_err().contains("too deep"));
}

fn links() {
    // Through a link of the archive's own to the folder above.
    for target in ["..", "/", "/proc/self/cwd", "../layer/.."] {
        let archive = join(&[
            raw(EntryType::Symlink, b"up", target.as_bytes(), b""),
            raw(EntryType::Regular, b"up/kept", b"", b"bad"),
        ]);
        refused(&archive, "its folder cannot be entered");
        let archive = join(&[
            raw(EntryType::Symlink, b"up", target.as_bytes(), b""),
            raw(EntryType::Link, b"hard", b"up/kept", b""),
        ]);
        refused(&archive, "its folder cannot be entered");
    }
    // A file over a link replaces the link, and does not follow it.
    let archive = join(&[raw(EntryType::Symlink, b"f", b"../kept", b""), raw(EntryType::Regular, b"f", b"", b"new")]);
    let (result, victim) = attempt(&archive, &Bounds::default());
    result.unwrap();
    assert_eq!(fs::read_to_string(victim.path().join("layer/f")).unwrap(), "new");
    for target in ["../kept", "/etc/passwd", "", "missing", "."] {
        refused(&raw(EntryType::Link, b"hard", target.as_bytes(), b""), "entry `");
    }
    // A hard link to a link must not be followed either, and a mode must not be set through one.
    let archive = join(&[
        raw(EntryType::Symlink, b"s", b"../kept", b""),
        raw(EntryType::Link, b"hard", b"s", b""),
        raw(EntryType::Regular, b"hard", b"", b"new"),
    ]);
    let (result, _victim) = attempt(&archive, &Bounds::default());
    result.unwrap();
}

fn devices() {
    let mut tar = Builder::new(Vec::new());
    for (kind, name) in [(EntryType::Char, "null"), (EntryType::Block, "disk")] {
        let mut header = header(kind, 0o666, 0);
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
        tar.append_data(&mut header, name, std::io::empty()).unwrap();
    }
    let attributes = [("SCHILY.xattr.trusted.overlay.redirect", b"/etc".as_slice())];
    tar.append_pax_extensions(attributes).unwrap();
    append(&mut tar, EntryType::Directory, "folder", 0o755, b"");
    append(&mut tar, EntryType::Fifo, "fifo", 0o644, b"");
    let (result, victim) = attempt(&tar.into_inner().unwrap(), &Bounds::default());
    result.unwrap();
    let layer = victim.path().join("layer");
    assert!(!layer.join("null").exists() && !layer.join("disk").exists());
    assert!(fs::metadata(layer.join("fifo")).unwrap().file_type().is_fifo());
    assert!(rustix::fs::getxattr(layer.join("folder"), "trusted.overlay.redirect", &mut [0_u8; 8]).is_err());
}

fn owners() {
    for id in [65_536, u64::from(u32::MAX), 0x1_0000_0000] {
        let mut header: Header = header(EntryType::Regular, 0o644, 0);
        header.set_uid(id);
        let mut tar = Builder::new(Vec::new());
        tar.append_data(&mut header, "f", std::io::empty()).unwrap();
        refused(&tar.into_inner().unwrap(), "owner");
    }
}

fn bounds() {
    let small = Bounds { entries: 3, bytes: 4096, depth: 8 };
    let many: Vec<Vec<u8>> =
        (0..4).map(|it| raw(EntryType::Directory, format!("d{it}").as_bytes(), b"", b"")).collect();
    assert!(attempt(&join(&many), &small).0.unwrap_err().contains("too many entries"));
    let large = raw(EntryType::Regular, b"f", b"", &[0; 5000]);
    assert!(attempt(&large, &small).0.is_err());
    let twice: Vec<Vec<u8>> =
        (0..2).map(|it| raw(EntryType::Regular, format!("f{it}").as_bytes(), b"", &[0; 3000])).collect();
    assert!(attempt(&join(&twice), &small).0.unwrap_err().contains("larger"));
    // A name that takes more memory than any name.
    let name = vec![b'a'; 3 << 20];
    let archive =
        join(&[raw(EntryType::GNULongName, b"././@LongLink", b"", &name), raw(EntryType::Regular, b"f", b"", b"")]);
    assert!(attempt(&archive, &Bounds::default()).0.unwrap_err().contains("larger than it may be"));
    let archive = join(&[raw(EntryType::XHeader, b"x", b"", &name), raw(EntryType::Regular, b"f", b"", b"")]);
    assert!(attempt(&archive, &Bounds::default()).0.unwrap_err().contains("larger than it may be"));
}

fn whiteouts() {
    let archive = join(&[
        raw(EntryType::Directory, b"d", b"", b""),
        raw(EntryType::Regular, b"d/.wh..wh..opq", b"", b""),
        raw(EntryType::Regular, b"d/.wh.gone", b"", b""),
        raw(EntryType::Regular, b".wh..wh.plnk", b"", b""),
    ]);
    let (result, victim) = attempt(&archive, &Bounds::default());
    result.unwrap();
    let folder = victim.path().join("layer/d");
    let gone = fs::symlink_metadata(folder.join("gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    let mut value = [0_u8; 8];
    assert_eq!(rustix::fs::getxattr(&folder, "trusted.overlay.opaque", &mut value).unwrap(), 1);
    assert_eq!(value[0], b'y');
    assert_eq!(fs::read_dir(victim.path().join("layer")).unwrap().count(), 1);
    for name in [".wh.", ".wh..", ".wh..."] {
        refused(&raw(EntryType::Regular, name.as_bytes(), b"", b""), "hides no name");
    }
}

fn replaced() {
    let kinds = [EntryType::Regular, EntryType::Directory, EntryType::Symlink, EntryType::Fifo];
    for first in kinds {
        for second in kinds {
            let archive = join(&[raw(first, b"x", b"to", b""), raw(second, b"x", b"to", b"")]);
            let (result, victim) = attempt(&archive, &Bounds::default());
            result.unwrap_or_else(|error| panic!("{first:?} then {second:?}: {error}"));
            let found = fs::symlink_metadata(victim.path().join("layer/x")).unwrap().file_type();
            assert_eq!(found.is_dir(), second == EntryType::Directory);
            assert_eq!(found.is_symlink(), second == EntryType::Symlink);
        }
    }
    // A whole folder is not thrown away for one entry.
    let archive = join(&[raw(EntryType::Regular, b"d/f", b"", b""), raw(EntryType::Regular, b"d", b"", b"")]);
    assert!(attempt(&archive, &Bounds::default()).0.is_err());
}

fn prefixes() {
    let archive = join(&[
        raw(EntryType::Directory, b"d", b"", b""),
        raw(EntryType::Regular, b"d/f", b"", b"some text"),
        raw(EntryType::Link, b"d/g", b"d/f", b""),
        raw(EntryType::Symlink, b"s", b"d", b""),
    ]);
    let base = tempfile::tempdir().unwrap();
    for length in (0..archive.len()).step_by(61) {
        let layer = base.path().join(length.to_string());
        fs::create_dir(&layer).unwrap();
        drop(unpack(Cursor::new(&archive[..length]), Path::new(&layer), &Bounds::default()));
    }
    for at in (0..archive.len()).step_by(17) {
        let layer = base.path().join(format!("flip{at}"));
        fs::create_dir(&layer).unwrap();
        let mut flipped = archive.clone();
        flipped[at] ^= 0x55;
        drop(unpack(Cursor::new(&flipped), Path::new(&layer), &Bounds::default()));
    }
}
