//! What becomes of a prompt in which filters find too much (spec: alchemy and safety, B3).

use muster_protocol::ReturnCode;
use muster_store::{AccountChanges, Role, Suspicion};

use super::nsfw;
use crate::{Engine, EngineError, accounts::Caller, error::Result};

/// The longest wanted part of a prompt that filters change, in characters.
const LONGEST_CHANGED: usize = 7000;

/// A prompt that somebody wants something made of.
pub(crate) struct Screening<'a> {
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
        if screening.is_picture && rules.score(screening.prompt, None).is_enough() {
            if screening.may_be_changed || caller.has(Role::Education) {
                check_length(screening.prompt)?;
                changed = rules.replaced(screening.prompt);
            }
            if changed.is_none() {
                self.suspect_prompt(caller).await?;
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

    /// Moderators may try out what filters find, and nobody is the anonymous account; everybody else is remembered for it.
    async fn suspect_prompt(&self, caller: &Caller) -> Result<()> {
        tracing::warn!(user = %caller.id(), "a prompt was refused");
        if caller.has(Role::Moderator) || caller.id().is_anonymous() {
            return Ok(());
        }
        let changes = AccountChanges {
            suspect: Some(Suspicion::CorruptPrompt),
            ..AccountChanges::default()
        };
        self.set_account(caller.id(), changes).await.map(|_| ())
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
