//! How styles are made, changed and deleted.

use muster_protocol::{
    ImageStyleInput, ImageStylePatch, ReturnCode, SimpleResponse, StyleModify, TextStyleInput,
    TextStylePatch, WorkKind, image::Warning,
};
use muster_store::{JournalError, Role, Style};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    bad_request,
    checks::{Candidate, check_models, check_tags, cleaned, cleaned_models, cleaned_name, cleaned_tags},
    other_kind, unknown_style,
};
use crate::{Call, Engine, EngineError, accounts::Caller, call::check_not_deleted, error::Result};

/// The template of a style that names none.
const TEMPLATE: &str = "{p}{np}";

/// A style of either kind, as somebody wants it. What is absent stays, or has its usual value.
#[derive(Debug)]
pub(super) struct Wanted {
    kind: WorkKind,
    name: Option<String>,
    info: Option<String>,
    prompt: Option<String>,
    params: Option<Map<String, Value>>,
    public: Option<bool>,
    nsfw: Option<bool>,
    tags: Option<Vec<String>>,
    models: Option<Vec<String>>,
    shared_key: Option<String>,
}

macro_rules! wanted {
    ($input:ident, $kind:expr, $name:expr) => {
        Wanted {
            kind: $kind,
            name: $name,
            info: $input.info,
            prompt: $input.prompt,
            params: $input.params,
            public: $input.public,
            nsfw: $input.nsfw,
            tags: $input.tags,
            models: $input.models,
            shared_key: $input.sharedkey,
        }
    };
}

impl Engine {
    /// Makes a style for pictures.
    ///
    /// # Errors
    /// In the documented order: too many or no models, too many tags, no or an unknown key, an account that may not
    /// make styles, and what is not acceptable about the style.
    pub async fn create_image_style(&self, call: &Call, input: ImageStyleInput) -> Result<StyleModify> {
        let name = Some(input.name);
        self.create_style(call, wanted!(input, WorkKind::Image, name))
            .await
    }

    /// Makes a style for texts.
    ///
    /// # Errors
    /// As [`Engine::create_image_style`].
    pub async fn create_text_style(&self, call: &Call, input: TextStyleInput) -> Result<StyleModify> {
        let name = Some(input.name);
        self.create_style(call, wanted!(input, WorkKind::Text, name))
            .await
    }

    /// Changes a style for pictures.
    ///
    /// # Errors
    /// In the documented order: too many tags, no or an unknown key, `StyleNotFound`, `Forbidden` for those of others,
    /// and what is not acceptable about the style.
    pub async fn modify_image_style(
        &self,
        call: &Call,
        id: &str,
        input: ImageStylePatch,
    ) -> Result<StyleModify> {
        let wanted = wanted!(input, WorkKind::Image, input.name);
        self.modify_style(call, id, wanted).await
    }

    /// Changes a style for texts.
    ///
    /// # Errors
    /// As [`Engine::modify_image_style`].
    pub async fn modify_text_style(
        &self,
        call: &Call,
        id: &str,
        input: TextStylePatch,
    ) -> Result<StyleModify> {
        let wanted = wanted!(input, WorkKind::Text, input.name);
        self.modify_style(call, id, wanted).await
    }

    /// Deletes a style, also from collections.
    ///
    /// # Errors
    /// No or an unknown key, `StylesAnonForbidden`, `StyleNotFound`, `Forbidden`.
    pub async fn delete_style(&self, call: &Call, id: &str) -> Result<SimpleResponse> {
        call.key()?;
        let caller = self.identify(call).await?;
        check_known(&caller)?;
        let style = self.find_style(id).await?.ok_or_else(unknown_style)?;
        check_owner_or_moderator(&caller, &style)?;
        self.store.journal().delete_style(style.id).await?;
        self.accounts.note_change(style.owner);
        Ok(SimpleResponse::ok())
    }

    async fn create_style(&self, call: &Call, wanted: Wanted) -> Result<StyleModify> {
        call.key()?;
        let asked = wanted.models.as_deref().unwrap_or_default();
        if asked.is_empty() {
            return Err(bad_request("A style needs a model."));
        }
        check_models(asked)?;
        check_tags(wanted.tags.as_deref())?;
        let author = self.identify(call).await?;
        if !author.is_trusted() && !author.has(Role::Customizer) {
            let message = "Only customizers and trusted accounts can make styles.";
            return Err(EngineError::refused(
                ReturnCode::StylesRequiresCustomizer,
                message,
            ));
        }
        check_known(&author)?;
        let name = cleaned_name(wanted.name.as_deref().unwrap_or_default())?;
        let shared_key = match &wanted.shared_key {
            Some(key) => Some(self.usable_key(key, &author).await?),
            None => None,
        };
        check_not_deleted(&author)?;
        if self
            .store
            .style_by_name(Some(author.id()), &name)
            .await?
            .is_some()
        {
            return Err(name_taken());
        }
        let now = self.clock.now();
        let style = Style {
            id: Uuid::from_u128(self.random()),
            kind: wanted.kind,
            owner: author.id(),
            name,
            info: String::new(),
            prompt: TEMPLATE.to_owned(),
            params: Value::Object(Map::new()),
            public: true,
            nsfw: false,
            tags: Vec::new(),
            models: Vec::new(),
            examples: Vec::new(),
            shared_key,
            use_count: 0,
            created: now,
            updated: now,
        };
        self.write_style(style, wanted, &author).await
    }

