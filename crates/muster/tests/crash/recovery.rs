//! What a server must be able to do right after it was killed.

use std::collections::{BTreeMap, BTreeSet};

use muster_protocol::{JobId, ReturnCode, image::Status};
use muster_worker::client::{ApiClient, Options};

use crate::{
    Horde, PICTURES,
    load::{picture, result},
    notes::{Notes, Stage},
};

/// After a restart: nothing that was answered is missing, nothing can be had twice, and what was in
/// flight can be brought to its end.
pub(crate) async fn check(url: &str, horde: &Horde, notes: &mut Notes, round: usize) {
    let anyone = ApiClient::new(&Options::new(url)).unwrap();
    let mut delivered: BTreeMap<usize, Vec<JobId>> = BTreeMap::new();
    for (id, job) in &notes.jobs {
        if matches!(job.stage, Stage::Delivered(_)) {
            delivered.entry(job.asked).or_default().push(*id);
        }
    }
    for (number, asked) in notes.requests.iter().enumerate() {
        let Some(id) = asked.id else { continue };
        let status = anyone
            .status(id)
            .await
            .unwrap_or_else(|error| panic!("request {id} is lost: {error}"));
        check_status(
            &status,
            number,
            notes,
            delivered.get(&number).map_or(&[], Vec::as_slice),
        );
    }
    for (id, job) in notes.jobs.iter_mut().filter(|(_, job)| job.round == round) {
        let owner = anyone.with_key(&horde.owners[job.owner].key).unwrap();
        match (job.stage, owner.submit(&result(*id)).await) {
            (Stage::Popped | Stage::Sent, Ok(submitted)) => {
                job.stage = Stage::Delivered(Some(submitted.reward));
            }
            (Stage::Sent, Err(error)) if error.is(ReturnCode::DuplicateGen) => {
                job.stage = Stage::Delivered(None);
            }
            (Stage::Delivered(_), Err(error)) if error.is(ReturnCode::DuplicateGen) => {}
            (stage, answer) => panic!("job {id} was {stage:?} and is now answered {answer:?}"),
        }
    }
}

/// A request shows every accepted result with its picture, once, and nothing that was never sent.
fn check_status(status: &Status, number: usize, notes: &Notes, delivered: &[JobId]) {
    let progress = &status.progress;
    assert_eq!(
        progress.finished + progress.processing + progress.waiting,
        PICTURES,
        "{progress:?}"
    );
    assert!(!progress.faulted && progress.restarted == 0, "{progress:?}");
    let shown: BTreeSet<JobId> = status
        .generations
        .iter()
        .map(|generation| generation.id)
        .collect();
    assert_eq!(
        shown.len(),
        status.generations.len(),
        "request {number} shows a result twice"
    );
    for generation in &status.generations {
        let job = &notes.jobs[&generation.id];
        assert_eq!(job.asked, number, "{} is shown by another request", generation.id);
        assert_ne!(job.stage, Stage::Popped, "{} was never submitted", generation.id);
        assert_eq!(
            generation.img,
            picture(generation.id),
            "{} has another picture",
            generation.id
        );
    }
    for id in delivered {
        assert!(shown.contains(id), "the accepted result {id} is lost");
    }
}
