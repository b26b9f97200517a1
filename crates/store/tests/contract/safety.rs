//! What protects the horde: filters, blocked addresses, censored jobs.

use std::time::Duration;

use muster_protocol::{JobId, UserId, WorkerId};
use muster_store::{AddressMark, FilterHits, JournalError, ProblemCount, ProblemJob, PromptFilter, Rebuke};
use uuid::Uuid;

use crate::support::{TestDb, at, on_both_engines};

on_both_engines!(
    filters_are_kept_once,
    filters_count_what_they_find,
    addresses_are_blocked_reported_and_forgiven,
    problem_jobs_are_counted_by_account_and_address,
);

async fn filters_are_kept_once(db: &TestDb) {
    let store = db.open().await;
    let filter = |regex: &str, filter_type: i16| PromptFilter {
        id: 0,
        regex: regex.to_owned(),
        filter_type,
        description: Some("about it".to_owned()),
        replacement: String::new(),
        editor: UserId(1),
    };
    let journal = store.journal();
    let fight = journal.create_prompt_filter(filter("fight", 20)).await.unwrap();
    assert_eq!(
        fight,
        PromptFilter {
            id: fight.id,
            ..filter("fight", 20)
        }
    );
    // The same again is the same one, whoever makes it; of another type it is another one.
    let again = PromptFilter {
        editor: UserId(2),
        ..filter("fight", 20)
    };
    assert_eq!(journal.create_prompt_filter(again).await.unwrap(), fight);
    let other = journal.create_prompt_filter(filter("fight", 10)).await.unwrap();
    assert_eq!(
        store.prompt_filters().await.unwrap(),
        [fight.clone(), other.clone()]
    );

    let changed = PromptFilter {
        regex: "brawl".to_owned(),
        description: None,
        ..fight.clone()
    };
    assert!(journal.change_prompt_filter(changed.clone()).await.unwrap());
    assert_eq!(store.prompt_filters().await.unwrap(), [changed, other.clone()]);
    let taken = PromptFilter {
        filter_type: 20,
        regex: "brawl".to_owned(),
        ..other.clone()
    };
    let refused = journal.change_prompt_filter(taken).await;
    assert!(matches!(refused, Err(JournalError::NameTaken(_))), "{refused:?}");
    assert!(journal.delete_prompt_filter(fight.id).await.unwrap());
    assert!(!journal.delete_prompt_filter(fight.id).await.unwrap());
    assert!(!journal.change_prompt_filter(fight).await.unwrap());
    assert_eq!(store.prompt_filters().await.unwrap(), [other]);
    store.close().await;
}

async fn filters_count_what_they_find(db: &TestDb) {
    let store = db.open().await;
    let journal = store.journal();
    let filter = PromptFilter {
        id: 0,
        regex: "fight".to_owned(),
        filter_type: 20,
        description: None,
        replacement: String::new(),
        editor: UserId(1),
    };
    let filter = journal.create_prompt_filter(filter).await.unwrap();
    assert_eq!(
        store.filter_hits().await.unwrap()[&filter.id],
        FilterHits::default()
    );
    let hits = |count, last| FilterHits {
        count,
        last: Some(at(last)),
    };
    journal
        .count_filter_hits(vec![(filter.id, hits(2, 5)), (filter.id + 1, hits(1, 5))])
        .await
        .unwrap();
    journal
        .count_filter_hits(vec![(filter.id, hits(3, 9))])
        .await
        .unwrap();
    // A change leaves the count alone.
    let changed = PromptFilter {
        regex: "fights".to_owned(),
        ..filter.clone()
    };
    assert!(journal.change_prompt_filter(changed).await.unwrap());
    let counted = store.filter_hits().await.unwrap();
    assert_eq!((counted.len(), counted[&filter.id]), (1, hits(5, 9)));
    store.close().await;
}

async fn addresses_are_blocked_reported_and_forgiven(db: &TestDb) {
    const REBUKE: Rebuke = Rebuke {
        memory: Duration::from_secs(100),
        block: |before| Duration::from_secs(u64::from(2 * before + 1)),
    };
    let store = db.open().await;
    let journal = store.journal();
    let mark = |blocked: i64, suspicion| AddressMark {
        address: "192.0.2.1".to_owned(),
        blocked_until: Some(at(blocked)),
        suspicion,
    };
    let report = async |now| {
        let reported = journal.report_address("192.0.2.1".to_owned(), REBUKE, at(now));
        reported.await.unwrap()
    };
    // `at` counts seconds.
    assert_eq!(report(0).await, mark(1, Some((1, at(100)))));
    assert_eq!(report(10).await, mark(13, Some((2, at(110)))));
    assert_eq!(report(20).await, mark(25, Some((3, at(120)))));
    let blocked = journal
        .block_address("192.0.2.1".to_owned(), at(900))
        .await
        .unwrap();
    assert_eq!(blocked, mark(900, Some((3, at(120)))));
    // Even a longer block is replaced; what is long ago is not counted.
    assert_eq!(report(120).await, mark(121, Some((1, at(220)))));
    let network = journal
        .block_address("2001:db8::/64".to_owned(), at(300))
        .await
        .unwrap();
    assert_eq!(network.suspicion, None);

    let mut marks = store.address_marks(at(200)).await.unwrap();
    marks.sort_by(|one, other| one.address.cmp(&other.address));
    assert_eq!(marks, [mark(121, Some((1, at(220)))), network.clone()]);
    assert_eq!(store.address_marks(at(220)).await.unwrap(), [network]);
    assert_eq!(journal.prune_addresses(at(220)).await.unwrap(), 1);
    journal.forgive_address("2001:db8::/64".to_owned()).await.unwrap();
    journal.forgive_address("2001:db8::/64".to_owned()).await.unwrap();
    assert_eq!(store.address_marks(at(0)).await.unwrap(), []);
    store.close().await;
}

async fn problem_jobs_are_counted_by_account_and_address(db: &TestDb) {
    let store = db.open().await;
    let journal = store.journal();
    let problem = |user, ip: &str, account: Option<&str>, seconds| ProblemJob {
        job: JobId(Uuid::new_v4()),
        user: UserId(user),
        ip: Some(ip.to_owned()),
        proxied_account: account.map(str::to_owned),
        worker: WorkerId(Uuid::new_v4()),
        at: at(seconds),
    };
    let count = |hour, day| ProblemCount { hour, day };
    let record = async |problem: ProblemJob| journal.record_problem_job(problem).await.unwrap();
    let first = problem(7, "192.0.2.1", None, 0);
    assert_eq!(record(first.clone()).await, (count(1, 1), count(1, 1)));
    assert_eq!(record(first).await, (count(1, 1), count(1, 1)), "once only");
    // Another account at a service is counted apart, the address is not.
    let proxied = problem(7, "192.0.2.1", Some("ann"), 10);
    assert_eq!(record(proxied).await, (count(1, 1), count(2, 2)));
    let elsewhere = problem(7, "192.0.2.2", None, 20);
    assert_eq!(record(elsewhere).await, (count(2, 2), count(1, 1)));
    let later = problem(7, "192.0.2.1", None, 3615);
    assert_eq!(record(later).await, (count(2, 3), count(1, 3)));
    let nowhere = ProblemJob {
        ip: None,
        ..problem(8, "", None, 3615)
    };
    assert_eq!(record(nowhere).await, (count(1, 1), ProblemCount::default()));
    assert_eq!(journal.prune_problem_jobs(at(20)).await.unwrap(), 2);
    store.close().await;
}
