//! What the ledger must say in the end.

use std::collections::{BTreeMap, BTreeSet};

use muster_engine::{Clock as _, SystemClock};
use muster_protocol::{JobId, Kudos, UserId};
use muster_store::{AccountRef, JobState, Pot, Store, SystemAccount};

use crate::{
    Horde, WEALTH,
    load::number_in,
    notes::{Notes, Stage},
};

/// The movements of an event in the order in which they are booked.
type Movements = Vec<(AccountRef, Pot, Kudos)>;

/// The ledger has exactly the events that the notes demand, with these amounts, and the balances
/// follow from it.
pub(crate) async fn check(store: &Store, horde: &Horde, notes: &Notes) {
    let audit = store.audit().await.unwrap();
    assert!(audit.is_clean(), "{audit:?}");
    let mut expected = expected_taxes(store, horde, notes).await;
    let reward = common_reward(notes);
    for (id, job) in &notes.jobs {
        assert!(
            matches!(job.stage, Stage::Delivered(_)),
            "{id} is {:?}",
            job.stage
        );
        let requester = horde.requesters[notes.requests[job.asked].requester].id;
        let owner = horde.owners[job.owner].id;
        expected.insert(
            format!("deliver:{id}"),
            delivery(requester, owner, job.owner == 0, reward),
        );
    }
    let mut booked = BTreeSet::new();
    for account in horde.requesters.iter().chain(&horde.owners) {
        let mut before = None;
        loop {
            let page = store.ledger_of(account.id, before, 1000).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some(last.id);
            booked.extend(page.into_iter().map(|entry| entry.event));
        }
    }
    // Those gave the accounts what they began with.
    booked.retain(|event| !event.starts_with("test-user:"));
    let demanded: BTreeSet<String> = expected.keys().cloned().collect();
    let (lost, invented): (Vec<_>, Vec<_>) = (
        demanded.difference(&booked).collect(),
        booked.difference(&demanded).collect(),
    );
    assert!(
        lost.is_empty() && invented.is_empty(),
        "lost: {lost:?}, invented: {invented:?}"
    );
    for (event, movements) in &expected {
        let entries = store.ledger_event(event).await.unwrap();
        let entries: Movements = entries
            .into_iter()
            .map(|entry| (entry.account, entry.pot, entry.amount))
            .collect();
        assert_eq!(&entries, movements, "{event}");
    }
    check_balances(store, horde, expected.values().flatten()).await;
}

/// The taxes of all requests that the store has: those that were acknowledged, and none that was not
/// asked for or was taken in twice. Their jobs are as the notes say.
async fn expected_taxes(store: &Store, horde: &Horde, notes: &Notes) -> BTreeMap<String, Movements> {
    let stored = store.live_requests(SystemClock.now()).await.unwrap();
    let mut taxes = BTreeMap::new();
    let mut numbers = BTreeSet::new();
    for (request, jobs) in &stored {
        let number = number_in(request.payload["prompt"].as_str().unwrap());
        let asked = &notes.requests[number];
        assert!(numbers.insert(number), "request {number} was taken in twice");
        assert!(
            asked.id.is_none_or(|id| id == request.id),
            "request {number} has another id"
        );
        let requester = horde.requesters[asked.requester].id;
        assert_eq!(request.user, requester);
        let tax = Kudos::from_whole(3);
        let movements = vec![spendable(requester, -tax), spendable(SystemAccount::Burn, tax)];
        taxes.insert(format!("activate:{}", request.id), movements);
        for job in jobs {
            // Those that the notes lack were popped without an answer.
            let state = if notes.jobs.contains_key(&job.id) {
                JobState::Done
            } else {
                JobState::Processing
            };
            assert_eq!(job.state, state, "{}", job.id);
            assert_eq!(
                job.result.as_deref(),
                (state == JobState::Done).then_some("R2"),
                "{}",
                job.id
            );
        }
    }
    let stored_jobs: BTreeSet<JobId> = stored
        .iter()
        .flat_map(|(_, jobs)| jobs)
        .map(|job| job.id)
        .collect();
    assert!(
        notes.jobs.keys().all(|id| stored_jobs.contains(id)),
        "a job is lost"
    );
    for (number, asked) in notes.requests.iter().enumerate() {
        assert!(
            asked.id.is_none() || numbers.contains(&number),
            "the acknowledged request {number} is lost"
        );
    }
    taxes
}

/// What every job was rewarded with: they are all the same.
fn common_reward(notes: &Notes) -> f64 {
    let mut rewards = notes.jobs.values().filter_map(|job| match job.stage {
        Stage::Delivered(reward) => reward,
        _ => None,
    });
    let reward = rewards.next().unwrap();
    assert!(reward > 1.0 && rewards.all(|other| other == reward));
    reward
}

fn delivery(requester: UserId, owner: UserId, is_trusted: bool, reward: f64) -> Movements {
    let charge = Kudos::from_f64(reward + 1.0);
    let earned = Kudos::from_f64(reward);
    let escrow = if is_trusted {
        Kudos::ZERO
    } else {
        Kudos::from_f64(reward / 2.0)
    };
    let mut movements = vec![spendable(requester, -charge), spendable(owner, earned - escrow)];
    if !is_trusted {
        movements.push((owner.into(), Pot::Escrow, escrow));
    }
    movements.push(spendable(SystemAccount::Burn, charge - earned));
    movements
}

fn spendable(account: impl Into<AccountRef>, amount: Kudos) -> (AccountRef, Pot, Kudos) {
    (account.into(), Pot::Spendable, amount)
}

async fn check_balances(
    store: &Store,
    horde: &Horde,
    movements: impl Iterator<Item = &(AccountRef, Pot, Kudos)>,
) {
    let mut sums: BTreeMap<(AccountRef, Pot), Kudos> = BTreeMap::new();
    for (account, pot, amount) in movements {
        *sums.entry((*account, *pot)).or_insert(Kudos::ZERO) += *amount;
    }
    for account in horde.requesters.iter().chain(&horde.owners) {
        let sum = |pot| {
            sums.get(&(account.id.into(), pot))
                .copied()
                .unwrap_or(Kudos::ZERO)
        };
        let balances = store.account(account.id).await.unwrap().unwrap().balances;
        assert_eq!(
            balances.spendable,
            Kudos::from_whole(WEALTH) + sum(Pot::Spendable)
        );
        assert_eq!(balances.escrow, sum(Pot::Escrow));
    }
}
