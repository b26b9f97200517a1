//! Accounts: registration, keys, changes.

use muster_protocol::{Kudos, UserId};
use muster_store::{
    AccountChanges, AccountOrder, ApiKeyHash, EventKind, JournalError, KudosAction, LedgerEvent,
    MonthlyChange, Page, Payment, Role, Roles, SetBalance, Suspicion, SystemAccount, Tallies, UserTotal,
};
use serde_json::json;

use crate::support::{
    TestDb, account, assert_clean, at, kudos, new_account, new_worker, on_both_engines, shared_key,
};

on_both_engines!(
    monthly_kudos_are_paid_when_they_rise,
    payments_are_booked_once,
    a_wiped_account_cannot_be_found,
    accounts_are_listed_by_page,
    the_anonymous_account_exists,
    accounts_are_found_by_what_identifies_them,
    a_new_key_kills_the_old_one,
    changes_leave_the_rest_alone,
    balances_are_set_through_the_ledger,
    trust_drains_the_escrow_and_unpauses_workers,
    settings_are_kept,
);

async fn the_anonymous_account_exists(db: &TestDb) {
    let store = db.open().await;
    assert!(!store.has_accounts().await.unwrap());
    let anonymous = store.account_by_external_id("anon").await.unwrap().unwrap();
    assert_eq!(
        (anonymous.id, anonymous.username.as_str()),
        (UserId::ANONYMOUS, "Anonymous")
    );
    assert_eq!((anonymous.concurrency, anonymous.public_workers), (500, true));
    let key = ApiKeyHash::of("s0m3s3cr3t", "0000000000");
    for _ in 0..2 {
        store
            .journal()
            .rekey_account(UserId::ANONYMOUS, key.clone(), None, at(0))
            .await
            .unwrap();
    }
    assert_eq!(
        store.account_by_key(&key).await.unwrap().unwrap().id,
        UserId::ANONYMOUS
    );
    store.close().await;
}

async fn accounts_are_found_by_what_identifies_them(db: &TestDb) {
    let store = db.open().await;
    let mut new = new_account("ada");
    new.roles = Roles::of(&[Role::Moderator, Role::Trusted]);
    let made = store.journal().register_account(new.clone()).await.unwrap();
    assert_eq!(made.id, UserId::ADMIN);
    assert!(made.roles.has(Role::Trusted) && !made.roles.has(Role::Flagged));
    assert_eq!(store.account(made.id).await.unwrap().as_ref(), Some(&made));
    assert_eq!(
        store.account_by_key(&new.key_hash).await.unwrap().as_ref(),
        Some(&made)
    );
    assert_eq!(
        store.account_by_external_id("g_ada").await.unwrap().as_ref(),
        Some(&made)
    );
    assert!(
        store
            .account_by_key(&ApiKeyHash::of("salt", "other"))
            .await
            .unwrap()
            .is_none()
    );
    assert!(store.account(UserId(77)).await.unwrap().is_none());
    assert!(store.has_accounts().await.unwrap());

    let same_id = store.journal().register_account(new.clone()).await.unwrap_err();
    assert!(matches!(same_id, JournalError::ExternalIdTaken(_)));
    "g_other".clone_into(&mut new.external_id);
    let same_key = store.journal().register_account(new).await.unwrap_err();
    assert!(matches!(same_key, JournalError::KeyTaken));
    assert_eq!(store.accounts(UserId::ANONYMOUS, 10).await.unwrap(), [made]);
    store.close().await;
}

async fn a_new_key_kills_the_old_one(db: &TestDb) {
    let store = db.open().await;
    let (user, other) = (account(&store, "user").await, account(&store, "other").await);
    let (old, new) = (ApiKeyHash::of("salt", "user"), ApiKeyHash::of("salt", "fresh"));
    let name = Some("renamed".to_owned());
    let changed = store
        .journal()
        .rekey_account(user, new.clone(), name, at(5))
        .await
        .unwrap();
    assert_eq!(changed.username, "renamed");
    assert!(store.account_by_key(&old).await.unwrap().is_none());
    assert_eq!(store.account_by_key(&new).await.unwrap().unwrap(), changed);
    let taken = store
        .journal()
        .rekey_account(other, new, None, at(6))
        .await
        .unwrap_err();
    assert!(matches!(taken, JournalError::KeyTaken));
    let nobody = store
        .journal()
        .rekey_account(UserId(99), old, None, at(6))
        .await
        .unwrap_err();
    assert!(matches!(nobody, JournalError::UnknownAccount(UserId(99))));
    store.close().await;
}