    async fn modify_style(&self, call: &Call, id: &str, wanted: Wanted) -> Result<StyleModify> {
        call.key()?;
        check_tags(wanted.tags.as_deref())?;
        let caller = self.identify(call).await?;
        let mut style = self.find_style(id).await?.ok_or_else(unknown_style)?;
        if caller.id() != style.owner {
            let message = "Only its author may change a style.";
            return Err(EngineError::refused(ReturnCode::Forbidden, message));
        }
        if style.kind != wanted.kind {
            return Err(other_kind(wanted.kind));
        }
        check_models(wanted.models.as_deref().unwrap_or_default())?;
        if let Some(name) = &wanted.name {
            let name = cleaned_name(name)?;
            if name != style.name
                && self
                    .store
                    .style_by_name(Some(style.owner), &name)
                    .await?
                    .is_some()
            {
                return Err(name_taken());
            }
            style.name = name;
        }
        if let Some(key) = &wanted.shared_key {
            style.shared_key = Some(self.usable_key(key, &caller).await?);
        }
        style.updated = self.clock.now();
        self.write_style(style, wanted, &caller).await
    }

    /// Writes a style down as it is wanted, once all of it is acceptable.
    async fn write_style(&self, mut style: Style, wanted: Wanted, author: &Caller) -> Result<StyleModify> {
        style.prompt = wanted.prompt.unwrap_or(style.prompt);
        style.params = wanted.params.map_or(style.params, Value::Object);
        style.public = wanted.public.unwrap_or(style.public);
        style.nsfw = wanted.nsfw.unwrap_or(style.nsfw);
        if let Some(models) = wanted.models.filter(|models| !models.is_empty()) {
            style.models = cleaned_models(&models)?;
        }
        if style.models.is_empty() {
            return Err(bad_request("A style needs a model."));
        }
        let empty = Map::new();
        let candidate = Candidate {
            kind: style.kind,
            prompt: &style.prompt,
            params: style.params.as_object().unwrap_or(&empty),
            models: &style.models,
        };
        let warnings = self.check_style(&candidate, author)?;
        if let Some(info) = &wanted.info {
            style.info = cleaned(info, "What is said about a style")?;
        }
        if let Some(tags) = &wanted.tags {
            style.tags = cleaned_tags(tags)?;
        }
        let (id, kind, owner) = (style.id, style.kind, style.owner);
        let written = self.store.journal().put_style(style).await;
        written.map_err(unless_free)?;
        self.accounts.note_change(owner);
        Ok(done(id, (kind == WorkKind::Image).then_some(warnings)))
    }

    /// A shared key of the author's that can pay.
    ///
    /// # Errors
    /// `BadRequest` if there is none, it is somebody else's, or it cannot pay.
    async fn usable_key(&self, key: &str, author: &Caller) -> Result<Uuid> {
        let found = self.find_shared_key(key).await?;
        let Some((key, _)) = found.filter(|(_, owner)| owner.id() == author.id()) else {
            return Err(bad_request("You have no such shared key."));
        };
        if key.is_empty() {
            return Err(bad_request("This shared key is empty."));
        }
        if key.is_expired(self.clock.now()) {
            return Err(bad_request("This shared key has expired."));
        }
        Ok(key.id)
    }
}

/// The anonymous account has no styles.
pub(super) fn check_known(caller: &Caller) -> Result<()> {
    if caller.id().is_anonymous() {
        let message = "The anonymous account has no styles.";
        return Err(EngineError::refused(ReturnCode::StylesAnonForbidden, message));
    }
    Ok(())
}

pub(super) fn check_owner_or_moderator(caller: &Caller, style: &Style) -> Result<()> {
    if caller.id() == style.owner || caller.has(Role::Moderator) {
        return Ok(());
    }
    let message = "Only its author and moderators may do this with a style.";
    Err(EngineError::refused(ReturnCode::Forbidden, message))
}

pub(super) fn done(id: Uuid, warnings: Option<Vec<Warning>>) -> StyleModify {
    StyleModify {
        id,
        message: "OK".to_owned(),
        warnings,
    }
}

fn name_taken() -> EngineError {
    bad_request("You have another style with this name.")
}

fn unless_free(error: JournalError) -> EngineError {
    match error {
        JournalError::NameTaken(_) => name_taken(),
        other => other.into(),
    }
}
