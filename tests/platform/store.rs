//! What every store must do, asked of the embedded one and of the fake alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use gatehouse::{
    limits::STORE_VALUE_BYTES_MAX,
    store::{
        Entry, Key, Log, Revision, Store, StoreError, WatchEvent,
        embedded::Embedded,
        fake::{Fake, Fault},
        follow::{Followed, follow},
        json,
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadBuf},
    sync::mpsc,
    time::timeout,
};

/// A store under test and what keeps its folder.
struct Case {
    store: Arc<dyn Store>,
    log: Arc<dyn Log>,
    name: String,
    folder: tempfile::TempDir,
}

fn cases() -> Vec<Case> {
    let folder = || tempfile::tempdir().unwrap();
    let first = folder();
    let embedded = Embedded::open(first.path()).unwrap();
    let log = embedded.log("audit");
    let mut res = vec![Case { store: Arc::new(embedded), log, name: "embedded".to_owned(), folder: first }];
    for seed in 1..8 {
        let fake = Fake::new(seed * 7_919);
        let log = fake.log("audit");
        res.push(Case { store: Arc::new(fake), log, name: format!("fake {seed}"), folder: folder() });
    }
    res
}

fn key<const N: usize>(segments: [&str; N]) -> Key {
    Key::new(segments)
}

/// Reads until `good`: a store may answer as it was a moment ago, but not for ever.
async fn get_when(store: &dyn Store, key: &Key, good: impl Fn(&Option<Entry>) -> bool) -> Option<Entry> {
    for _ in 0..100 {
        let found = store.get(key).await.unwrap();
        if good(&found) {
            return found;
        }
    }
    panic!("`{key}` never became so");
}

async fn list_when(store: &dyn Store, prefix: &Key, good: impl Fn(&[Entry]) -> bool) -> Vec<Entry> {
    for _ in 0..100 {
        let found = store.list(prefix).await.unwrap();
        if good(&found) {
            return found;
        }
    }
    panic!("`{prefix}` never became so: {:?}", store.list(prefix).await.unwrap());
}

async fn blob(store: &dyn Store, bytes: &'static [u8]) -> String {
    store.put_blob(Box::pin(bytes)).await.unwrap()
}

fn is_conflict<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict(_)))
}

#[tokio::test]
async fn a_write_counts_only_against_the_expected_revision() {
    for case in cases() {
        let (store, at) = (&*case.store, key(["job", "a"]));
        assert!(is_conflict(&store.put(&at, Some(Revision(1)), vec![0]).await), "{}: absent", case.name);
        assert!(is_conflict(&store.delete(&at, Revision(1)).await), "{}: absent", case.name);
        let first = store.put(&at, None, b"1".to_vec()).await.unwrap();
        assert!(is_conflict(&store.put(&at, None, b"x".to_vec()).await), "{}: present", case.name);
        let second = store.put(&at, Some(first), b"2".to_vec()).await.unwrap();
        assert!(first < second, "{}", case.name);
        assert!(is_conflict(&store.put(&at, Some(first), b"x".to_vec()).await), "{}: old", case.name);
        assert!(is_conflict(&store.delete(&at, first).await), "{}: old", case.name);
        let entry = get_when(store, &at, |it| it.as_ref().is_some_and(|it| it.revision == second)).await.unwrap();
        assert_eq!((entry.key, entry.value), (at, b"2".to_vec()), "{}", case.name);
    }
}

