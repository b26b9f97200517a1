//! What was done of each kind of work, by model and hour.

use muster_protocol::{Timestamp, WorkKind};
use muster_store::{Tallies, WorkStat, WorkTally};

use crate::support::{TestDb, on_both_engines};

on_both_engines!(hours_add_up, what_is_older_is_told_as_one_figure);

const HOUR: i64 = 500_000;

fn tally(kind: WorkKind, model: &str, hour: i64, things: u64) -> WorkTally {
    WorkTally {
        kind,
        model: model.to_owned(),
        at: Timestamp::from_millis(hour * 3_600_000 + 17),
        things,
    }
}

fn tallies(work: Vec<WorkTally>) -> Tallies {
    Tallies {
        work,
        ..Tallies::default()
    }
}

fn stat(hour: i64, model: &str, jobs: u64, things: u64) -> WorkStat {
    WorkStat {
        hour,
        model: model.to_owned(),
        jobs,
        things,
    }
}

async fn hours_add_up(db: &TestDb) {
    let store = db.open().await;
    let image = |model, hour, things| tally(WorkKind::Image, model, hour, things);
    let large = u64::MAX / 8;
    for work in [
        vec![image("a", HOUR, 5), image("a", HOUR, 7), image("b", HOUR, large)],
        vec![
            image("a", HOUR, 1),
            image("a", HOUR + 1, 2),
            tally(WorkKind::Text, "a", HOUR, 80),
        ],
    ] {
        store.journal().tally(tallies(work)).await.unwrap();
    }
    assert_eq!(
        store.work_stats(WorkKind::Image, HOUR).await.unwrap(),
        [
            stat(HOUR, "a", 3, 13),
            stat(HOUR, "b", 1, large),
            stat(HOUR + 1, "a", 1, 2)
        ]
    );
    assert_eq!(
        store.work_stats(WorkKind::Text, HOUR).await.unwrap(),
        [stat(HOUR, "a", 1, 80)]
    );
    store.close().await;
}

async fn what_is_older_is_told_as_one_figure(db: &TestDb) {
    let store = db.open().await;
    let work = (0..5)
        .map(|hour| tally(WorkKind::Image, "a", HOUR + hour, 10))
        .collect();
    store.journal().tally(tallies(work)).await.unwrap();
    assert_eq!(
        store.work_stats(WorkKind::Image, HOUR + 3).await.unwrap(),
        [
            stat(HOUR + 2, "a", 3, 30),
            stat(HOUR + 3, "a", 1, 10),
            stat(HOUR + 4, "a", 1, 10)
        ]
    );
    assert_eq!(store.work_stats(WorkKind::Alchemy, HOUR).await.unwrap(), []);
    store.close().await;
}
