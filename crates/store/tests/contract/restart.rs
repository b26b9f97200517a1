//! What was acknowledged is there after a restart.

use std::time::{Duration, Instant};

use muster_protocol::{RequestId, UserId, WorkKind};
use sea_orm::ConnectionTrait as _;
use uuid::Uuid;

use crate::support::{
    MINUTES_20, TestDb, account, assert_clean, at, fault, finish, new_request, new_worker, on_both_engines,
    running, settlement,
};

on_both_engines!(
    a_reopened_store_is_the_same,
    a_store_that_dies_loses_nothing,
    a_killed_process_loses_nothing,
    a_large_queue_is_read_quickly,
);

async fn a_reopened_store_is_the_same(db: &TestDb) {
    let store = db.open().await;
    let (client, owner) = (account(&store, "client").await, account(&store, "owner").await);
    store
        .journal()
        .register_worker(new_worker(owner, "w"))
        .await
        .unwrap();
    for n in 0..30 {
        let (request, jobs) = running(&store, client, 3, 3).await;
        store.journal().fault_job(fault(request, jobs[0])).await.unwrap();
        let event = Some(settlement(jobs[1], client, owner));
        store
            .journal()
            .finish_job(finish(request, jobs[1], event))
            .await
            .unwrap();
        if n % 3 == 0 {
            store.journal().cancel_request(request, at(5)).await.unwrap();
        }
    }
    let mut old = new_request(client, 1);
    old.expiry = at(10);
    store.journal().create_request(old).await.unwrap();

    let live = store.live_requests(at(10)).await.unwrap();
    assert_eq!(live.len(), 30);
    assert!(
        live.iter()
            .all(|(request, jobs)| jobs.len() == 3 && jobs.iter().all(|job| job.request == request.id))
    );
    let (workers, accounts) = (
        store.workers().await.unwrap(),
        store.accounts(UserId(-1), 100).await.unwrap(),
    );
    assert_eq!(store.live_requests(at(2) + MINUTES_20).await.unwrap(), []);
    store.close().await;

    let store = db.open().await;
    assert_eq!(store.live_requests(at(10)).await.unwrap(), live);
    assert_eq!(store.workers().await.unwrap(), workers);
    assert_eq!(store.accounts(UserId(-1), 100).await.unwrap(), accounts);
    assert_clean(&store).await;
    store.close().await;
}

/// What is on disk the moment after an acknowledgement, without any farewell.
async fn a_store_that_dies_loses_nothing(db: &TestDb) {
    let store = db.open().await;
    let client = account(&store, "client").await;
    let mut acknowledged = Vec::new();
    for _ in 0..20 {
        acknowledged.push(running(&store, client, 2, 1).await);
    }
    let survivor = if let Some(dir) = &db.dir {
        // A copy of the files while the store is open is what a power cut leaves.
        let copy = TestDb::sqlite();
        let target = copy.dir.as_ref().unwrap().path();
        for name in ["muster.db", "muster.db-wal"] {
            std::fs::copy(dir.path().join(name), target.join(name)).unwrap();
        }
        let survivor = copy.open().await;
        check(&survivor, &acknowledged).await;
        survivor.close().await;
        return store.close().await;
    } else {
        std::mem::forget(store);
        db.open().await
    };
    check(&survivor, &acknowledged).await;
    survivor.close().await;
}

async fn check(store: &muster_store::Store, acknowledged: &[(RequestId, Vec<muster_protocol::JobId>)]) {
    for (request, jobs) in acknowledged {
        let (stored, stored_jobs) = store.request(*request).await.unwrap().unwrap();
        assert_eq!(stored.slots_left, 1);
        assert_eq!(stored_jobs.iter().map(|job| job.id).collect::<Vec<_>>(), *jobs);
    }
}

/// The variable that tells the child of [`a_killed_process_loses_nothing`] where to write.
const CHILD_URL: &str = "MUSTER_TEST_CHILD_URL";

/// Not a test: what the child process does until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by another test"]
async fn child_that_writes() {
    let Ok(url) = std::env::var(CHILD_URL) else { return };
    let store = muster_store::Store::open(muster_store::StoreConfig::new(url))
        .await
        .unwrap();
    let user = account(&store, "client").await;
    let writers = (0..16).map(|_| async {
        loop {
            let (request, jobs) = running(&store, user, 2, 1).await;
            println!("acknowledged {request} {}", jobs[0]);
        }
    });
    futures_util::future::join_all(writers).await;
}

async fn a_killed_process_loses_nothing(db: &TestDb) {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "restart::child_that_writes",
            "--ignored",
            "--nocapture",
        ])
        .env(CHILD_URL, &db.url)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    let (mut acknowledged, mut line) = (Vec::new(), String::new());
    while std::io::BufRead::read_line(&mut output, &mut line).unwrap() > 0 {
        // A line that was cut off by the kill has no end.
        if let Some(ids) = line
            .strip_prefix("acknowledged ")
            .and_then(|ids| ids.strip_suffix('\n'))
        {
            let (request, job) = ids.split_once(' ').unwrap();
            acknowledged.push((request.parse().unwrap(), vec![job.parse().unwrap()]));
            if acknowledged.len() == 300 {
                child.kill().unwrap(); // SIGKILL; what it still wrote is read too
            }
        }
        line.clear();
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= 300, "the child ended early");
    let store = db.open().await;
    check(&store, &acknowledged).await;
    assert_clean(&store).await;
    store.close().await;
}

/// 20,000 requests here; the time allowed is generous because builds for tests are slow.
async fn a_large_queue_is_read_quickly(db: &TestDb) {
    const REQUESTS: usize = 20_000;
    let store = db.open().await;
    let user = account(&store, "client").await;
    let mut tasks = Vec::new();
    for _ in 0..256 {
        let journal = store.journal().clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..REQUESTS.div_ceil(256) {
                journal.create_request(new_request(user, 1)).await.unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let started = Instant::now();
    let live = store.live_requests(at(10)).await.unwrap();
    assert!(live.len() >= REQUESTS);
    assert!(live.iter().all(|(request, _)| request.kind == WorkKind::Image));
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    let raw = db.raw().await;
    raw.execute_unprepared("DELETE FROM requests").await.unwrap();
    assert_eq!(store.request(RequestId(Uuid::nil())).await.unwrap(), None);
    store.close().await;
}
