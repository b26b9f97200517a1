//! What people own: teams, shared keys, styles, collections, messages.

use muster_protocol::{Kudos, UserId, WorkKind, WorkerId};
use muster_store::{
    Collection, CollectionFilter, JournalError, ListOrder, MessageFilter, Page, SharedKey, SharedKeyTally,
    Store, Style, StyleExample, StyleFilter, Tallies, Team, TeamTally, Validity, WorkerChanges,
    WorkerMessage,
};
use serde_json::json;
use uuid::Uuid;

use crate::support::{
    TestDb, account, assert_clean, at, kudos, new_request, new_worker, on_both_engines, shared_key,
};

on_both_engines!(
    names_of_teams_are_unique_whatever_their_capitals,
    teams_count_and_lose_their_workers,
    owners_have_so_many_keys,
    keys_are_charged_down_to_zero,
    deleted_keys_leave_styles_and_requests,
    styles_are_listed_and_found,
    collections_hold_styles,
    messages_are_listed,
);

const ALL: Page = Page {
    offset: 0,
    limit: 100,
};

fn team(owner: UserId, name: &str) -> Team {
    Team {
        id: Uuid::new_v4(),
        name: name.to_owned(),
        info: None,
        owner,
        created: at(0),
        last_active: at(0),
        contributions: 0.0,
        fulfilments: 0,
        kudos: Kudos::ZERO,
        uptime: 0,
    }
}

async fn names_of_teams_are_unique_whatever_their_capitals(db: &TestDb) {
    let store = db.open().await;
    let owner = account(&store, "owner").await;
    let (one, two) = (team(owner, "Rust"), team(owner, "Crab"));
    store.journal().create_team(one.clone()).await.unwrap();
    store.journal().create_team(one.clone()).await.unwrap();
    store.journal().create_team(two.clone()).await.unwrap();
    assert_eq!(store.teams().await.unwrap().len(), 2, "made again, made once");
    assert_eq!(store.team_by_name("rUST").await.unwrap(), Some(one.clone()));
    let taken = store.journal().create_team(team(owner, "RUST")).await;
    assert!(matches!(taken, Err(JournalError::NameTaken(_))));
    let taken = store.journal().change_team(two.id, "rust".to_owned(), None).await;
    assert!(matches!(taken, Err(JournalError::NameTaken(_))));
    let info = Some("about".to_owned());
    let changed = store
        .journal()
        .change_team(one.id, "RUST".to_owned(), info.clone());
    changed.await.unwrap();
    let changed = store.team(one.id).await.unwrap().unwrap();
    assert_eq!((changed.name.as_str(), changed.info), ("RUST", info));
    store.close().await;
}

async fn teams_count_and_lose_their_workers(db: &TestDb) {
    let store = db.open().await;
    let owner = account(&store, "owner").await;
    let team = team(owner, "Rust");
    store.journal().create_team(team.clone()).await.unwrap();
    let worker = new_worker(owner, "Rig");
    let id = worker.state.worker;
    store.journal().register_worker(worker).await.unwrap();
    let join = WorkerChanges {
        team: Some(Some(team.id)),
        ..WorkerChanges::default()
    };
    store.journal().set_worker(id, join).await.unwrap();
    for seconds in [7, 5] {
        let tally = TeamTally {
            team: team.id,
            at: at(seconds),
            contributions: 2.5,
            fulfilments: 1,
            kudos: kudos(10),
            uptime: 600,
        };
        let tallies = Tallies {
            teams: vec![
                tally,
                TeamTally {
                    team: Uuid::new_v4(),
                    ..tally
                },
            ],
            ..Tallies::default()
        };
        store.journal().tally(tallies).await.unwrap();
    }
    let counted = store.team(team.id).await.unwrap().unwrap();
    assert_eq!(
        (
            counted.contributions,
            counted.fulfilments,
            counted.kudos,
            counted.uptime
        ),
        (5.0, 2, kudos(20), 1200)
    );
    assert!(store.journal().delete_team(team.id).await.unwrap());
    assert!(!store.journal().delete_team(team.id).await.unwrap());
    assert_eq!(store.worker(id).await.unwrap().unwrap().team, None);
    store.close().await;
}

