//! The policy view: what a head must be to come into force, and that the last good one stays.

use std::{fs, io::Cursor, os::unix::fs::PermissionsExt, sync::Arc, time::Duration};

use gatehouse::{
    auth::SigningKey,
    gate::{Kept, KeySet, PolicyError, PolicyView, head_bytes, head_key},
    store::{
        Store, StoreError,
        fake::{Fake, Fault},
        json,
    },
    wire::policy::{PolicyEntry, PolicyHead},
};
use tokio_util::sync::{CancellationToken, DropGuard};

struct Bench {
    store: Fake,
    key: SigningKey,
    view: Arc<PolicyView>,
    _cancel: DropGuard,
}

fn new_key() -> SigningKey {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    SigningKey::from_pem(&pair.serialize_pem()).unwrap()
}

async fn bench() -> Bench {
    bench_from(Kept::default(), new_key()).await
}

/// On a store of its own.
async fn bench_from(kept: Kept, key: SigningKey) -> Bench {
    let (store, cancel) = (Fake::new(11), CancellationToken::new());
    let keys = KeySet::new([key.public()]);
    let view = PolicyView::start_from(kept, Arc::new(store.clone()), keys, cancel.clone()).await.unwrap();
    Bench { store, key, view, _cancel: cancel.drop_guard() }
}

const READS: &str = "job::/a { { permit read } }";

impl Bench {
    async fn entry(&self, name: &str, text: &str) -> PolicyEntry {
        let digest = self.store.put_blob(Box::pin(Cursor::new(text.as_bytes().to_vec()))).await.unwrap();
        PolicyEntry { name: name.to_owned(), version: 1, digest, author: "root".to_owned() }
    }

    async fn head(&self, revision: u64, text: &str) -> PolicyHead {
        let documents = vec![self.entry("a", text).await];
        let kid = self.key.id().to_owned();
        self.signed(PolicyHead {
            revision,
            engine: "1".to_owned(),
            documents,
            tests: Vec::new(),
            kid,
            signature: String::new(),
        })
    }

    fn signed(&self, head: PolicyHead) -> PolicyHead {
        let signature = self.key.sign(&head_bytes(&head)).unwrap();
        PolicyHead { signature, ..head }
    }

