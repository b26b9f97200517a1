//! Pictures that were made with a style (spec: text and styles, section B9).

use muster_protocol::{ExampleInput, ExamplePatch, ReturnCode, SimpleResponse, StyleModify, WorkKind};
use muster_store::{Style, StyleExample};
use uuid::Uuid;

use super::{
    bad_request,
    edit::{check_owner_or_moderator, done},
    other_kind, unknown_style,
};
use crate::{
    Call, Engine, EngineError,
    error::Result,
    requests::{has_nul, nul_refusal},
};

/// The most examples of a style.
const EXAMPLES: usize = 4;

impl Engine {
    /// Adds an example to a style.
    ///
    /// # Errors
    /// In the documented order: an address that is not https, no or an unknown key, `StyleNotFound`, `Forbidden` for
    /// those of others and for too many examples, an address that is used already.
    pub async fn add_style_example(
        &self,
        call: &Call,
        style: &str,
        input: ExampleInput,
    ) -> Result<StyleModify> {
        check_url(&input.url)?;
        let mut style = self.editable(call, style).await?;
        if style.kind != WorkKind::Image {
            return Err(other_kind(WorkKind::Image));
        }
        if style.examples.len() >= EXAMPLES {
            let message = format!("A style can have {EXAMPLES} examples.");
            return Err(EngineError::refused(ReturnCode::Forbidden, message));
        }
        if style.examples.iter().any(|example| example.url == input.url) {
            return Err(url_taken());
        }
        let example = StyleExample {
            id: Uuid::from_u128(self.random()),
            url: input.url,
            primary: false,
        };
        let id = example.id;
        style.examples.push(example);
        let alone = !style.examples.iter().any(|example| example.primary);
        if input.primary || alone {
            show(&mut style, id);
        }
        self.write_examples(style).await?;
        Ok(done(id, Some(Vec::new())))
    }

    /// Changes an example of a style.
    ///
    /// # Errors
    /// In the documented order: an address that is not https, no or an unknown key, an example or a style that does not
    /// exist, `Forbidden` for those of others, an address that is used already, or no example left to show.
    pub async fn modify_style_example(
        &self,
        call: &Call,
        style: &str,
        example: &str,
        input: ExamplePatch,
    ) -> Result<StyleModify> {
        if let Some(url) = &input.url {
            check_url(url)?;
        }
        let (mut style, id) = self.editable_example(call, style, example).await?;
        let others = || style.examples.iter().filter(|example| example.id != id);
        if let Some(url) = &input.url
            && others().any(|example| example.url == *url)
        {
            return Err(url_taken());
        }
        if input.primary == Some(false) && !others().any(|example| example.primary) {
            return Err(bad_request("One example of a style must be the one to show."));
        }
        for example in style.examples.iter_mut().filter(|example| example.id == id) {
            if let Some(url) = &input.url {
                example.url.clone_from(url);
            }
            example.primary &= input.primary != Some(false);
        }
        if input.primary == Some(true) {
            show(&mut style, id);
        }
        self.write_examples(style).await?;
        Ok(done(id, Some(Vec::new())))
    }

    /// Deletes an example of a style. If it was the one to show, the oldest of the others takes its place.
    ///
    /// # Errors
    /// No or an unknown key, an example or a style that does not exist, `Forbidden` for those of others.
    pub async fn delete_style_example(
        &self,
        call: &Call,
        style: &str,
        example: &str,
    ) -> Result<SimpleResponse> {
        let (mut style, id) = self.editable_example(call, style, example).await?;
        style.examples.retain(|example| example.id != id);
        if !style.examples.iter().any(|example| example.primary)
            && let Some(oldest) = style.examples.first_mut()
        {
            oldest.primary = true;
        }
        self.write_examples(style).await?;
        Ok(SimpleResponse::ok())
    }

    /// A style that the caller may change.
    async fn editable(&self, call: &Call, style: &str) -> Result<Style> {
        let caller = self.identify(call).await?;
        let style = self.find_style(style).await?.ok_or_else(unknown_style)?;
        check_owner_or_moderator(&caller, &style)?;
        Ok(style)
    }

    /// The same, and one of its examples. Whose key is unknown does not learn which examples there are.
    async fn editable_example(&self, call: &Call, style: &str, example: &str) -> Result<(Style, Uuid)> {
        let caller = self.identify(call).await?;
        let style = self.find_style(style).await?.ok_or_else(unknown_style)?;
        let id: Option<Uuid> = example.parse().ok();
        let known = id.filter(|id| style.examples.iter().any(|example| example.id == *id));
        let Some(id) = known else {
            let message = "This style has no such example.";
            return Err(EngineError::refused(ReturnCode::StyleExampleNotFound, message));
        };
        check_owner_or_moderator(&caller, &style)?;
        Ok((style, id))
    }

    async fn write_examples(&self, mut style: Style) -> Result<()> {
        style.updated = self.clock.now();
        Ok(self.store.journal().put_style(style).await?)
    }
}

/// Makes an example the one to show.
fn show(style: &mut Style, id: Uuid) {
    for example in &mut style.examples {
        example.primary = example.id == id;
    }
}

fn check_url(url: &str) -> Result<()> {
    if has_nul(url) {
        return Err(nul_refusal());
    }
    if !url.starts_with("https://") {
        return Err(bad_request("The address of an example must begin with https://."));
    }
    Ok(())
}

fn url_taken() -> EngineError {
    bad_request("This style has another example with this address.")
}