#[tokio::test]
async fn a_key_made_again_is_not_the_old_one() {
    for case in cases() {
        let (store, at) = (&*case.store, key(["job", "a"]));
        let first = store.put(&at, None, b"1".to_vec()).await.unwrap();
        store.delete(&at, first).await.unwrap();
        get_when(store, &at, Option::is_none).await;
        let again = store.put(&at, None, b"1".to_vec()).await.unwrap();
        assert!(first < again, "{}", case.name);
        assert!(is_conflict(&store.put(&at, Some(first), vec![]).await), "{}: from before the deletion", case.name);
        assert!(is_conflict(&store.delete(&at, first).await), "{}: from before the deletion", case.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_of_one_revision_one_wins() {
    for case in cases() {
        let at = key(["race"]);
        let mut expected = None;
        for round in 0..20_u8 {
            let race = (0..8_u8).map(|writer| {
                let (store, at) = (Arc::clone(&case.store), at.clone());
                tokio::spawn(async move { store.put(&at, expected, vec![round, writer]).await })
            });
            let mut won = Vec::new();
            for racer in race.collect::<Vec<_>>() {
                match racer.await.unwrap() {
                    Ok(revision) => won.push(revision),
                    Err(error) => assert!(matches!(error, StoreError::Conflict(_)), "{}: {error}", case.name),
                }
            }
            assert_eq!(won.len(), 1, "{}", case.name);
            assert!(expected < Some(won[0]), "{}", case.name);
            expected = Some(won[0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_of_a_record_is_lost() {
    for case in cases() {
        let at = key(["counter"]);
        let writers = (0..4).map(|_| {
            let (store, at) = (Arc::clone(&case.store), at.clone());
            tokio::spawn(async move {
                for _ in 0..10 {
                    let add = |old: Option<u64>| Ok::<_, StoreError>(json::Change::Put(old.unwrap_or(0) + 1));
                    json::update(&*store, &at, add).await.unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        get_when(&*case.store, &at, |it| it.as_ref().is_some_and(|it| it.value == b"40")).await;
    }
}

#[tokio::test]
async fn an_update_can_keep_delete_and_refuse() {
    for case in cases() {
        let (store, at) = (&*case.store, key(["record"]));
        let none = json::update(store, &at, |_: Option<u8>| Ok::<_, StoreError>(json::Change::Delete)).await.unwrap();
        assert_eq!(none, None, "{}", case.name);
        json::put(store, &at, None, &7_u8).await.unwrap();
        get_when(store, &at, Option::is_some).await;
        let refused =
            json::update(store, &at, |_: Option<u8>| Err::<json::Change<u8>, _>(StoreError::NoBlob("no".to_owned())))
                .await;
        assert!(matches!(refused, Err(StoreError::NoBlob(_))), "{}", case.name);
        // What `Keep` sees may be stale: nothing there, a moment after it was seen.
        for _ in 0..5 {
            let gone = json::update(store, &at, |old: Option<u8>| {
                Ok::<_, StoreError>(if old.is_some() { json::Change::Delete } else { json::Change::Keep })
            });
            assert_eq!(gone.await.unwrap(), None, "{}", case.name);
        }
        get_when(store, &at, Option::is_none).await;
        store.put(&at, None, b"{".to_vec()).await.unwrap();
        let mut damaged = json::get::<u8>(store, &at).await;
        while let Ok(None) = damaged {
            damaged = json::get::<u8>(store, &at).await;
        }
        assert!(matches!(damaged, Err(StoreError::Damaged(..))), "{}: {damaged:?}", case.name);
    }
}

#[tokio::test]
async fn a_prefix_is_whole_segments_of_any_text() {
    let long = "x".repeat(1_000);
    let names: [&[&str]; 20] = [
        &["a"],
        &["a", ""],
        &["a", "", ""],
        &["a", "b"],
        &["a", "b", "c"],
        &["a", "b/c"],
        &["a/b"],
        &["a/b", "c"],
        &["ab"],
        &["a."],
        &["a.b"],
        &["a", "*"],
        &["a", ">"],
        &["a", "b\0"],
        &["a", "b\0\u{1}"],
        &["a", "job::/sandbox/tom::web"],
        &["a", "Tom é e\u{301} 😀 \u{202e}"],
        &["a", "=2e"],
        &[""],
        &["a", &long],
    ];
    for case in cases() {
        let store = &*case.store;
        let keys: BTreeSet<Key> = names.iter().map(|it| Key::new(it.iter().copied())).collect();
        assert_eq!(keys.len(), names.len());
        for key in &keys {
            store.put(key, None, key.to_string().into_bytes()).await.unwrap();
        }
        list_when(store, &Key::new::<String>([]), |it| it.len() == keys.len()).await;
        for prefix in keys.iter().chain([&key(["a", "b", "c", "d"]), &key(["A"]), &key(["a", "é"])]) {
            let expected: Vec<&Key> = keys.iter().filter(|it| it.starts_with(prefix)).collect();
            let listed = list_when(store, prefix, |it| it.len() == expected.len()).await;
            assert_eq!(listed.iter().map(|it| &it.key).collect::<Vec<_>>(), expected, "{}: `{prefix}`", case.name);
            assert!(listed.iter().all(|it| it.value == it.key.to_string().into_bytes()), "{}", case.name);
        }
    }
}

#[tokio::test]
async fn a_value_at_the_bound_is_kept_and_one_above_refused() {
    for case in cases() {
        let (store, at) = (&*case.store, key(["big"]));
        let above = store.put(&at, None, vec![7; STORE_VALUE_BYTES_MAX + 1]).await;
        assert!(matches!(above, Err(StoreError::TooLarge(_))), "{}: {above:?}", case.name);
        store.put(&at, None, vec![7; STORE_VALUE_BYTES_MAX]).await.unwrap();
        let kept = get_when(store, &at, Option::is_some).await.unwrap();
        assert_eq!(kept.value.len(), STORE_VALUE_BYTES_MAX, "{}", case.name);
        let above = case.log.append(vec![vec![], vec![7; STORE_VALUE_BYTES_MAX + 1]]).await;
        assert!(matches!(above, Err(StoreError::TooLarge(_))), "{}", case.name);
        assert_eq!(case.log.head().await.unwrap(), 0, "{}: all or none", case.name);
    }
}

/// Follows a watch into a picture until it has what is expected; begins again at `Resync`.
async fn pictured(store: &dyn Store, prefix: &Key, expected: &BTreeMap<Key, Vec<u8>>) {
    'again: loop {
        let mut watch = store.watch(prefix).await.unwrap();
        let mut picture = BTreeMap::new();
        let mut last = Revision(0);
        let mut caught_up = false;
        while !caught_up || picture != *expected {
            let event = timeout(Duration::from_secs(10), watch.recv()).await.expect("nothing more comes").unwrap();
            match event {
                WatchEvent::Value(entry) => {
                    assert!(entry.key.starts_with(prefix));
                    assert!(!caught_up || last < entry.revision, "changes come in their order");
                    last = if caught_up { entry.revision } else { last };
                    picture.insert(entry.key, entry.value);
                }
                WatchEvent::Deleted(key, revision) => {
                    assert!(caught_up && last < revision);
                    last = revision;
                    assert!(picture.remove(&key).is_some(), "deleted what was there");
                }
                WatchEvent::CaughtUp(revision) => {
                    assert!(!caught_up, "once");
                    caught_up = true;
                    last = revision;
                }
                WatchEvent::Resync => continue 'again,
            }
        }
        return;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_watch_has_no_gap_between_snapshot_and_changes() {
    for case in cases() {
        let prefix = key(["w"]);
        let writer = {
            let store = Arc::clone(&case.store);
            tokio::spawn(async move {
                let mut expected = BTreeMap::new();
                for number in 0..120_u32 {
                    let at = Key::new(["w".to_owned(), format!("k{}", number % 10)]);
                    let seen = store.list(&at).await.unwrap();
                    drop(seen);
                    let change = |old: Option<u32>| {
                        Ok::<_, StoreError>(match old {
                            Some(_) if number % 3 == 0 => json::Change::Delete,
                            _ => json::Change::Put(number),
                        })
                    };
                    match json::update(&*store, &at, change).await.unwrap() {
                        Some(record) => expected.insert(at, record.value.to_string().into_bytes()),
                        None => expected.remove(&at),
                    };
                    json::update(&*store, &key(["other"]), |_: Option<u32>| {
                        Ok::<_, StoreError>(json::Change::Put(number))
                    })
                    .await
                    .unwrap();
                }
                expected
            })
        };
        // Watches that begin in the middle of it all.
        let mut watches = Vec::new();
        while !writer.is_finished() {
            watches.push(case.store.watch(&prefix).await.unwrap());
            tokio::task::yield_now().await;
            watches.truncate(20);
        }
        let expected = writer.await.unwrap();
        for watch in watches {
            settled(watch, &expected, &case.name).await;
        }
        timeout(Duration::from_secs(20), pictured(&*case.store, &prefix, &expected)).await.expect(&case.name);
    }
}

/// What a watch made of it after the last write: the whole picture, or `Resync`.
async fn settled(mut watch: mpsc::Receiver<WatchEvent>, expected: &BTreeMap<Key, Vec<u8>>, name: &str) {
    let mut picture = BTreeMap::new();
    let mut caught_up = false;
    while !caught_up || picture != *expected {
        match timeout(Duration::from_secs(10), watch.recv())
            .await
            .unwrap_or_else(|_| panic!("{name}: a gap: {picture:?}"))
        {
            Some(WatchEvent::Value(entry)) => drop(picture.insert(entry.key, entry.value)),
            Some(WatchEvent::Deleted(key, _)) => assert!(picture.remove(&key).is_some(), "{name}"),
            Some(WatchEvent::CaughtUp(_)) => caught_up = true,
            Some(WatchEvent::Resync) => return,
            None => panic!("{name}: ended"),
        }
    }
}

#[tokio::test]
async fn a_follower_has_the_picture_through_every_resync() {
    for case in cases() {
        let mut followed = follow(Arc::clone(&case.store), key(["f"]));
        let mut picture = BTreeMap::new();
        for number in 0..60_u32 {
            let at = Key::new(["f".to_owned(), (number % 5).to_string()]);
            let change = |_: Option<u32>| Ok::<_, StoreError>(json::Change::Put(number));
            json::update(&*case.store, &at, change).await.unwrap();
        }
        let whole = |picture: &BTreeMap<Key, Vec<u8>>| {
            picture.values().map(|it| String::from_utf8_lossy(it).into_owned()).collect::<BTreeSet<_>>()
                == (55..60).map(|it| it.to_string()).collect()
        };
        while !whole(&picture) {
            match timeout(Duration::from_secs(10), followed.recv()).await.expect(&case.name).unwrap() {
                Followed::Snapshot(entries, _) => {
                    picture = entries.into_iter().map(|it| (it.key, it.value)).collect();
                }
                Followed::Value(entry) => drop(picture.insert(entry.key, entry.value)),
                Followed::Deleted(key, _) => drop(picture.remove(&key)),
                Followed::Lost(error) => panic!("{}: {error}", case.name),
            }
        }
    }
}

#[tokio::test]
async fn a_follower_is_told_when_the_store_is_away_and_back() {
    let fake = Fake::new(3);
    fake.set_fault(Some(Fault::Refuses));
    let mut followed = follow(Arc::new(fake.clone()), key(["f"]));
    assert!(matches!(followed.recv().await, Some(Followed::Lost(_))));
    fake.set_fault(None);
    fake.put(&key(["f", "a"]), None, vec![1]).await.unwrap();
    loop {
        match timeout(Duration::from_secs(10), followed.recv()).await.unwrap().unwrap() {
            Followed::Snapshot(entries, _) if entries.len() == 1 => break,
            Followed::Value(entry) if entry.value == [1] => break,
            Followed::Lost(_) | Followed::Snapshot(..) | Followed::Value(_) | Followed::Deleted(..) => (),
        }
    }
}

#[tokio::test]
async fn blobs_are_found_by_their_digest_alone() {
    for case in cases() {
        let store = &*case.store;
        let digest = blob(store, b"hello").await;
        assert_eq!(digest, "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assert_eq!(blob(store, b"hello").await, digest, "{}: the same bytes are one blob", case.name);
        let mut read = Vec::new();
        store.open_blob(&digest).await.unwrap().read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"hello");
        let empty = blob(store, b"").await;
        assert_eq!(store.open_blob(&empty).await.unwrap().read_to_end(&mut read).await.unwrap(), 0);
        if let Some(path) = store.blob_file(&digest) {
            assert_eq!(std::fs::read(path).unwrap(), b"hello");
        }
        for none in [
            &digest.replace('2', "3"),
            &digest.to_uppercase(),
            &digest[7..].to_owned(),
            &digest[..70].to_owned(),
            &format!("{digest}0"),
            &format!("sha256:{}", "../".repeat(21) + "x"),
            &format!("sha256:{}", "/".repeat(64)),
            &String::new(),
        ] {
            let found = store.open_blob(none).await.map(|_| ());
            assert!(matches!(found, Err(StoreError::NoBlob(_))), "{}: {none}: {found:?}", case.name);
            assert_eq!(store.blob_file(none), None);
        }
    }
}

/// Some bytes, and then an error.
struct Broken(&'static [u8]);

impl AsyncRead for Broken {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.0.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        buffer.put_slice(std::mem::take(&mut self.0));
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_blob_that_broke_off_leaves_nothing() {
    for case in cases() {
        let kept = case.store.put_blob(Box::pin(Broken(b"hello"))).await;
        assert!(matches!(kept, Err(StoreError::Source(_))), "{}: {kept:?}", case.name);
        let digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        let found = case.store.open_blob(digest).await.map(|_| ());
        assert!(matches!(found, Err(StoreError::NoBlob(_))), "{}", case.name);
        for folder in ["blobs/tmp", "blobs/sha256"] {
            if let Ok(files) = std::fs::read_dir(case.folder.path().join(folder)) {
                assert_eq!(files.count(), 0, "{}: {folder}", case.name);
            }
        }
    }
}

#[tokio::test]
async fn a_damaged_blob_fails_at_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = Embedded::open(folder.path()).unwrap();
    let of_file = blob(&embedded, b"hello").await;
    std::fs::write(embedded.blob_file(&of_file).unwrap(), b"hellO").unwrap();
    let fake = Fake::new(1);
    let of_fake = blob(&fake, b"hello").await;
    fake.damage_blob(&of_fake);
    for (store, digest) in [(&embedded as &dyn Store, &of_file), (&fake, &of_fake)] {
        let mut read = Vec::new();
        let error = store.open_blob(digest).await.unwrap().read_to_end(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(read.len(), 5, "only the end fails");
    }
    assert_eq!(blob(&embedded, b"hello").await, of_file);
    let mut read = Vec::new();
    embedded.open_blob(&of_file).await.unwrap().read_to_end(&mut read).await.expect("put again, it is mended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_log_keeps_batches_whole_and_in_order() {
    for case in cases() {
        let log = &*case.log;
        assert_eq!((log.head().await.unwrap(), log.read(0, 10).await.unwrap()), (0, vec![]), "{}", case.name);
        let writers = (0..6_u8).map(|writer| {
            let log = Arc::clone(&case.log);
            tokio::spawn(async move {
                for round in 0..10_u8 {
                    let batch: Vec<Vec<u8>> = (0..3).map(|part| vec![writer, round, part]).collect();
                    let first = log.append(batch.clone()).await.unwrap();
                    let back = log.read(first, 3).await.unwrap();
                    assert_eq!(back, (first..).zip(batch).collect::<Vec<_>>());
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        assert_eq!(log.head().await.unwrap(), 180, "{}", case.name);
        let all = log.read(0, 1_000).await.unwrap();
        assert!(all.iter().map(|(position, _)| *position).eq(0..180), "{}: no gap", case.name);
        let of_first: Vec<u8> = all.iter().filter(|(_, it)| it[0] == 0).map(|(_, it)| it[1]).collect();
        assert!(of_first.is_sorted(), "{}: a writer's own order", case.name);
        assert_eq!(log.read(178, 10).await.unwrap().len(), 2, "{}", case.name);
        assert_eq!(log.read(500, 10).await.unwrap(), vec![], "{}", case.name);
        assert_eq!(log.append(vec![]).await.unwrap(), 180, "{}", case.name);
    }
}