async fn owners_have_so_many_keys(db: &TestDb) {
    let store = db.open().await;
    let owner = account(&store, "owner").await;
    let keys: Vec<SharedKey> = (0..3).map(|_| shared_key(owner)).collect();
    for key in &keys {
        assert!(store.journal().create_shared_key(key.clone(), 3).await.unwrap());
    }
    assert!(
        !store
            .journal()
            .create_shared_key(shared_key(owner), 3)
            .await
            .unwrap()
    );
    assert_eq!(store.shared_keys_of(owner).await.unwrap().len(), 3);

    let mut changed = SharedKey {
        name: None,
        expiry: Some(at(9)),
        max_text_tokens: 80,
        ..keys[0].clone()
    };
    let journal = store.journal();
    let kept = journal.change_shared_key(changed.clone(), None).await.unwrap();
    assert_eq!(kept, Some(changed.clone()));
    changed.kudos = kudos(5);
    let set = journal
        .change_shared_key(changed.clone(), Some(kudos(5)))
        .await
        .unwrap();
    assert_eq!(set, Some(changed.clone()));
    assert!(changed.is_expired(at(9)) && !changed.is_expired(at(8)));
    let nowhere = journal.change_shared_key(shared_key(owner), None).await.unwrap();
    assert_eq!(nowhere, None);
    store.close().await;
}

async fn keys_are_charged_down_to_zero(db: &TestDb) {
    let store = db.open().await;
    let owner = account(&store, "owner").await;
    let (limited, mut unlimited, mut empty) = (shared_key(owner), shared_key(owner), shared_key(owner));
    (unlimited.kudos, empty.kudos) = (SharedKey::UNLIMITED, Kudos::ZERO);
    for key in [&limited, &unlimited, &empty] {
        store.journal().create_shared_key(key.clone(), 3).await.unwrap();
    }
    let charged = async |hundredths| {
        let charge = |key: &SharedKey| SharedKeyTally {
            key: key.id,
            amount: Kudos::from_hundredths(hundredths),
        };
        let tallies = Tallies {
            shared_keys: vec![charge(&limited), charge(&unlimited), charge(&empty)],
            ..Tallies::default()
        };
        store.journal().tally(tallies).await.unwrap();
        let mut seen = Vec::new();
        for key in [&limited, &unlimited, &empty] {
            let key = store.shared_key(key.id).await.unwrap().unwrap();
            seen.push((key.kudos.hundredths(), key.utilized.hundredths()));
        }
        seen
    };
    assert_eq!(charged(1033).await, [(8967, 1033), (-100, 1033), (0, 0)]);
    assert_eq!(charged(9000).await, [(0, 10_033), (-100, 10_033), (0, 0)]);
    assert_eq!(charged(500).await, [(0, 10_033), (-100, 10_533), (0, 0)]);
    store.close().await;
}

async fn deleted_keys_leave_styles_and_requests(db: &TestDb) {
    let store = db.open().await;
    let owner = account(&store, "owner").await;
    let key = shared_key(owner);
    store.journal().create_shared_key(key.clone(), 3).await.unwrap();
    let mut style = style(owner, "bound");
    style.shared_key = Some(key.id);
    store.journal().put_style(style.clone()).await.unwrap();
    assert!(store.is_bound_to_style(key.id).await.unwrap());
    let mut request = new_request(owner, 1);
    request.shared_key = Some(key.id);
    let id = request.id;
    store.journal().create_request(request).await.unwrap();
    let other = new_request(owner, 1);
    store.journal().create_request(other.clone()).await.unwrap();

    assert!(store.journal().delete_shared_key(key.id).await.unwrap());
    assert!(!store.is_bound_to_style(key.id).await.unwrap());
    assert_eq!(store.style(style.id).await.unwrap().unwrap().shared_key, None);
    let requests = store.requests_of_shared_key(key.id).await.unwrap();
    assert_eq!(requests, [id]);
    let forgotten = store.journal().forget_requests(requests, at(1)).await.unwrap();
    assert_eq!(forgotten, [id]);
    assert!(store.request(id).await.unwrap().is_none());
    assert!(store.request(other.id).await.unwrap().is_some());
    assert_clean(&store).await;
    store.close().await;
}

