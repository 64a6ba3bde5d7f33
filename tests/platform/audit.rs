//! The audit log: what is recorded stays, in whole chains, or nothing goes on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use gatehouse::{
    audit::{Audit, AuditError, AuditFilter, Event, Floor, item, verify},
    store::{
        Log, StoreFuture,
        embedded::Embedded,
        fake::{Fake, Fault},
    },
    wire::audit::{AuditDecision, AuditItem},
};
use tokio::{sync::Notify, time::timeout};

fn denied(fqn: &str) -> AuditItem {
    item(Event::AccessDenied, fqn, "mary").with("address", "192.0.2.1").decided(AuditDecision {
        allowed: false,
        wanted: vec!["permit ssh".to_owned()],
        missing: vec!["permit ssh".to_owned()],
        because: vec![],
        revision: 7,
    })
}

async fn all(audit: &Audit) -> Vec<AuditItem> {
    let page = audit.read(&AuditFilter::default(), 0, usize::MAX, |_| true).await.unwrap();
    page.records.into_iter().map(|it| it.item).collect()
}

#[tokio::test]
async fn what_is_recorded_is_read_back_in_whole_chains() {
    let fake = Fake::new(1);
    let api = Audit::open(fake.log("audit"), "api-1", None).await.unwrap();
    let auth = Audit::open(fake.log("audit"), "auth", None).await.unwrap();
    let mut items = Vec::new();
    for number in 0..20 {
        let item = denied(&format!("job::/sandbox::web{number}")).in_session("s\u{1b}[31m\u{202e}").on_behalf_of("tom");
        if number % 3 == 0 { &auth } else { &api }.record(item.clone()).await.unwrap();
        items.push(item);
    }
    assert_eq!(all(&api).await, items, "texts are kept as they came");
    let report = verify(&*fake.log("audit")).await.unwrap();
    assert_eq!((report.records, report.broken), (20, None));
    assert_eq!(report.writers.into_iter().collect::<Vec<_>>(), [("api-1".to_owned(), 13), ("auth".to_owned(), 7)]);
}

#[tokio::test]
async fn a_chain_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for round in 1..4_u64 {
        let store = Embedded::open(folder.path()).unwrap();
        let audit = Audit::open(store.log("audit"), "api-1", None).await.unwrap();
        let other = Audit::open(store.log("audit"), "other", None).await.unwrap();
        audit.record(denied("job::/::a")).await.unwrap();
        // The tail is another writer's, and longer than what is looked at together.
        for _ in 0..if round == 1 { 300 } else { 1 } {
            other.record(denied("job::/::b")).await.unwrap();
        }
        let report = verify(&*store.log("audit")).await.unwrap();
        assert_eq!((report.broken, report.writers["api-1"]), (None, round));
        store.close().await;
    }
}

#[tokio::test]
async fn every_change_of_the_log_is_found_at_its_place() {
    type Change = Box<dyn Fn(&mut Vec<u8>)>;
    let replaced = |from: &'static str, to: &'static str| {
        move |record: &mut Vec<u8>| {
            let text = String::from_utf8(record.clone()).unwrap();
            assert!(text.contains(from));
            *record = text.replacen(from, to, 1).into_bytes();
        }
    };
    let changes: Vec<Change> = vec![
        Box::new(replaced("mary", "tom ")),
        Box::new(replaced("\"allowed\":false", "\"allowed\":true")),
        Box::new(replaced("job::/::c", "job::/::d")),
        Box::new(replaced("\"writer\":\"api-1\"", "\"writer\":\"api-2\"")),
        Box::new(replaced("\"writer\"", " \"writer\"")),
        Box::new(replaced("\"payload\":", "\"extra\":1,\"payload\":")),
        Box::new(replaced("\"previous\":\"", "\"previous\":\"0")),
        Box::new(replaced("\"hash\":\"", "\"hash\":\"0")),
        Box::new(Vec::clear),
        Box::new(|record| record.truncate(record.len() - 1)),
    ];
    for (number, change) in changes.iter().enumerate() {
        let fake = Fake::new(1);
        let audit = Audit::open(fake.log("audit"), "api-1", None).await.unwrap();
        for name in ["a", "b", "c", "d"] {
            audit.record(denied(&format!("job::/::{name}"))).await.unwrap();
        }
        fake.damage_log("audit", 2, change);
        let broken = verify(&*fake.log("audit")).await.unwrap().broken;
        assert_eq!(broken.map(|it| it.position), Some(2), "change {number}");
    }
}

