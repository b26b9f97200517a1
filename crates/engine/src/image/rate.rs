//! `generate/rate`: requesters tell a rating service what they think of shared pictures.

use std::time::Duration;

use muster_dispatch::image::Image;
use muster_kudos::image::rating::{RatedPicture, RatedSet, reward};
use muster_protocol::{
    JobId, Kudos, ReturnCode,
    image::{RatingInput, Submitted},
};
use muster_store::{EventKind, KudosAction, LedgerEvent, Posted, SystemAccount, Tallies, UserTally};
use serde_json::{Value, json};

use crate::{
    Call, Engine, EngineError,
    accounts::Caller,
    error::Result,
    live::LiveRequest,
    outbound::{Outbound, OutboundError},
};

/// From this rating on, a picture that is rated alone is taken for the best one.
const GOOD: u32 = 7;

/// Where ratings go.
#[derive(Clone, Debug)]
pub struct RatingService {
    /// Its address.
    pub url: String,
    /// How it is called. The operator chooses it, so it may be anywhere.
    pub outbound: Outbound,
    /// How long it may take to answer.
    pub timeout: Duration,
}

impl RatingService {
    /// How long a rating service usually may take.
    pub const TIMEOUT: Duration = Duration::from_secs(3);
}

impl Engine {
    /// Passes a rating on and awards the requester.
    ///
    /// # Errors
    /// `RequestNotFound`; what is wrong with the rating; what went wrong with the rating service.
    pub async fn rate_images(&self, call: &Call, id: &str, input: RatingInput) -> Result<Submitted> {
        let request = self.find_request::<Image>(id).await?;
        let pictures: Vec<JobId> = request.delivered().map(|(job, _)| job.id).collect();
        check(&request, &pictures, &input)?;
        let requester = self.accounts.get(&self.store, request.user).await?;
        let Some(requester) = requester else {
            return Err(attempt(
                ReturnCode::InvalidAestheticAttempt,
                "Its requester is gone.",
            ));
        };
        let ratings: Vec<RatedPicture> = input
            .ratings
            .iter()
            .map(|rated| RatedPicture {
                rating: rated.rating,
                artifacts: rated.artifacts.is_some(),
            })
            .collect();
        let set = RatedSet {
            pictures: pictures.len(),
            ratings: &ratings,
            best: input.best.is_some(),
        };
        let reward = reward(set, request.consumed);
        let body = self.rating(call, &request, &pictures, &input, &requester).await?;
        self.pass_on(&body).await?;
        self.award_rating(&request, &requester, reward).await?;
        Ok(Submitted {
            reward: reward.to_f64(),
        })
    }

    /// What the rating service is told.
    async fn rating(
        &self,
        call: &Call,
        request: &LiveRequest<Image>,
        pictures: &[JobId],
        input: &RatingInput,
        requester: &Caller,
    ) -> Result<Value> {
        let totals = self.store.user_totals(requester.id()).await?;
        let accumulated: Kudos = totals
            .iter()
            .filter(|total| total.action == KudosAction::Accumulated)
            .map(|total| total.amount)
            .sum();
        let mut body = json!({
            "set": request.id,
            "all_set_ids": pictures,
            "client_agent": call.client_agent,
            "user": {
                "username": requester.alias(),
                "trusted": requester.is_trusted(),
                "account_age": self.clock.now().since(requester.account().created).as_secs_f64(),
                "kudos": requester.spendable().to_f64(),
                "kudos_accumulated": accumulated.to_f64(),
                "ipaddr": call.address,
            },
        });
        if !input.ratings.is_empty() {
            body["ratings"] = json!(input.ratings);
        }
        if let Some(best) = best(input, pictures.len()) {
            body["best"] = best.into();
        }
        Ok(body)
    }

    /// Calls the rating service.
    async fn pass_on(&self, body: &Value) -> Result<()> {
        let Some(service) = &self.ratings else {
            let message = "This horde passes no ratings on.";
            return Err(attempt(ReturnCode::AestheticsServerDown, message));
        };
        match service.outbound.ask(&service.url, body, service.timeout).await {
            Ok((status, _)) if status.is_success() => Ok(()),
            Ok((status, _)) if status.as_u16() == 403 => {
                let message = "These pictures are rated already.";
                Err(attempt(ReturnCode::AestheticsAlreadyExist, message))
            }
            Ok((_, answer)) => Err(refused(&answer)),
            Err(OutboundError::Transport(error)) if error.is_timeout() && !error.is_connect() => {
                let message = "The rating service took too long.";
                Err(attempt(ReturnCode::AestheticsServerTimeout, message))
            }
            Err(
                error @ (OutboundError::TooLarge(_) | OutboundError::BadAddress | OutboundError::Private),
            ) => {
                tracing::warn!(%error, "the rating service cannot be used");
                let message = "Something went wrong with the rating service.";
                Err(attempt(ReturnCode::InvalidAestheticAttempt, message))
            }
            Err(error) => {
                tracing::warn!(%error, "the rating service cannot be reached");
                let message = "The rating service cannot be reached.";
                Err(attempt(ReturnCode::AestheticsServerDown, message))
            }
        }
    }

