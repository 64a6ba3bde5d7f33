//! Packages: what is kept of what is imported, and what is refused.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use gatehouse::wire::job::{JobKind, Package};
use serde_json::json;
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};
use tokio::io::AsyncReadExt;

use crate::api::{Answer, PATIENCE, Scene, User, grant, tarball};

const OS: &str = "package::/sandbox/tom::os";

async fn import(user: &User, archive: Vec<u8>) -> Answer {
    user.send("POST", &format!("/v1/packages?fqn={OS}"), &[], archive.into()).await
}

async fn kept(scene: &Scene, digest: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    scene.store.open_blob(digest).await.unwrap().read_to_end(&mut bytes).await.unwrap();
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// An archive of one entry, whose path is written as it is.
fn entry(path: &str, kind: EntryType, link: Option<&str>) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    if let Some(link) = link {
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    }
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(0);
    header.set_cksum();
    let mut builder = tar::Builder::new(Vec::new());
    builder.append(&header, std::io::empty()).unwrap();
    builder.into_inner().unwrap()
}

#[tokio::test]
async fn a_root_file_system_is_kept_as_one_uncompressed_layer() {
    let scene = Scene::start().await;
    let tom = scene.user("tom").await;
    let plain = tarball(&[("bin/sh", b"#!"), ("etc/os-release", b"ID=x")]);
    let first: Package = import(&tom, plain.clone()).await.read();
    assert_eq!((first.layers.len(), first.layers[0].bytes), (1, plain.len() as u64));
    assert_eq!(first.layers[0].digest, digest(&plain));
    assert_eq!(kept(&scene, &first.layers[0].digest).await, plain);
    let zipped: Package = import(&tom, gzip(&plain)).await.read();
    assert_eq!((zipped.layers, zipped.uuid), (first.layers, first.uuid), "the same layer, the same package");
    assert_eq!(scene.recorded("package.imported").await.len(), 2);
}

#[tokio::test]
async fn an_archive_that_could_not_be_unpacked_safely_is_refused() {
    let scene = Scene::start_with(|config| config.router.package_bytes_max = 1 << 20).await;
    let tom = scene.user("tom").await;
    let long_name = {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..13].copy_from_slice(b"././@LongLink");
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(1 << 40);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let whole = tarball(&[("bin/sh", &[7; 5_000])]);
    let bad = [
        ("empty", Vec::new()),
        ("no archive", vec![b'x'; 2_000]),
        ("cut short", whole[..3_000].to_vec()),
        ("above", entry("../etc/passwd", EntryType::Regular, None)),
        ("above, deeper", entry("a/../../b", EntryType::Regular, None)),
        ("absolute", entry("/etc/passwd", EntryType::Regular, None)),
        ("a device", entry("dev/sda", EntryType::Block, None)),
        ("a terminal", entry("dev/tty", EntryType::Char, None)),
        ("a pipe", entry("pipe", EntryType::Fifo, None)),
        ("a link out", entry("shadow", EntryType::Link, Some("../../etc/shadow"))),
        ("an absolute link", entry("shadow", EntryType::Link, Some("/etc/shadow"))),
        ("an unknown kind", entry("x", EntryType::new(b'Z'), None)),
        ("a long name without end", long_name),
        ("cut gzip", gzip(&whole)[..40].to_vec()),
    ];
    for (what, archive) in bad {
        let refused = import(&tom, archive).await;
        assert_eq!((refused.status, refused.error().code.as_str()), (400, "invalid"), "{what}");
    }
    for (what, archive) in [("zstd", vec![0x28, 0xb5, 0x2f, 0xfd]), ("bzip2", b"BZh9".to_vec())] {
        assert_eq!(import(&tom, archive).await.error().code, "unsupported", "{what}");
    }
    // A bomb: a megabyte may be kept, this is 64.
    for archive in [gzip(&tarball(&[("zeros", &vec![0; 64 << 20])])), tarball(&[("zeros", &vec![0; 2 << 20])])] {
        assert_eq!(import(&tom, archive).await.error().code, "too_large");
    }
    // Symbolic links point where they like: they are followed within the container only.
    assert_eq!(import(&tom, entry("sh", EntryType::Symlink, Some("/bin/busybox"))).await.status, 201);
    assert_eq!(scene.stored("package").await, 1);
    // Nothing is left lying about.
    let names: Vec<String> = std::fs::read_dir(scene.folder.path())
        .unwrap()
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().all(|it| it == "store" || it == "keys"), "{names:?}");
}