fn style(owner: UserId, name: &str) -> Style {
    Style {
        id: Uuid::new_v4(),
        kind: WorkKind::Image,
        owner,
        name: name.to_owned(),
        info: String::new(),
        prompt: "{p}{np}".to_owned(),
        params: json!({ "steps": 20 }),
        public: true,
        nsfw: false,
        tags: vec!["night".to_owned(), "sea".to_owned()],
        models: vec!["b".to_owned(), "a".to_owned()],
        examples: Vec::new(),
        shared_key: None,
        use_count: 0,
        created: at(0),
        updated: at(0),
    }
}

async fn names(store: &Store, filter: StyleFilter, page: Page) -> Vec<String> {
    let styles = store.public_styles(&filter, page).await.unwrap();
    styles.into_iter().map(|style| style.name).collect()
}

async fn styles_are_listed_and_found(db: &TestDb) {
    let store = db.open().await;
    let (one, two) = (account(&store, "one").await, account(&store, "two").await);
    let mut styles = [
        style(one, "first"),
        style(two, "second"),
        style(one, "hidden"),
        style(two, "first"),
    ];
    for (style, seconds) in styles.iter_mut().zip(0..) {
        style.created = at(seconds);
    }
    styles[2].public = false;
    styles[1].tags = vec!["sea".to_owned()];
    styles[1].models = vec!["c".to_owned()];
    styles[0].examples = vec![StyleExample {
        id: Uuid::new_v4(),
        url: "https://example.org/1.webp".to_owned(),
        primary: true,
    }];
    for style in &styles {
        store.journal().put_style(style.clone()).await.unwrap();
    }
    assert_eq!(store.style(styles[0].id).await.unwrap(), Some(styles[0].clone()));
    assert_eq!(
        store.style_by_name(None, "first").await.unwrap(),
        Some(styles[0].clone())
    );
    assert_eq!(
        store.style_by_name(Some(two), "first").await.unwrap(),
        Some(styles[3].clone())
    );
    assert_eq!(store.style_by_name(None, "First").await.unwrap(), None);
    assert_eq!(store.styles_of(one).await.unwrap().len(), 2);
    let taken = store.journal().put_style(style(one, "first")).await;
    assert!(matches!(taken, Err(JournalError::NameTaken(_))));

    let used = Tallies {
        uses: vec![styles[1].id, styles[1].id],
        ..Tallies::default()
    };
    store.journal().tally(used).await.unwrap();
    let popular = StyleFilter {
        kind: WorkKind::Image,
        tag: None,
        model: None,
        order: ListOrder::Popular,
    };
    let aged = StyleFilter {
        order: ListOrder::Age,
        ..popular.clone()
    };
    let at_night = StyleFilter {
        tag: Some("night".to_owned()),
        ..popular.clone()
    };
    let with_c = StyleFilter {
        model: Some("c".to_owned()),
        ..popular.clone()
    };
    let texts = StyleFilter {
        kind: WorkKind::Text,
        ..popular.clone()
    };
    assert_eq!(
        names(&store, popular.clone(), ALL).await,
        ["second", "first", "first"]
    );
    assert_eq!(names(&store, popular, Page::numbered(2, 2)).await, ["first"]);
    assert_eq!(names(&store, aged, ALL).await, ["first", "second", "first"]);
    assert_eq!(names(&store, at_night, ALL).await, ["first", "first"]);
    assert_eq!(names(&store, with_c, ALL).await, ["second"]);
    assert!(names(&store, texts, ALL).await.is_empty());

    let mut again = styles[1].clone();
    (again.name, again.tags, again.updated) = ("renamed".to_owned(), Vec::new(), at(9));
    store.journal().put_style(again.clone()).await.unwrap();
    again.use_count = 2;
    assert_eq!(
        store.style(again.id).await.unwrap(),
        Some(again.clone()),
        "uses stay"
    );
    assert!(store.journal().delete_style(again.id).await.unwrap());
    assert!(!store.journal().delete_style(again.id).await.unwrap());
    store.close().await;
}

