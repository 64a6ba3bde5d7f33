//! The signed head of the audit log: what was cut off, exchanged or rolled back is found.

use std::sync::Arc;

use gatehouse::{
    audit::{Audit, AuditReport, Event, Seal, audit_head_bytes, audit_head_key, item, verify_sealed},
    auth::{Keyring, SealError, Sealer},
    store::{Log, Store, embedded::Embedded, fake::Fake, json},
    wire::audit::AuditHead,
};
use sha2::{Digest, Sha256};

/// A log with a sealer, in a store that can be looked at and damaged.
struct Sealed {
    logs: Fake,
    store: Arc<dyn Store>,
    keyring: Arc<Keyring>,
    _folder: tempfile::TempDir,
}

/// Before every record of a test, and after.
const LONG_AGO: &str = "2000-01-01T00:00:00.000Z";
const FAR_AHEAD: &str = "9999-01-01T00:00:00.000Z";

impl Sealed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keyring = Arc::new(Keyring::open(&folder.path().join("keys"), "demo").unwrap());
        let store = Arc::new(Embedded::open(&folder.path().join("store")).unwrap());
        Self { logs: Fake::new(1), store, keyring, _folder: folder }
    }

    async fn record(&self, writer: &str, count: usize) {
        let audit = Audit::open(self.logs.log("audit"), writer, None).await.unwrap();
        for number in 0..count {
            audit.record(item(Event::AccessDenied, &format!("job::/::a{number}"), "mary")).await.unwrap();
        }
    }

    fn sealer(&self) -> Sealer {
        Sealer::new(Arc::clone(&self.keyring), Arc::clone(&self.store), self.logs.log("audit"))
    }

    async fn head(&self) -> Option<AuditHead> {
        json::get(&*self.store, &audit_head_key()).await.unwrap().map(|it| it.value)
    }

    /// A log, held to this one's head.
    async fn verify_log(&self, log: &dyn Log, covered_before: &str) -> AuditReport {
        let head = self.head().await;
        verify_sealed(log, Seal { head: head.as_ref(), covered_before }).await.unwrap()
    }

    async fn records(&self) -> Vec<Vec<u8>> {
        self.logs.log("audit").read(0, usize::MAX).await.unwrap().into_iter().map(|(_, bytes)| bytes).collect()
    }

    /// A log of these records.
    async fn log_of(records: &[Vec<u8>]) -> Arc<dyn Log> {
        let log = Fake::new(2).log("audit");
        if !records.is_empty() {
            log.append(records.to_vec()).await.unwrap();
        }
        log
    }
}

async fn two_writers() -> Sealed {
    let sealed = Sealed::new();
    sealed.record("api-1", 3).await;
    sealed.record("auth", 3).await;
    sealed.sealer().seal().await.unwrap();
    sealed
}

#[tokio::test]
async fn a_whole_log_is_whole_and_the_head_is_signed() {
    let sealed = two_writers().await;
    let report = sealed.verify_log(&*sealed.logs.log("audit"), FAR_AHEAD).await;
    assert_eq!((report.records, report.sealed, report.broken), (6, Some(6), None));
    let head = sealed.head().await.unwrap();
    let key = *sealed.keyring.audit_keys().get(&head.kid).unwrap();
    assert!(key.verifies(&audit_head_bytes(&head), &head.signature));
    let longer = AuditHead { position: 5, ..head };
    assert!(!key.verifies(&audit_head_bytes(&longer), &longer.signature));
    assert!(sealed.keyring.snapshot_keys().get(&longer.kid).is_none(), "a key of its own");
}

#[tokio::test]
async fn records_cut_off_the_end_are_missed() {
    let sealed = two_writers().await;
    let records = sealed.records().await;
    for left in 0..6 {
        let log = Sealed::log_of(&records[..left]).await;
        let broken = sealed.verify_log(&*log, LONG_AGO).await.broken.unwrap();
        assert_eq!(broken.position, u64::try_from(left).unwrap());
        assert!(broken.reason.contains("cut off"), "{broken:?}");
    }
}