#[tokio::test]
async fn a_record_that_was_made_again_from_public_parts_breaks_the_next() {
    // Whoever can write the log can compute hashes; the next record gives him away.
    let (fake, forged) = (Fake::new(1), Fake::new(2));
    for (store, fqn) in [(&fake, "job::/::b"), (&forged, "job::/::x")] {
        let audit = Audit::open(store.log("audit"), "api-1", None).await.unwrap();
        for fqn in ["job::/::a", fqn, "job::/::c"] {
            let mut item = denied(fqn);
            (item.uuid, item.timestamp) = ("u".to_owned(), "2026-11-23T00:00:00.000Z".to_owned());
            audit.record(item).await.unwrap();
        }
    }
    let (_, record) = forged.log("audit").read(1, 1).await.unwrap().remove(0);
    fake.damage_log("audit", 1, |it| *it = record.clone());
    assert_eq!(verify(&*fake.log("audit")).await.unwrap().broken.map(|it| it.position), Some(2));
}

#[tokio::test]
async fn a_failed_append_is_an_error_and_the_chain_stays_whole() {
    let fake = Fake::new(1);
    let audit = Audit::open(fake.log("audit"), "api-1", None).await.unwrap();
    audit.record(denied("job::/::a")).await.unwrap();
    fake.set_fault(Some(Fault::Refuses));
    assert!(matches!(audit.record(denied("job::/::lost")).await, Err(AuditError::Unavailable(_))));
    fake.set_fault(Some(Fault::LosesAnswers));
    assert!(matches!(audit.record(denied("job::/::kept")).await, Err(AuditError::Unavailable(_))));
    fake.set_fault(None);
    audit.record(denied("job::/::b")).await.unwrap();
    let names: Vec<String> = all(&audit).await.into_iter().map(|it| it.fqn).collect();
    assert_eq!(names, ["job::/::a", "job::/::kept", "job::/::b"]);
    assert_eq!(verify(&*fake.log("audit")).await.unwrap().broken, None);
}

#[tokio::test]
async fn an_item_too_large_is_refused_alone() {
    let fake = Fake::new(1);
    let audit = Audit::open(fake.log("audit"), "api-1", None).await.unwrap();
    let large = denied("job::/::a").with("command", "x".repeat(1024 * 1024));
    let (first, second, third) =
        tokio::join!(audit.record(denied("job::/::a")), audit.record(large), audit.record(denied("job::/::b")));
    assert_eq!((first, second, third), (Ok(()), Err(AuditError::TooLarge), Ok(())));
    let report = verify(&*fake.log("audit")).await.unwrap();
    assert_eq!((report.records, report.broken), (2, None));
}

#[tokio::test]
async fn below_the_floor_nothing_is_recorded() {
    let fake = Fake::new(1);
    let folder = tempfile::tempdir().unwrap();
    let floor = |bytes| Some(Floor { path: folder.path().to_owned(), free_bytes_min: bytes });
    let frozen = Audit::open(fake.log("audit"), "a", floor(u64::MAX)).await.unwrap();
    assert_eq!(frozen.record(denied("job::/::a")).await, Err(AuditError::Frozen { free_bytes_min: u64::MAX }));
    let open = Audit::open(fake.log("audit"), "b", floor(1)).await.unwrap();
    open.record(denied("job::/::b")).await.unwrap();
    let gone = Some(Floor { path: folder.path().join("gone"), free_bytes_min: 1 });
    let unknown = Audit::open(fake.log("audit"), "c", gone).await.unwrap();
    assert!(matches!(unknown.record(denied("job::/::c")).await, Err(AuditError::Unavailable(_))));
    assert_eq!(all(&open).await.len(), 1);
}

/// Counts appends, and holds the first until it is let go.
#[derive(Debug)]
struct Slow {
    log: Arc<dyn Log>,
    appends: AtomicUsize,
    go: Notify,
}

impl Log for Slow {
    fn append(&self, records: Vec<Vec<u8>>) -> StoreFuture<'_, u64> {
        Box::pin(async move {
            if self.appends.fetch_add(1, Ordering::SeqCst) == 0 {
                self.go.notified().await;
            }
            self.log.append(records).await
        })
    }

    fn read(&self, from: u64, limit: usize) -> StoreFuture<'_, Vec<(u64, Vec<u8>)>> {
        self.log.read(from, limit)
    }

    fn head(&self) -> StoreFuture<'_, u64> {
        self.log.head()
    }
}

