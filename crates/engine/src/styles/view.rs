//! How styles look from outside (spec: text and styles, sections B4 and B5).

use muster_protocol::{
    ImageStyleParams, ReturnCode, StyleDetails, StyleExampleDetails, TextStyleParams, UserId, WorkKind,
};
use muster_store::{Page, Style, StyleFilter};

use super::{
    PAGE, StyleQuery,
    lookup::{Named, Scope},
    order, other_kind, unknown_style,
};
use crate::{Engine, EngineError, error::Result, shared_keys};

impl Engine {
    /// A page of the public styles for pictures or texts.
    ///
    /// # Errors
    /// `BadRequest` for an order that there is not.
    pub async fn styles(&self, kind: WorkKind, query: &StyleQuery) -> Result<Vec<StyleDetails>> {
        let filter = StyleFilter {
            kind,
            tag: query.tag.clone(),
            model: query.model.clone(),
            order: order(query.sort.as_deref())?,
        };
        let page = Page::numbered(query.page, PAGE);
        let mut views = Vec::new();
        for style in self.store.public_styles(&filter, page).await? {
            views.push(self.style_view(style).await?);
        }
        Ok(views)
    }

    /// A style by its id, public or not.
    ///
    /// # Errors
    /// `Image styleNotFound` or `Text styleNotFound`; `BadRequest` for a style of the other kind.
    pub async fn style(&self, kind: WorkKind, id: &str) -> Result<StyleDetails> {
        let Some(style) = self.find_style(id).await? else {
            let code = if kind == WorkKind::Image {
                ReturnCode::ImageStyleNotFound
            } else {
                ReturnCode::TextStyleNotFound
            };
            return Err(EngineError::refused(code, "There is no style with this id."));
        };
        self.style_of_kind(kind, style).await
    }

    /// A style by its name, public or not.
    ///
    /// # Errors
    /// `StyleNotFound`; `BadRequest` for a style of the other kind.
    pub async fn style_by_name(&self, kind: WorkKind, name: &str) -> Result<StyleDetails> {
        match self.find_by_name(name, Scope::Styles).await? {
            Some(Named::Style(style)) => self.style_of_kind(kind, style).await,
            _ => Err(unknown_style()),
        }
    }

    async fn style_of_kind(&self, kind: WorkKind, style: Style) -> Result<StyleDetails> {
        if style.kind != kind {
            return Err(other_kind(kind));
        }
        self.style_view(style).await
    }

    async fn style_view(&self, style: Style) -> Result<StyleDetails> {
        let is_image = style.kind == WorkKind::Image;
        let key = match style.shared_key.filter(|_| is_image) {
            Some(key) => self.find_shared_key(&key.to_string()).await?,
            None => None,
        };
        let examples = style.examples.into_iter().map(|example| StyleExampleDetails {
            id: example.id,
            url: example.url,
            primary: example.primary,
        });
        Ok(StyleDetails {
            id: style.id,
            name: style.name,
            info: style.info,
            prompt: style.prompt,
            params: if is_image {
                ImageStyleParams::shown(&style.params)
            } else {
                TextStyleParams::shown(&style.params)
            },
            public: style.public,
            nsfw: style.nsfw,
            tags: style.tags,
            models: style.models,
            use_count: style.use_count,
            creator: self.alias_of(style.owner).await?,
            examples: is_image.then(|| examples.collect()),
            shared_key: key.map(|(key, owner)| shared_keys::details(key, &owner)),
        })
    }

    /// The public handle of an account, also of one that was wiped.
    pub(crate) async fn alias_of(&self, id: UserId) -> Result<String> {
        let account = self.accounts.get(&self.store, id).await?;
        Ok(account.map_or_else(|| format!("wiped#{id}"), |account| account.alias()))
    }
}