async fn changes_leave_the_rest_alone(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "user").await;
    let before = store.account(user).await.unwrap().unwrap();
    let changes = AccountChanges {
        contact: Some(Some("a\0b@example.org".to_owned())),
        usage_multiplier: Some(0.5),
        suspicions: Some(vec![8, 5]),
        suspect: Some(Suspicion::UnreasonablyFast),
        grant: Roles::of(&[Role::Service, Role::Flagged]),
        ..AccountChanges::default()
    };
    let after = store.journal().set_account(user, changes, at(1)).await.unwrap();
    let mut expected = before.clone();
    expected.contact = Some("a\u{FFFD}b@example.org".to_owned());
    expected.usage_multiplier = 0.5;
    expected.suspicions = vec![8, 5, 5];
    expected.roles = Roles::of(&[Role::Service, Role::Flagged]);
    assert_eq!(after, expected);
    assert_eq!(store.account(user).await.unwrap().unwrap(), expected);

    let withdraw = AccountChanges {
        contact: Some(None),
        withdraw: Roles::of(&[Role::Flagged]),
        external_id: Some("g_user".to_owned()),
        ..AccountChanges::default()
    };
    let after = store.journal().set_account(user, withdraw, at(1)).await.unwrap();
    assert_eq!((after.contact, after.roles), (None, Roles::of(&[Role::Service])));
    account(&store, "other").await;
    let stolen = AccountChanges {
        external_id: Some("g_other".to_owned()),
        ..AccountChanges::default()
    };
    let refused = store
        .journal()
        .set_account(user, stolen, at(1))
        .await
        .unwrap_err();
    assert!(matches!(refused, JournalError::ExternalIdTaken(_)));
    store.close().await;
}

async fn balances_are_set_through_the_ledger(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "user").await;
    let set = |key: &str, whole| AccountChanges {
        balance: Some(SetBalance {
            key: key.to_owned(),
            spendable: kudos(whole),
        }),
        ..AccountChanges::default()
    };
    let after = store
        .journal()
        .set_account(user, set("admin:1", 1000), at(1))
        .await
        .unwrap();
    assert_eq!(after.balances.spendable, kudos(1000));
    let after = store
        .journal()
        .set_account(user, set("admin:2", 40), at(1))
        .await
        .unwrap();
    assert_eq!(after.balances.spendable, kudos(40));
    let again = store
        .journal()
        .set_account(user, set("admin:1", 7), at(1))
        .await
        .unwrap_err();
    assert!(matches!(again, JournalError::DuplicateEvent { .. }));
    assert_eq!(store.balances(user).await.unwrap().spendable, kudos(40));
    let totals = store.user_totals(user).await.unwrap();
    assert_eq!(
        (totals[0].action, totals[0].amount),
        (KudosAction::Admin, kudos(40))
    );
    assert_clean(&store).await;
    store.close().await;
}

async fn trust_drains_the_escrow_and_unpauses_workers(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "user").await;
    let worker = new_worker(user, "w");
    let id = worker.state.worker;
    store.journal().register_worker(worker).await.unwrap();
    let pause = muster_store::WorkerChanges {
        paused: Some(true),
        ..Default::default()
    };
    assert!(store.journal().set_worker(id, pause).await.unwrap().paused);
    let reward = LedgerEvent::new("r", EventKind::UptimeReward, at(1))
        .with_escrow(user, kudos(60))
        .with(SystemAccount::Treasury, kudos(-60));
    store.journal().post(reward, Tallies::default()).await.unwrap();

    let trust = AccountChanges {
        grant: Roles::of(&[Role::Trusted]),
        unpause_workers: true,
        drain_escrow: Some(format!("promotion:{user}:1")),
        ..AccountChanges::default()
    };
    let after = store
        .journal()
        .set_account(user, trust.clone(), at(2))
        .await
        .unwrap();
    assert_eq!(
        (after.balances.spendable, after.balances.escrow),
        (kudos(60), Kudos::ZERO)
    );
    assert!(after.roles.has(Role::Trusted));
    assert!(!store.worker(id).await.unwrap().unwrap().paused);
    // Nothing is left to drain, so the known key does not matter.
    store.journal().set_account(user, trust, at(3)).await.unwrap();
    assert_eq!(store.balances(user).await.unwrap().spendable, kudos(60));
    assert_clean(&store).await;
    store.close().await;
}

async fn settings_are_kept(db: &TestDb) {
    let store = db.open().await;
    assert_eq!(store.setting("mode").await.unwrap(), None);
    for value in [json!({ "raid": true }), json!(null), json!([1, "x"])] {
        store.set_setting("mode", value.clone()).await.unwrap();
        assert_eq!(store.setting("mode").await.unwrap(), Some(value));
    }
    store.close().await;
}

