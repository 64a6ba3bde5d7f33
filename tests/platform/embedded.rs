//! What only the embedded store can be asked: its file, its lock, its end by force, its full disk.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use gatehouse::store::{Key, Store, StoreError, WatchEvent, embedded::Embedded};
use rustix::process::{Resource, Rlimit, setrlimit};

fn key<const N: usize>(segments: [&str; N]) -> Key {
    Key::new(segments)
}

#[tokio::test]
async fn a_watcher_that_does_not_keep_up_is_told_so_and_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    let mut lazy = store.watch(&key(["w"])).await.unwrap();
    let mut eager = store.watch(&key(["w"])).await.unwrap();
    let count = 1_400_usize;
    let reading = tokio::spawn(async move {
        let mut seen = 0;
        while seen < count {
            if let WatchEvent::Value(_) = eager.recv().await.unwrap() {
                seen += 1;
            }
        }
    });
    let writes = (0..count).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { store.put(&Key::new(["w".to_owned(), number.to_string()]), None, vec![]).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    reading.await.unwrap();
    let mut last = None;
    let mut seen = 0;
    while let Some(event) = lazy.recv().await {
        seen += usize::from(matches!(event, WatchEvent::Value(_)));
        last = Some(event);
    }
    assert_eq!(last, Some(WatchEvent::Resync), "nothing follows");
    assert!(seen < count, "{seen} of {count} were told");
}

#[tokio::test]
async fn a_second_opening_is_told_that_the_store_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    let second = Embedded::open(folder.path()).map(drop).unwrap_err();
    assert!(matches!(second, StoreError::InUse(_)), "{second}");
    assert!(second.to_string().contains("in use by another process"), "{second}");
    // A process of its own, as a second `apcd` would be.
    let child = child("child_opens", folder.path(), "").wait_with_output().unwrap();
    assert!(String::from_utf8_lossy(&child.stdout).contains("in use by another process"), "{child:?}");
    store.close().await;
    Embedded::open(folder.path()).unwrap();
}

#[tokio::test]
async fn a_closed_store_refuses_and_its_watches_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(folder.path()).unwrap();
    store.put(&key(["a"]), None, vec![1]).await.unwrap();
    let mut watch = store.watch(&key(["a"])).await.unwrap();
    store.close().await;
    store.close().await;
    for refused in [
        store.get(&key(["a"])).await.map(drop),
        store.put(&key(["b"]), None, vec![]).await.map(drop),
        store.log("audit").append(vec![vec![]]).await.map(drop),
        store.watch(&key(["a"])).await.map(drop),
    ] {
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    }
    assert!(matches!(watch.recv().await, Some(WatchEvent::Value(_))));
    assert!(matches!(watch.recv().await, Some(WatchEvent::CaughtUp(_))));
    assert_eq!(watch.recv().await, None, "not `Resync`: it is over");
    let again = Embedded::open(folder.path()).unwrap();
    assert_eq!(again.get(&key(["a"])).await.unwrap().unwrap().value, [1]);
}

#[test]
fn nobody_else_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    drop(Embedded::open(&state).unwrap());
    for (path, mode) in [("", 0o700), ("store.redb", 0o600), ("blobs/sha256", 0o700), ("blobs/tmp", 0o700)] {
        let metadata = std::fs::metadata(state.join(path)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, mode, "{path}");
    }
}

#[tokio::test]
async fn what_was_answered_survives_an_end_by_force() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..4_u64 {
        let mut child = child("child_writes", folder.path(), "");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let answered = lines.by_ref().map_while(Result::ok).filter(|it| it.starts_with("wrote ")).take(25).count();
        assert_eq!(answered, 25);
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said before it died, but we had not read.
        let answered = 25 + lines.map_while(Result::ok).filter(|it| it.starts_with("wrote ")).count();
        let store = Embedded::open(folder.path()).unwrap();
        let prefix = Key::new(["round".to_owned(), round.to_string()]);
        let entries = store.list(&prefix).await.unwrap();
        assert!(answered <= entries.len() && entries.len() <= answered + 1, "{answered}, {}", entries.len());
        let log = store.log("audit");
        let records = log.read(0, usize::MAX).await.unwrap();
        assert!(records.iter().map(|(position, _)| *position).eq(0..log.head().await.unwrap()), "no gap");
        assert!(entries.len() <= records.iter().filter(|(_, it)| **it == round.to_be_bytes()).count());
        for entry in entries {
            let digest = String::from_utf8(entry.value).unwrap();
            assert!(store.blob_file(&digest).is_some(), "the blob was there before its name was written");
        }
        assert_eq!(std::fs::read_dir(folder.path().join("blobs/tmp")).unwrap().count(), 0);
        store.close().await;
    }
}