/// An OCI layout of one layer; `spoil` changes a file of it.
fn layout(layer: &[u8], diff_id: &str, spoil: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({
        "architecture": arch, "os": "linux",
        "config": {"Env": ["PATH=/bin", "LANG=C"], "Entrypoint": ["/bin/httpd"], "Cmd": ["-f"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]}, "history": []
    });
    let config = config.to_string().into_bytes();
    let descriptor = |kind: &str, bytes: &[u8]| {
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"), "digest": digest(bytes), "size": bytes.len()
        })
    };
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", &config), "layers": [descriptor("layer.v1.tar+gzip", layer)]
    });
    let manifest = manifest.to_string().into_bytes();
    let mut other = descriptor("manifest.v1+json", b"other");
    other["platform"] = json!({"os": "linux", "architecture": "s390x"});
    let mut ours = descriptor("manifest.v1+json", &manifest);
    ours["platform"] = json!({"os": "linux", "architecture": arch});
    let index = json!({"schemaVersion": 2, "manifests": [other, ours]}).to_string().into_bytes();
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", &digest(bytes)[7..]);
    let files = [
        ("oci-layout".to_owned(), b"{\"imageLayoutVersion\":\"1.0.0\"}".to_vec()),
        ("index.json".to_owned(), index),
        (blob(&config), config.clone()),
        (blob(&manifest), manifest.clone()),
        (blob(layer), layer.to_vec()),
    ];
    let files: Vec<(String, Vec<u8>)> =
        files.into_iter().map(|(path, bytes)| (path.clone(), spoil(&path, bytes))).collect();
    tarball(&files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect::<Vec<_>>())
}

#[tokio::test]
async fn an_image_layout_is_kept_by_its_layers_and_settings() {
    let scene = Scene::start().await;
    let tom = scene.user("tom").await;
    let plain = tarball(&[("bin/httpd", b"\x7fELF")]);
    let layer = gzip(&plain);
    let whole = layout(&layer, &digest(&plain), |_, bytes| bytes);
    let package: Package = import(&tom, whole).await.read();
    assert_eq!((package.layers.len(), package.layers[0].digest.clone()), (1, digest(&plain)));
    assert_eq!(package.default_command, ["/bin/httpd", "-f"]);
    assert_eq!(package.environment["PATH"], "/bin");

    let refused = async |archive: Vec<u8>| import(&tom, archive).await.error().code;
    let flipped = |part: &'static str| {
        layout(&layer, &digest(&plain), move |path, mut bytes| {
            if path.starts_with(part) {
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
            }
            bytes
        })
    };
    assert_eq!(refused(flipped("blobs/")).await, "invalid", "a blob is not what its digest says");
    assert_eq!(refused(flipped("index.json")).await, "invalid");
    assert_eq!(refused(layout(&layer, &digest(b"else"), |_, bytes| bytes)).await, "invalid", "another layer inside");
    let escape = entry("../../etc/cron.d/x", EntryType::Regular, None);
    assert_eq!(refused(layout(&gzip(&escape), &digest(&escape), |_, bytes| bytes)).await, "invalid");
    let none = tarball(&[("oci-layout", b"{}"), ("blobs/sha256/x", b"")]);
    assert_eq!(refused(none).await, "invalid", "no index");
}

#[tokio::test]
async fn a_package_in_use_stays_and_what_runs_keeps_its_layers() {
    let scene = Scene::start().await;
    let im = scene.manager().await;
    let tom = scene.user("tom").await;
    tom.package(OS).await;
    let job = tom.create("job::/sandbox/tom::web", JobKind::App, OS).await.job.uuid;
    tom.start(job).await;
    let before = im.desired.borrow().clone();
    let path = format!("/v1/packages?fqn={OS}");
    assert_eq!(tom.delete(&path).await.error().code, "conflict");
    import(&tom, tarball(&[("bin/sh", b"new")])).await.read::<Package>();
    assert_eq!(*im.desired.borrow(), before);
    tom.update(job, &gatehouse::wire::job::UpdateJob { restart: true, ..Default::default() })
        .await
        .read::<serde_json::Value>();
    let after = im.until(|it| it.len() == 1 && it[0].uuid != before[0].uuid).await;
    assert_ne!(after[0].layers, before[0].layers);

    let mary = scene.user("mary").await;
    assert_eq!(mary.get("/v1/packages").await.read::<Vec<Package>>(), []);
    assert_eq!(mary.delete(&path).await.status, 404);
    // What she is told does not say whether it exists.
    let refused = async |fqn: &str| {
        let path = format!("/v1/packages?fqn={fqn}");
        let error = mary.send("POST", &path, &[], tarball(&[("a", b"")]).into()).await.error();
        (error.code, error.message.replace(fqn, "it"), error.missing_claims)
    };
    assert_eq!(refused(OS).await, refused("package::/sandbox/tom::none").await);
    // Who may make packages there, but not change them, is told that this one is there.
    scene.policy(&[("a", &grant("package::/sandbox/tom", "mary", "create"))]).await;
    assert_eq!(refused(OS).await.2, ["permit update"]);
    tom.delete(&format!("/v1/jobs/{job}")).await;
    assert_eq!(tom.delete(&path).await.status, 204);
}