async fn monthly_kudos_are_paid_when_they_rise(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "user").await;
    let change = |key: &str, amount| AccountChanges {
        monthly_kudos: Some(MonthlyChange {
            key: key.to_owned(),
            amount: kudos(amount),
            floor: kudos(25),
        }),
        ..AccountChanges::default()
    };
    let set = async |key: &str, amount| {
        let journal = store.journal();
        let account = journal
            .set_account(user, change(key, amount), at(1))
            .await
            .unwrap();
        (account.monthly_kudos, account.balances.spendable)
    };
    assert_eq!(set("a", 300).await, (kudos(300), kudos(300)));
    assert_eq!(
        set("b", -100).await,
        (kudos(200), kudos(300)),
        "nothing is taken back"
    );
    assert_eq!(set("c", -500).await, (Kudos::ZERO, kudos(300)), "never negative");
    let again = store.journal().set_account(user, change("a", 300), at(1)).await;
    assert!(matches!(again, Err(JournalError::DuplicateEvent { .. })));
    let totals = store.user_totals(user).await.unwrap();
    assert_eq!(
        totals,
        [UserTotal {
            action: KudosAction::Recurring,
            amount: kudos(300)
        }]
    );
    let with_income = store.accounts_with_income(&[]).await.unwrap();
    assert!(with_income.is_empty());
    let with_income = store.accounts_with_income(&[user]).await.unwrap();
    assert_eq!(with_income.len(), 1);
    assert_clean(&store).await;
    store.close().await;
}

async fn payments_are_booked_once(db: &TestDb) {
    let store = db.open().await;
    let user = account(&store, "user").await;
    let pay = |amount| AccountChanges {
        payment: Some(Payment {
            key: format!("pay:{amount}"),
            kind: EventKind::AdminAdjustment,
            action: KudosAction::Admin,
            amount: kudos(amount),
            floor: kudos(25),
        }),
        ..AccountChanges::default()
    };
    let journal = store.journal();
    let paid = journal.set_account(user, pay(100), at(1)).await.unwrap();
    assert_eq!(paid.balances.spendable, kudos(100));
    let taken = journal.set_account(user, pay(-1000), at(1)).await.unwrap();
    assert_eq!(taken.balances.spendable, kudos(25), "down to the floor");
    let again = journal.set_account(user, pay(100), at(1)).await;
    assert!(matches!(again, Err(JournalError::DuplicateEvent { .. })));
    assert_clean(&store).await;
    store.close().await;
}

async fn a_wiped_account_cannot_be_found(db: &TestDb) {
    let store = db.open().await;
    let (gone, other) = (account(&store, "gone").await, account(&store, "other").await);
    let worker = new_worker(gone, "Rig");
    let id = worker.state.worker;
    store.journal().register_worker(worker).await.unwrap();
    store
        .journal()
        .register_worker(new_worker(other, "Kept"))
        .await
        .unwrap();
    let key = shared_key(gone);
    store.journal().create_shared_key(key.clone(), 3).await.unwrap();
    for _ in 0..2 {
        let wiped = store.journal().wipe_account(gone).await.unwrap();
        assert_eq!((wiped.id, wiped.username.as_str()), (gone, "wiped:1"));
    }
    assert!(store.account(gone).await.unwrap().is_none());
    let hash = ApiKeyHash::of("salt", "gone");
    assert!(store.account_by_key(&hash).await.unwrap().is_none());
    assert!(store.account_by_external_id("g_gone").await.unwrap().is_none());
    assert!(store.worker(id).await.unwrap().is_none());
    assert_eq!(store.workers().await.unwrap().len(), 1);
    assert!(store.shared_key(key.id).await.unwrap().is_none());
    store.journal().wipe_account(other).await.unwrap();
    let page = Page::numbered(1, 25);
    let listed = store.account_page(AccountOrder::Richest, page).await.unwrap();
    assert_eq!(listed.len(), 1, "the anonymous account alone");
    // What identified the owner is free again.
    account(&store, "gone").await;
    store.close().await;
}

async fn accounts_are_listed_by_page(db: &TestDb) {
    let store = db.open().await;
    for (number, whole) in [(1, 10), (2, 40), (3, 40), (4, 20)] {
        let user = account(&store, &format!("user{number}")).await;
        let changes = AccountChanges {
            balance: Some(SetBalance {
                key: format!("set:{number}"),
                spendable: kudos(whole),
            }),
            ..AccountChanges::default()
        };
        store.journal().set_account(user, changes, at(1)).await.unwrap();
    }
    let listed = async |order, page| {
        let accounts = store.account_page(order, Page::numbered(page, 2)).await.unwrap();
        let seen = accounts
            .iter()
            .map(|account| (account.id.0, account.balances.spendable.whole()));
        seen.collect::<Vec<_>>()
    };
    assert_eq!(listed(AccountOrder::Richest, 1).await, [(2, 40), (3, 40)]);
    assert_eq!(listed(AccountOrder::Richest, 2).await, [(4, 20), (1, 10)]);
    assert_eq!(listed(AccountOrder::Richest, 3).await, [(0, 0)]);
    assert_eq!(listed(AccountOrder::Richest, 4).await, []);
    assert_eq!(listed(AccountOrder::Oldest, 1).await, [(0, 0), (1, 10)]);
    assert_eq!(listed(AccountOrder::Oldest, 0).await, [(0, 0), (1, 10)]);
    store.close().await;
}