async fn collections_hold_styles(db: &TestDb) {
    let store = db.open().await;
    let owner = account(&store, "owner").await;
    let styles = [style(owner, "a"), style(owner, "b"), style(owner, "c")];
    for style in &styles {
        store.journal().put_style(style.clone()).await.unwrap();
    }
    let mut collection = Collection {
        id: Uuid::new_v4(),
        kind: WorkKind::Image,
        owner,
        name: "all".to_owned(),
        info: "about".to_owned(),
        public: true,
        styles: vec![styles[2].id, styles[0].id],
        use_count: 0,
        created: at(0),
    };
    store.journal().put_collection(collection.clone()).await.unwrap();
    assert_eq!(
        store.collection(collection.id).await.unwrap(),
        Some(collection.clone())
    );
    let other = Collection {
        id: Uuid::new_v4(),
        ..collection.clone()
    };
    let taken = store.journal().put_collection(other).await;
    assert!(matches!(taken, Err(JournalError::NameTaken(_))));
    assert_eq!(
        store.collection_by_name(Some(owner), "all").await.unwrap(),
        Some(collection.clone())
    );
    assert_eq!(
        store.collection_by_name(Some(UserId(9)), "all").await.unwrap(),
        None
    );
    let used = Tallies {
        uses: vec![collection.id],
        ..Tallies::default()
    };
    store.journal().tally(used).await.unwrap();
    collection.styles = vec![styles[1].id];
    store.journal().put_collection(collection.clone()).await.unwrap();
    collection.use_count = 1;
    let listed = |kind| {
        store.public_collections(
            CollectionFilter {
                kind,
                order: ListOrder::Popular,
            },
            ALL,
        )
    };
    assert_eq!(listed(None).await.unwrap(), [collection.clone()]);
    assert_eq!(listed(Some(WorkKind::Text)).await.unwrap(), []);
    assert_eq!(
        store.styles_by_id(&collection.styles).await.unwrap(),
        [styles[1].clone()]
    );

    store.journal().delete_style(styles[1].id).await.unwrap();
    let left = store.collection(collection.id).await.unwrap().unwrap();
    assert!(left.styles.is_empty(), "a collection may become empty");
    assert!(store.journal().delete_collection(collection.id).await.unwrap());
    assert!(!store.journal().delete_collection(collection.id).await.unwrap());
    store.close().await;
}

async fn messages_are_listed(db: &TestDb) {
    let store = db.open().await;
    let (one, two) = (account(&store, "one").await, account(&store, "two").await);
    let worker = new_worker(one, "Rig");
    let id = worker.state.worker;
    store.journal().register_worker(worker).await.unwrap();
    let message = |author: UserId, worker: Option<WorkerId>, seconds| WorkerMessage {
        id: Uuid::new_v4(),
        worker,
        author,
        message: "hello".to_owned(),
        origin: "us".to_owned(),
        created: at(seconds),
        expiry: at(seconds + 100),
    };
    let messages = [
        message(one, Some(id), 0),
        message(two, None, 1),
        message(two, Some(id), 50),
    ];
    for message in &messages {
        store
            .journal()
            .post_worker_message(message.clone())
            .await
            .unwrap();
    }
    let listed = async |author, worker, validity, page| {
        let filter = MessageFilter {
            author,
            worker,
            validity,
        };
        let found = store.worker_messages(filter, page).await.unwrap();
        let known = |message: &WorkerMessage| messages.iter().position(|other| other == message).unwrap();
        found.iter().map(known).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, None, Validity::All, ALL).await, [0, 1, 2]);
    assert_eq!(listed(None, None, Validity::All, Page::numbered(2, 2)).await, [2]);
    assert_eq!(
        listed(Some(one), None, Validity::All, ALL).await,
        [0, 1],
        "and what is for all"
    );
    assert_eq!(listed(None, Some(id), Validity::All, ALL).await, [0, 2]);
    assert_eq!(listed(None, None, Validity::Active(at(100)), ALL).await, [1, 2]);
    assert_eq!(listed(None, None, Validity::Expired(at(100)), ALL).await, [0]);
    let first = messages[0].clone();
    assert_eq!(store.worker_message(first.id).await.unwrap(), Some(first.clone()));
    assert!(store.journal().delete_worker_message(first.id).await.unwrap());
    assert!(!store.journal().delete_worker_message(first.id).await.unwrap());
    // Messages to a worker go with it.
    store.journal().delete_worker(id).await.unwrap();
    assert_eq!(listed(None, None, Validity::All, ALL).await, [1]);
    store.close().await;
}