    async fn write(&self, bytes: Vec<u8>) {
        loop {
            let expected = self.store.get(&head_key()).await.unwrap().map(|it| it.revision);
            match self.store.put(&head_key(), expected, bytes.clone()).await {
                Ok(_) => return,
                Err(StoreError::Conflict(_)) => (),
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn publish(&self, head: &PolicyHead) {
        self.write(json::encode(&head_key(), head).unwrap()).await;
    }

    async fn in_force(&self, revision: u64) {
        let mut revisions = self.view.subscribe();
        tokio::time::timeout(Duration::from_secs(10), revisions.wait_for(|it| *it == revision)).await.unwrap().unwrap();
    }

    async fn problem(&self) -> PolicyError {
        let problem = async {
            loop {
                if let Some(problem) = self.view.problem() {
                    return problem;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), problem).await.unwrap()
    }

    /// Publishes what must be refused, then waits until it was.
    async fn refused(&self, bytes: Vec<u8>) -> PolicyError {
        let before = self.view.current().unwrap().revision;
        self.write(bytes).await;
        let problem = self.problem().await;
        assert_eq!(self.view.current().unwrap().revision, before, "the last good set stays");
        problem
    }
}

#[tokio::test]
async fn without_a_head_nothing_is_decided() {
    let bench = bench().await;
    assert_eq!(bench.view.current().unwrap_err(), PolicyError::None);
    bench.publish(&bench.head(1, READS).await).await;
    bench.in_force(1).await;
    assert_eq!(bench.view.current().unwrap().sources[0].text(), READS);
}

#[tokio::test]
async fn a_head_that_no_trusted_key_signed_stays_out() {
    let bench = bench().await;
    bench.publish(&bench.head(1, READS).await).await;
    bench.in_force(1).await;
    let good = bench.head(2, READS).await;
    let evil = new_key();
    let other_entry = bench.entry("b", "job::/ { { permit all } }").await;
    let resigned = PolicyHead { kid: evil.id().to_owned(), ..good.clone() };
    let resigned = PolicyHead { signature: evil.sign(&head_bytes(&resigned)).unwrap(), ..resigned };
    let as_ours = PolicyHead { kid: bench.key.id().to_owned(), ..resigned.clone() };
    // What another key of ours signs for another purpose: the JSON without the words that say what it is.
    let bare = serde_json::to_vec(&PolicyHead { signature: String::new(), ..good.clone() }).unwrap();
    let bare = PolicyHead { signature: bench.key.sign(&bare).unwrap(), ..good.clone() };
    let mut tampered = good.clone();
    tampered.documents.push(other_entry);
    for (what, head) in [
        ("unsigned", PolicyHead { signature: String::new(), ..good.clone() }),
        ("no base64", PolicyHead { signature: "%".to_owned(), ..good.clone() }),
        ("later", PolicyHead { revision: 3, ..good.clone() }),
        ("more documents", tampered),
        ("no key id", PolicyHead { kid: String::new(), ..good.clone() }),
        ("another's", resigned),
        ("another's under our id", as_ours),
        ("another purpose", bare),
    ] {
        let problem = bench.refused(json::encode(&head_key(), &head).unwrap()).await;
        assert_eq!(problem, PolicyError::BadSignature, "{what}");
        // A good one clears the alarm.
        let next = bench.view.revision() + 1;
        bench.publish(&bench.head(next, READS).await).await;
        bench.in_force(next).await;
        assert_eq!(bench.view.problem(), None);
    }
}

#[tokio::test]
async fn revisions_only_grow() {
    let bench = bench().await;
    let first = bench.head(5, READS).await;
    bench.publish(&first).await;
    bench.in_force(5).await;
    bench.publish(&bench.head(6, "job::/b { { permit read } }").await).await;
    bench.in_force(6).await;
    let problem = bench.refused(json::encode(&head_key(), &first).unwrap()).await;
    assert_eq!(problem, PolicyError::Backwards { offered: 5, accepted: 6 });
}

#[tokio::test]
async fn another_head_of_the_same_revision_stays_out() {
    let bench = bench().await;
    bench.publish(&bench.head(5, READS).await).await;
    bench.in_force(5).await;
    let other = bench.head(5, "job::/ { { permit all } }").await;
    let problem = bench.refused(json::encode(&head_key(), &other).unwrap()).await;
    assert_eq!(problem, PolicyError::Backwards { offered: 5, accepted: 5 });
    assert_eq!(bench.view.current().unwrap().sources[0].text(), READS);
}

#[tokio::test]
async fn what_does_not_compile_or_cannot_be_read_stays_out() {
    let bench = bench().await;
    bench.publish(&bench.head(1, READS).await).await;
    bench.in_force(1).await;
    assert_eq!(bench.refused(b"no head".to_vec()).await, PolicyError::Malformed);
    bench.publish(&bench.head(2, READS).await).await;
    bench.in_force(2).await;
    let broken = bench.head(3, "job::/a {").await;
    assert!(matches!(bench.refused(serde_json::to_vec(&broken).unwrap()).await, PolicyError::Uncompilable(_)));
    bench.publish(&bench.head(4, READS).await).await;
    bench.in_force(4).await;
    let mut lost = bench.head(5, READS).await;
    lost.documents[0].digest = format!("sha256:{}", "0".repeat(64));
    let lost = bench.signed(lost);
    assert!(matches!(bench.refused(serde_json::to_vec(&lost).unwrap()).await, PolicyError::Document { .. }));
    bench.publish(&bench.head(6, READS).await).await;
    bench.in_force(6).await;
    let damaged = bench.head(7, "job::/damaged { { permit read } }").await;
    bench.store.damage_blob(&damaged.documents[0].digest);
    assert!(matches!(bench.refused(serde_json::to_vec(&damaged).unwrap()).await, PolicyError::Document { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_silent_for_long_means_no() {
    let bench = bench().await;
    bench.publish(&bench.head(1, READS).await).await;
    bench.in_force(1).await;
    bench.store.set_fault(Some(Fault::Refuses));
    tokio::time::sleep(Duration::from_secs(7)).await;
    bench.view.current().unwrap();
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(bench.view.current().unwrap_err(), PolicyError::Silent);
    assert!(Duration::from_secs(10) < bench.view.silent_for());
    bench.store.set_fault(None);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.view.current().unwrap().revision, 1);
}

#[tokio::test]
async fn a_kept_set_saves_reading_and_compiling_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Kept::open(folder.path());
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    let key = || SigningKey::from_pem(&key).unwrap();
    let first = bench_from(open(), key()).await;
    let head = first.head(7, READS).await;
    first.publish(&head).await;
    first.in_force(7).await;
    let file = folder.path().join("policy-set");
    let written = async {
        while !file.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), written).await.unwrap();
    for path in [&file, &folder.path().join("policy-set.key")] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }

    // A store that has the head and not one text: what is in force comes from the file.
    let again = bench_from(open(), key()).await;
    assert_eq!(again.view.current().unwrap_err(), PolicyError::None, "without a head nothing is in force");
    again.publish(&head).await;
    again.in_force(7).await;
    assert_eq!(again.view.current().unwrap().sources[0].text(), READS);
    // What the head says otherwise is read.
    let other = "job::/b { { permit read } }";
    again.publish(&again.head(8, other).await).await;
    again.in_force(8).await;
    assert_eq!(again.view.current().unwrap().sources[0].text(), other);

    // A head that nobody signed is none, whatever is in the file.
    let unsigned = bench_from(open(), new_key()).await;
    unsigned.publish(&head).await;
    assert_eq!(unsigned.problem().await, PolicyError::BadSignature);

    // In a folder of its own: nobody writes to this file any more.
    let elsewhere = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(elsewhere.path().join("policy-set"), bytes).unwrap();
    fs::copy(folder.path().join("policy-set.key"), elsewhere.path().join("policy-set.key")).unwrap();
    let mut kept = Kept::open(elsewhere.path());
    assert!(kept.take().is_none());
    let damaged = bench_from(kept, key()).await;
    damaged.publish(&head).await;
    assert!(matches!(damaged.problem().await, PolicyError::Document { .. }));

    // A set that others may have written to is none, and a secret that others may know is one no more.
    let secret = elsewhere.path().join("policy-set.key");
    let set = elsewhere.path().join("policy-set");
    fs::copy(&file, &set).unwrap();
    let let_others_read = |path| fs::set_permissions(path, fs::Permissions::from_mode(0o640)).unwrap();
    let_others_read(&set);
    assert!(Kept::open(elsewhere.path()).take().is_none());
    fs::set_permissions(&set, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(Kept::open(elsewhere.path()).take().is_some());
    let known = fs::read(&secret).unwrap();
    let_others_read(&secret);
    assert!(Kept::open(elsewhere.path()).take().is_none());
    assert!(fs::read(&secret).unwrap() != known);
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);

    // Half a secret is none, one and a byte neither, and what another one has sealed is not ours.
    let secret = folder.path().join("policy-set.key");
    for length in [16, 33] {
        fs::write(&secret, vec![7; length]).unwrap();
        assert!(open().take().is_none());
        assert_eq!(fs::read(&secret).unwrap().len(), 32);
    }
}