/// A header of its own, of this kind and with this size.
fn header(name: &str, kind: EntryType, size: usize) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size as u64);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Whole blocks.
fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

#[tokio::test]
async fn a_header_that_hides_in_a_file_is_not_read_into_memory() {
    let scene = Scene::start().await;
    let tom = scene.user("tom").await;
    // To who does not know extended headers it is the content of `x`; for others `x` is empty and this comes behind it.
    let name = padded(vec![b'n'; 2 << 20]);
    let mut hidden = header("././@LongLink", EntryType::GNULongName, name.len());
    hidden.extend(name);
    hidden.extend(header("short", EntryType::Regular, 0));
    let mut archive = header("pax", EntryType::XHeader, 9);
    archive.extend(padded(b"9 size=0\n".to_vec()));
    archive.extend(header("x", EntryType::Regular, hidden.len()));
    archive.extend(hidden);
    archive.extend([0; 1024]);
    let refused = import(&tom, archive).await;
    assert_eq!((refused.status, refused.error().code.as_str()), (400, "invalid"));
}

#[tokio::test]
async fn an_index_of_indexes_is_not_followed_for_ever() {
    let scene = Scene::start().await;
    let tom = scene.user("tom").await;
    let nested = "application/vnd.oci.image.index.v1+json";
    let index_of = |of: &[u8], count: usize| {
        let one = json!({"mediaType": nested, "digest": digest(of), "size": of.len()});
        json!({"schemaVersion": 2, "mediaType": nested, "manifests": vec![one; count]}).to_string().into_bytes()
    };
    let last = index_of(b"", 0);
    let third = index_of(&last, 100);
    let second = index_of(&third, 100);
    let first = index_of(&second, 100);
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", &digest(bytes)[7..]);
    let archive = tarball(&[
        ("oci-layout", b"{}"),
        ("index.json", &first),
        (&blob(&last), &last),
        (&blob(&third), &third),
        (&blob(&second), &second),
    ]);
    let refused = tokio::time::timeout(Duration::from_secs(20), import(&tom, archive)).await.expect("an answer");
    assert_eq!((refused.status, refused.error().code.as_str()), (400, "invalid"));
}

#[tokio::test]
async fn one_user_imports_only_so_much_at_a_time_and_others_still_can() {
    let scene = Scene::start().await;
    let (tom, mary) = (scene.user("tom").await, scene.user("mary").await);
    let started: Vec<_> = (0..8)
        .map(|_| {
            let tom = tom.clone();
            let never = futures_util::stream::once(async { Ok::<_, std::io::Error>(vec![0_u8; 512]) });
            let body =
                axum::body::Body::from_stream(futures_util::StreamExt::chain(never, futures_util::stream::pending()));
            tokio::spawn(async move { tom.send("POST", &format!("/v1/packages?fqn={OS}"), &[], body).await })
        })
        .collect();
    let refused = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let answer = import(&tom, tarball(&[("a", b"")])).await;
            if answer.status != 201 {
                return answer;
            }
        }
    });
    let refused = refused.await.expect("a bound");
    assert_eq!((refused.status, refused.error().code.as_str()), (429, "too_many_requests"));
    let path = "/v1/packages?fqn=package::/sandbox/mary::os";
    assert_eq!(mary.send("POST", path, &[], tarball(&[("a", b"")]).into()).await.status, 201);
    // Clients that go away give their places back.
    started.iter().for_each(tokio::task::JoinHandle::abort);
    let again = tokio::time::timeout(PATIENCE, async {
        while import(&tom, tarball(&[("a", b"")])).await.status != 201 {
            tokio::task::yield_now().await;
        }
    });
    again.await.expect("a place");
}
