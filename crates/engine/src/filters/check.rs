//! What becomes of a prompt in which filters find too much (spec: alchemy and safety, B3).

use muster_protocol::ReturnCode;
use muster_store::{Bucket, Role, Suspicion};
use serde_json::json;
use uuid::Uuid;

use super::nsfw;
use crate::{Call, Engine, EngineError, accounts::Caller, error::Result, metrics};

/// The longest wanted part of a prompt that filters change, in characters.
const LONGEST_CHANGED: usize = 7000;

/// A prompt that somebody wants something made of.
pub(crate) struct Screening<'a> {
    pub(crate) call: &'a Call,
    pub(crate) caller: &'a Caller,
    pub(crate) prompt: &'a str,
    pub(crate) models: &'a [String],
    /// Whether any of the models makes unsafe pictures or texts.
    pub(crate) unsafe_models: bool,
    /// Whether filters are asked: they are for pictures only.
    pub(crate) is_picture: bool,
    /// Whether the prompt may be changed rather than be refused.
    pub(crate) may_be_changed: bool,
}

impl Engine {
    /// The prompt that takes the place of another one; `None` if it can stay.
    ///
    /// # Errors
    /// `CorruptPrompt`; `BadRequest` for one that is too long to be changed.
    pub(crate) async fn screen(&self, screening: Screening<'_>) -> Result<Option<String>> {
        let rules = self.filters.rules();
        let Screening { caller, models, .. } = screening;
        let mut changed = None;
        if screening.is_picture
            && rules
                .score(screening.prompt, None, Some(self.clock.now()))
                .is_enough()
        {
            if screening.may_be_changed || caller.has(Role::Education) {
                check_length(screening.prompt)?;
                changed = rules.replaced(screening.prompt);
            }
            if changed.is_none() {
                self.hold_prompt_against(&screening).await?;
                let message = "This prompt appears to violate the rules of this horde, and was reported. If it does not, \
                               please tell the moderators.";
                return Err(EngineError::refused(ReturnCode::CorruptPrompt, message));
            }
        }
        let prompt = changed.as_deref().unwrap_or(screening.prompt);
        let objects = screening.unsafe_models && nsfw::objects(&rules, prompt, models);
        if objects || caller.has(Role::Flagged) {
            let replaced = nsfw::replaced(&rules, prompt, models, changed.is_some());
            let Some(replaced) = replaced else {
                self.report_proxy(screening.call);
                let with = if objects {
                    "with models that are unsafe for work"
                } else {
                    "by this account"
                };
                let message = format!(
                    "To prevent the generation of unethical images, this prompt cannot be used {with}."
                );
                return Err(EngineError::refused(ReturnCode::CorruptPrompt, message));
            };
            changed = Some(replaced);
        }
        Ok(changed)
    }

    /// Moderators may try out what filters find; everybody else is remembered for it, and so are the address and the
    /// proxy that it came through.
    async fn hold_prompt_against(&self, screening: &Screening<'_>) -> Result<()> {
        let Screening { call, caller, .. } = *screening;
        metrics::prompt_refused();
        tracing::warn!(user = %caller.id(), "a prompt was refused");
        if !caller.has(Role::Moderator) {
            self.keep_refused_prompt(screening).await;
            self.suspect_account(caller.id(), Suspicion::CorruptPrompt)
                .await?;
            self.report_address(call.address).await?;
        }
        self.report_proxy(call);
        Ok(())
    }

    /// Keeps a refused prompt where moderators can look at it.
    async fn keep_refused_prompt(&self, screening: &Screening<'_>) {
        if !self.config.keep_refused_prompts {
            return;
        }
        let kept = json!({
            "prompt": screening.prompt,
            "user": screening.caller.alias(),
            "type": "regex",
        });
        let key = format!("{}.json", Uuid::from_u128(self.random()));
        let kept = kept.to_string().into();
        if let Err(error) = self.blobs.put(Bucket::Prompts, &key, kept).await {
            tracing::error!(%error, "a refused prompt was not kept");
        }
    }
}

fn check_length(prompt: &str) -> Result<()> {
    let (wanted, _) = super::normal::split(prompt);
    if wanted.chars().count() > LONGEST_CHANGED {
        let message = format!(
            "This prompt would have to be changed, but prompts of more than {LONGEST_CHANGED} characters are not."
        );
        return Err(EngineError::refused(ReturnCode::BadRequest, message));
    }
    Ok(())
}
