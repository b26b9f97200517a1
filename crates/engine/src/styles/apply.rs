//! What a style makes of a request (spec: text and styles, sections B10 and B11).

use muster_protocol::{Body as _, WorkKind, image, text};
use muster_store::{Collection, SharedKey, Style};
use rand::RngExt as _;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    lookup::Named,
    other_kind,
    template::{fill_image, fill_text},
    unknown_style,
};
use crate::{Engine, EngineError, accounts::Caller, error::Result};

/// A style that a request is made with.
#[derive(Clone, Debug)]
pub(crate) struct StyleUse {
    style: Style,
    /// The collection that it was taken from.
    collection: Option<Uuid>,
    /// Who made it; `None` for an account that is no more.
    pub(crate) author: Option<Caller>,
    /// The shared key that pays for requests with it, if it can.
    pub(crate) key: Option<(SharedKey, Caller)>,
}

impl StyleUse {
    /// Who is rewarded for a request: the author, unless the request is their own.
    pub(crate) fn rewarded(&self, requester: &Caller) -> Option<&Caller> {
        self.author
            .as_ref()
            .filter(|author| author.id() != requester.id())
    }

    /// What was used: the style, and the collection that it was taken from.
    pub(crate) fn uses(&self) -> Vec<Uuid> {
        std::iter::once(self.style.id).chain(self.collection).collect()
    }
}

impl Engine {
    /// Makes of an image request what the style says that it names, if it names one.
    ///
    /// # Errors
    /// `StyleNotFound`, `BadRequest` for a style of another kind, or parameters that no request can have.
    pub(crate) async fn apply_image_style(
        &self,
        input: &mut image::RequestInput,
    ) -> Result<Option<StyleUse>> {
        let Some(used) = self.style_for(input.style.as_deref(), WorkKind::Image).await? else {
            return Ok(None);
        };
        let style = &used.style;
        let mut params = stored_params(style);
        let asked = &input.params;
        params.insert("n".to_owned(), asked.n.unwrap_or(1).into());
        fill_in(&mut params, "width", asked.width);
        fill_in(&mut params, "height", asked.height);
        fill_in(&mut params, "seed", asked.seed.clone());
        let prompt = fill_image(&style.prompt, &input.prompt);
        // A style may carry what nobody has checked.
        let checked = json!({"prompt": prompt, "params": params, "models": style.models});
        let checked = image::RequestInput::parse(checked).map_err(EngineError::Invalid)?;
        (input.prompt, input.params, input.models) = (checked.prompt, checked.params, checked.models);
        Ok(Some(used))
    }

    /// Makes of a text request what the style says that it names, if it names one.
    ///
    /// # Errors
    /// As [`Engine::apply_image_style`].
    pub(crate) async fn apply_text_style(&self, input: &mut text::RequestInput) -> Result<Option<StyleUse>> {
        let Some(used) = self.style_for(input.style.as_deref(), WorkKind::Text).await? else {
            return Ok(None);
        };
        let style = &used.style;
        let mut params = stored_params(style);
        let asked = &input.params;
        params.insert("n".to_owned(), asked.n.unwrap_or(1).into());
        fill_in(&mut params, "max_length", asked.max_length);
        fill_in(&mut params, "max_context_length", asked.max_context_length);
        let prompt = fill_text(&style.prompt, input.prompt.as_deref().unwrap_or_default());
        let checked = json!({"prompt": prompt, "params": params, "models": style.models});
        let checked = text::RequestInput::parse(checked).map_err(EngineError::Invalid)?;
        (input.prompt, input.params, input.models) = (checked.prompt, checked.params, checked.models);
        Ok(Some(used))
    }

    /// The style that a request names, or one of the collection that it names.
    async fn style_for(&self, named: Option<&str>, kind: WorkKind) -> Result<Option<StyleUse>> {
        let Some(named) = named else { return Ok(None) };
        let (style, collection) = match self.find_named(named).await?.ok_or_else(unknown_style)? {
            Named::Style(style) => (style, None),
            Named::Collection(collection) => {
                if collection.kind != kind {
                    return Err(other_kind(kind));
                }
                (self.any_of(&collection).await?, Some(collection.id))
            }
        };
        if style.kind != kind {
            return Err(other_kind(kind));
        }
        let author = self.accounts.get(&self.store, style.owner).await?;
        let key = match style.shared_key {
            Some(key) => self.find_shared_key(&key.to_string()).await?,
            None => None,
        };
        let now = self.clock.now();
        let key = key.filter(|(key, _)| !key.is_empty() && !key.is_expired(now));
        Ok(Some(StyleUse {
            style,
            collection,
            author,
            key,
        }))
    }

    async fn any_of(&self, collection: &Collection) -> Result<Style> {
        if collection.styles.is_empty() {
            return Err(unknown_style());
        }
        let index = self.rng.lock().random_range(0..collection.styles.len());
        let style = self.store.style(collection.styles[index]).await?;
        style.ok_or_else(unknown_style)
    }
}

fn stored_params(style: &Style) -> Map<String, Value> {
    style.params.as_object().cloned().unwrap_or_default()
}

/// Takes over what a client asks for where the style says nothing.
fn fill_in(params: &mut Map<String, Value>, name: &str, asked: Option<impl Into<Value>>) {
    if let Some(asked) = asked
        && !params.contains_key(name)
    {
        params.insert(name.to_owned(), asked.into());
    }
}