#[test]
fn a_full_disk_refuses_whole_writes_and_is_used_again_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    // A bound on the size of files fails writes as a full disk does, and needs no mount: 512-byte blocks, so 4 MiB.
    let output = child("child_fills", folder.path(), "ulimit -S -f 8192;").wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("filled and went on"), "{said}{output:?}");
}

/// This test binary again, for one of the ignored tests below.
fn child(test: &str, folder: &Path, prelude: &str) -> Child {
    // The signal of the bound would end the process; ignored, the write fails.
    Command::new("sh")
        .args(["-c", &format!("trap '' XFSZ; {prelude} exec \"$0\" --exact --ignored --nocapture \"$1\"")])
        .arg(std::env::current_exe().unwrap())
        .arg(format!("embedded::{test}"))
        .env("STORE_FOLDER", folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the parent gave; none when somebody runs ignored tests by hand.
fn opened() -> Option<Result<Embedded, StoreError>> {
    std::env::var_os("STORE_FOLDER").map(|folder| Embedded::open(folder.as_ref()))
}

#[test]
#[ignore = "run by another test as a process of its own"]
fn child_opens() {
    if let Some(Err(error)) = opened() {
        print(&error.to_string());
    }
}

#[tokio::test]
#[ignore = "run by another test as a process of its own"]
async fn child_writes() {
    let Some(store) = opened() else { return };
    let store = store.unwrap();
    let round = store.list(&key(["rounds"])).await.unwrap().len() as u64 + 1;
    store.put(&Key::new(["rounds".to_owned(), round.to_string()]), None, vec![]).await.unwrap();
    let log = store.log("audit");
    for number in 0_u64.. {
        log.append(vec![round.to_be_bytes().to_vec()]).await.unwrap();
        let bytes = vec![u8::try_from(number % 251).unwrap(); 100_000 + usize::try_from(number).unwrap()];
        let digest = store.put_blob(Box::pin(std::io::Cursor::new(bytes))).await.unwrap();
        let at = Key::new(["round".to_owned(), round.to_string(), number.to_string()]);
        store.put(&at, None, digest.into_bytes()).await.unwrap();
        print(&format!("wrote {number}"));
    }
}

#[tokio::test]
#[ignore = "run by another test as a process of its own"]
async fn child_fills() {
    let Some(store) = opened() else { return };
    let store = store.unwrap();
    let log = store.log("audit");
    let mut kept = 0_usize;
    let refused = loop {
        match store.put(&Key::new(["fill".to_owned(), kept.to_string()]), None, vec![7; 200_000]).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 100, "the bound does not bind");
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert!(2 < kept, "{kept}");
    // Still refused, nothing half-written, and everything from before is there.
    let large = store.put(&key(["more"]), None, vec![7; 700_000]).await;
    assert!(matches!(large, Err(StoreError::Unavailable(_))), "{large:?}");
    let appended = log.append((0..20).map(|_| vec![7; 200_000]).collect()).await;
    assert!(matches!(appended, Err(StoreError::Unavailable(_))), "{appended:?}");
    let blob = store.put_blob(Box::pin(tokio::io::AsyncReadExt::take(tokio::io::repeat(7), 8 << 20))).await;
    assert!(matches!(blob, Err(StoreError::Unavailable(_))), "{blob:?}");
    assert_eq!(store.list(&key(["fill"])).await.unwrap().len(), kept);
    assert_eq!(log.head().await.unwrap(), 0);
    let folder = std::env::var_os("STORE_FOLDER").unwrap();
    for place in ["blobs/tmp", "blobs/sha256"] {
        assert_eq!(std::fs::read_dir(Path::new(&folder).join(place)).unwrap().count(), 0, "{place}");
    }
    setrlimit(Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
    store.put(&key(["more"]), None, vec![7; 700_000]).await.unwrap();
    assert_eq!(log.append(vec![vec![1]]).await.unwrap(), 0);
    store.close().await;
    let again = opened().unwrap().unwrap();
    assert_eq!(again.list(&key(["fill"])).await.unwrap().len(), kept);
    assert!(again.get(&key(["more"])).await.unwrap().is_some());
    print("filled and went on");
}

fn print(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout();
    writeln!(out, "{text}").and_then(|()| out.flush()).unwrap();
}