    /// Awards the requester, once for a request.
    async fn award_rating(
        &self,
        request: &LiveRequest<Image>,
        requester: &Caller,
        reward: Kudos,
    ) -> Result<()> {
        if reward <= Kudos::ZERO {
            return Ok(());
        }
        let user = requester.id();
        let key = format!("rate:{}", request.id);
        let event = LedgerEvent::new(key, EventKind::Award, self.clock.now())
            .of_request(request.id)
            .with_floor(user, reward, requester.kind().floor())
            .with(SystemAccount::Treasury, -reward);
        let tallies = Tallies {
            totals: vec![UserTally {
                user,
                action: KudosAction::Awarded,
                amount: reward,
            }],
            ..Tallies::default()
        };
        match self.store.journal().post(event, tallies).await? {
            Posted::Posted { balances } => {
                self.learn_balances(&balances);
                Ok(())
            }
            Posted::Duplicate => {
                let message = "These pictures are rated already.";
                Err(attempt(ReturnCode::AestheticsAlreadyExist, message))
            }
        }
    }
}

/// What must hold before anybody is bothered, in the documented order (spec: image, section 16).
fn check(request: &LiveRequest<Image>, pictures: &[JobId], input: &RatingInput) -> Result<()> {
    if !request.is_done() {
        let message = "Only requests that are done can be rated.";
        return Err(attempt(ReturnCode::AestheticsNotCompleted, message));
    }
    if !request.spec.shared {
        let message = "Only requests whose pictures are shared can be rated.";
        return Err(attempt(ReturnCode::AestheticsNotPublic, message));
    }
    let is_there = |id: &str| pictures.iter().any(|picture| picture.to_string() == id);
    for (index, rated) in input.ratings.iter().enumerate() {
        if !is_there(&rated.id) {
            return Err(no_picture(&rated.id));
        }
        if input.ratings[..index].iter().any(|other| other.id == rated.id) {
            let message = "A picture can be rated once.";
            return Err(attempt(ReturnCode::AestheticsDuplicate, message));
        }
    }
    if let Some(best) = &input.best
        && !is_there(best)
    {
        return Err(no_picture(best));
    }
    match (&input.best, input.ratings.is_empty()) {
        (None, true) => {
            let message = "A rating names the best picture, or tells how good some are.";
            Err(attempt(ReturnCode::AestheticsMissing, message))
        }
        (Some(_), true) if pictures.len() <= 1 => {
            let message = "That the only picture is the best one helps nobody.";
            Err(attempt(ReturnCode::AestheticsSolo, message))
        }
        _ => Ok(()),
    }
}

/// The picture that the rating service is told to be the best.
fn best(input: &RatingInput, pictures: usize) -> Option<String> {
    match input.ratings.as_slice() {
        [_] if pictures <= 1 => None,
        [only] if only.rating >= GOOD => {
            let agreed = input.best.as_ref().is_none_or(|best| *best == only.id);
            agreed.then(|| only.id.clone())
        }
        [] | [_] => input.best.clone(),
        several => {
            let most = several.iter().map(|rated| rated.rating).max();
            let first = several.iter().find(|rated| Some(rated.rating) == most);
            first.map(|rated| rated.id.clone())
        }
    }
}

/// What the rating service said when it refused.
fn refused(answer: &[u8]) -> EngineError {
    let Ok(said) = serde_json::from_slice::<Value>(answer) else {
        let message = "The rating service answered something that cannot be understood.";
        return attempt(ReturnCode::AestheticsServerRejected, message);
    };
    let message = format!("The rating service refused: {said}");
    attempt(ReturnCode::AestheticsServerError, message)
}

fn attempt(code: ReturnCode, message: impl Into<String>) -> EngineError {
    EngineError::refused(code, message)
}

fn no_picture(id: &str) -> EngineError {
    let message = format!("The request has no picture {}.", crate::names::truncate(id, 64));
    EngineError::refused(ReturnCode::ProcGenNotFound, message)
}

#[cfg(test)]
mod tests {
    use muster_protocol::image::Rating;

    use super::*;

    fn told(ratings: &[(&str, u32)], named: Option<&str>, pictures: usize) -> Option<String> {
        let input = RatingInput {
            best: named.map(str::to_owned),
            ratings: ratings
                .iter()
                .map(|(id, rating)| Rating {
                    id: (*id).to_owned(),
                    rating: *rating,
                    artifacts: None,
                })
                .collect(),
        };
        best(&input, pictures)
    }

    #[test]
    fn the_best_follows_from_what_was_said() {
        assert_eq!(told(&[], Some("a"), 2).as_deref(), Some("a"));
        assert_eq!(told(&[("a", 7)], None, 2).as_deref(), Some("a"));
        assert_eq!(told(&[("a", 7)], Some("b"), 2), None, "they do not agree");
        assert_eq!(told(&[("a", 6)], Some("b"), 2).as_deref(), Some("b"));
        assert_eq!(told(&[("a", 6)], None, 2), None);
        assert_eq!(told(&[("a", 9)], None, 1), None);
        let several = [("a", 3), ("b", 8), ("c", 8)];
        assert_eq!(told(&several, Some("a"), 3).as_deref(), Some("b"));
    }
}