#[tokio::test]
async fn an_exchanged_tail_is_found_though_its_hashes_are_right() {
    let (sealed, other) = (two_writers().await, Sealed::new());
    other.record("api-1", 6).await;
    let broken = sealed.verify_log(&*other.logs.log("audit"), LONG_AGO).await.broken.unwrap();
    assert_eq!(broken.position, 5, "{broken:?}");
}

#[tokio::test]
async fn two_writers_cannot_change_names() {
    let sealed = two_writers().await;
    let swapped = |record: &Vec<u8>| {
        let text = String::from_utf8(record.clone()).unwrap();
        let text = if text.contains("\"writer\":\"auth\"") {
            text.replace("\"writer\":\"auth\"", "\"writer\":\"api-1\"")
        } else {
            text.replace("\"writer\":\"api-1\"", "\"writer\":\"auth\"")
        };
        text.into_bytes()
    };
    let records: Vec<Vec<u8>> = sealed.records().await.iter().map(swapped).collect();
    let broken = sealed.verify_log(&*Sealed::log_of(&records).await, LONG_AGO).await.broken.unwrap();
    assert_eq!(broken.position, 0, "{broken:?}");
}

#[tokio::test]
async fn what_a_crash_leaves_behind_the_head_is_told_and_no_break_and_an_old_head_is_one() {
    let sealed = two_writers().await;
    sealed.record("auth", 2).await;
    let log = sealed.logs.log("audit");
    let report = sealed.verify_log(&*log, LONG_AGO).await;
    assert_eq!((report.records, report.sealed, report.broken), (8, Some(6), None));
    let broken = sealed.verify_log(&*log, FAR_AHEAD).await.broken.unwrap();
    assert_eq!(broken.position, 6);
    assert!(broken.reason.contains("rolled back"), "{broken:?}");
    sealed.sealer().seal().await.unwrap();
    assert_eq!(sealed.verify_log(&*log, FAR_AHEAD).await.broken, None, "the next start seals it");
}

#[tokio::test]
async fn a_log_that_does_not_go_on_from_its_head_is_never_sealed() {
    let sealed = two_writers().await;
    let before = sealed.head().await;
    sealed.logs.damage_log("audit", 5, |record| {
        *record = String::from_utf8(record.clone()).unwrap().replacen("mary", "tom ", 1).into_bytes();
    });
    sealed.record("api-1", 1).await;
    // The damaged record is under the head, which is held to its hash; the one behind it would be sealed with it.
    let report = sealed.verify_log(&*sealed.logs.log("audit"), LONG_AGO).await;
    assert_eq!(report.broken.map(|it| it.position), Some(5));
    let records = sealed.records().await;
    let cut = Sealed { keyring: Arc::clone(&sealed.keyring), ..Sealed::new() };
    cut.logs.log("audit").append(records[..4].to_vec()).await.unwrap();
    json::put(&*cut.store, &audit_head_key(), None, before.as_ref().unwrap()).await.unwrap();
    let refused = cut.sealer().seal().await;
    assert!(matches!(refused, Err(SealError::Broken { position: 5, .. })), "{refused:?}");
    assert_eq!(cut.head().await, before);
}

#[tokio::test]
async fn a_log_of_before_there_were_heads_reads_and_goes_on() {
    let sealed = Sealed::new();
    let mut kept = item(Event::AccessDenied, "job::/::old", "mary");
    kept.timestamp = LONG_AGO.to_owned();
    let previous = "0".repeat(64);
    let text = serde_json::to_string(&kept).unwrap();
    let hash = hex::encode(Sha256::digest(format!("{previous}{text}")));
    let record = format!(r#"{{"writer":"auth","previous":"{previous}","hash":"{hash}","item":{text}}}"#);
    sealed.logs.log("audit").append(vec![record.clone().into_bytes()]).await.unwrap();
    let log = sealed.logs.log("audit");
    let report = sealed.verify_log(&*log, FAR_AHEAD).await;
    assert_eq!((report.records, report.sealed, report.broken), (1, None, None));
    sealed.record("auth", 1).await;
    let broken = sealed.verify_log(&*log, FAR_AHEAD).await.broken;
    assert!(broken.is_some_and(|it| it.reason.contains("no signed head")), "who takes the head away is found");
    sealed.sealer().seal().await.unwrap();
    assert_eq!(sealed.verify_log(&*log, FAR_AHEAD).await.broken, None);
}