#[tokio::test]
async fn what_waits_is_committed_together_and_answered_when_durable() {
    let fake = Fake::new(1);
    let slow = Arc::new(Slow { log: fake.log("audit"), appends: AtomicUsize::new(0), go: Notify::new() });
    let audit = Audit::open(Arc::<Slow>::clone(&slow), "api-1", None).await.unwrap();
    let records: Vec<_> = (0..200)
        .map(|number| {
            let audit = audit.clone();
            tokio::spawn(async move { audit.record(denied(&format!("job::/::a{number}"))).await })
        })
        .collect();
    while slow.appends.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(records.iter().all(|it| !it.is_finished()), "nothing is durable yet");
    slow.go.notify_one();
    for record in records {
        record.await.unwrap().unwrap();
    }
    assert!(slow.appends.load(Ordering::SeqCst) <= 3, "{slow:?}");
    assert_eq!(verify(&*slow).await.unwrap().records, 200);
}

#[tokio::test]
async fn pages_go_on_where_the_last_ended_and_hide_what_is_not_to_be_seen() {
    let fake = Fake::new(1);
    let audit = Audit::open(fake.log("audit"), "api-1", None).await.unwrap();
    for number in 0..30 {
        let fqn = if number % 3 == 0 { "job::/prod::web".to_owned() } else { format!("job::/sandbox/tom::w{number}") };
        audit.record(denied(&fqn)).await.unwrap();
    }
    let filter = AuditFilter { fqn: Some("job::/sandbox/tom".to_owned()), ..AuditFilter::default() };
    let (mut cursor, mut seen) = (0, Vec::new());
    loop {
        let page = audit.read(&filter, cursor, 7, |it| it.fqn != "job::/sandbox/tom::w1").await.unwrap();
        assert!(
            page.records.len() <= 7 && page.records.iter().all(|it| cursor <= it.position && it.position < page.cursor)
        );
        if page.cursor == cursor {
            break;
        }
        cursor = page.cursor;
        seen.extend(page.records.into_iter().map(|it| it.item.fqn));
    }
    let expected: Vec<String> =
        (0..30).filter(|it| it % 3 != 0 && *it != 1).map(|it| format!("job::/sandbox/tom::w{it}")).collect();
    assert_eq!(seen, expected);
}

#[test]
fn a_filter_goes_by_whole_segments_and_half_open_times() {
    let mut at = denied("job::/sandbox/tommy::web");
    at.timestamp = "2026-11-23T10:00:00.000Z".to_owned();
    let fqn = |text: &str| AuditFilter { fqn: Some(text.to_owned()), ..AuditFilter::default() }.matches(&at);
    assert!(fqn("job::/sandbox/tommy") && fqn("job::/sandbox") && fqn("job::/") && fqn("job::/sandbox/tommy::web"));
    assert!(!fqn("job::/sandbox/tom") && !fqn("job::/sandbox/tommy::we") && !fqn("package::/"));
    let event = |text: &str| AuditFilter { event_type: Some(text.to_owned()), ..AuditFilter::default() }.matches(&at);
    assert!(event("policy.access.denied") && event("policy.access") && event("policy"));
    assert!(!event("policy.acc") && !event("policy.access.allowed"));
    let time = |start: &str, end: &str| {
        let (start_time, end_time) = (start.parse().ok(), end.parse().ok());
        AuditFilter { start_time, end_time, ..AuditFilter::default() }.matches(&at)
    };
    assert!(time("2026-11-23T10:00:00Z", "2026-11-23T10:00:00.001Z"));
    assert!(time("2026-11-23T11:00:00+01:00", ""));
    assert!(!time("2026-11-23T10:00:00.001Z", "") && !time("", "2026-11-23T10:00:00Z"));
}

#[tokio::test]
async fn a_follower_sees_what_was_and_what_comes() {
    let fake = Fake::new(1);
    let audit = Audit::open(fake.log("audit"), "api-1", None).await.unwrap();
    audit.record(denied("job::/::a")).await.unwrap();
    audit.record(denied("job::/::b")).await.unwrap();
    let mut follower = audit.follow(1);
    for name in ["b", "c", "d"] {
        if name != "b" {
            audit.record(denied(&format!("job::/::{name}"))).await.unwrap();
        }
        let record = timeout(Duration::from_secs(5), follower.recv()).await.unwrap().unwrap();
        assert_eq!(record.item.fqn, format!("job::/::{name}"));
    }
    drop(audit);
    assert!(timeout(Duration::from_secs(5), follower.recv()).await.unwrap().is_none(), "it ends with its log");
}
