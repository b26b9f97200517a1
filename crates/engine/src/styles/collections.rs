//! Collections: styles of one kind under one name, of which a request gets any (spec: text and styles, part C).

use muster_protocol::{
    CollectionDetails, CollectionInput, ReturnCode, SimpleResponse, StyleInCollection, StyleModify, WorkKind,
};
use muster_store::{Collection, CollectionFilter, JournalError, Page, Role};
use uuid::Uuid;

use super::{
    CollectionQuery, PAGE, bad_request,
    checks::{cleaned, cleaned_name},
    edit::{check_known, done},
    lookup::{Named, Scope, style_kind},
    order,
};
use crate::{Call, Engine, EngineError, call::check_not_deleted, error::Result, names};

fn unknown_collection() -> EngineError {
    EngineError::refused(ReturnCode::CollectionNotFound, "There is no such collection.")
}

impl Engine {
    /// A page of the public collections.
    ///
    /// # Errors
    /// `BadRequest` for an order or a kind that there is not.
    pub async fn collections(&self, query: &CollectionQuery) -> Result<Vec<CollectionDetails>> {
        let order = order(query.sort.as_deref())?;
        let kind = match query.kind.as_deref() {
            None | Some("all") => None,
            Some(kind) => Some(style_kind(kind).ok_or_else(|| bad_request("type is all, image or text."))?),
        };
        let filter = CollectionFilter { kind, order };
        let page = Page::numbered(query.page, PAGE);
        let mut views = Vec::new();
        for collection in self.store.public_collections(filter, page).await? {
            views.push(self.collection_view(collection).await?);
        }
        Ok(views)
    }

    /// A collection by its id.
    ///
    /// # Errors
    /// `CollectionNotFound`.
    pub async fn collection(&self, id: &str) -> Result<CollectionDetails> {
        let collection = self.find_collection(id).await?;
        self.collection_view(collection).await
    }

    /// A collection by its name.
    ///
    /// # Errors
    /// `CollectionNotFound`.
    pub async fn collection_by_name(&self, name: &str) -> Result<CollectionDetails> {
        match self.find_by_name(name, Scope::Collections).await? {
            Some(Named::Collection(collection)) => self.collection_view(collection).await,
            _ => Err(unknown_collection()),
        }
    }

    /// Makes a collection.
    ///
    /// # Errors
    /// In the documented order: no name or no styles, no or an unknown key, an account that may not make collections,
    /// styles that do not exist or do not go together, texts that are not acceptable.
    pub async fn create_collection(&self, call: &Call, input: CollectionInput) -> Result<StyleModify> {
        call.key()?;
        let Some(name) = &input.name else {
            return Err(EngineError::missing("name", "JSON body"));
        };
        let Some(styles) = &input.styles else {
            return Err(EngineError::missing("styles", "JSON body"));
        };
        if styles.is_empty() {
            return Err(bad_request("A collection needs a style."));
        }
        let caller = self.identify(call).await?;
        check_not_deleted(&caller)?;
        check_known(&caller)?;
        let (kind, styles) = self.members(styles).await?;
        let collection = Collection {
            id: Uuid::from_u128(self.random()),
            kind,
            owner: caller.id(),
            name: cleaned_name(name)?,
            info: cleaned(
                input.info.as_deref().unwrap_or_default(),
                "What is said about a collection",
            )?,
            public: input.public.unwrap_or(true),
            styles,
            use_count: 0,
            created: self.clock.now(),
        };
        let id = collection.id;
        self.write_collection(collection).await?;
        Ok(done(id, Some(Vec::new())))
    }

    /// Changes a collection.
    ///
    /// # Errors
    /// In the documented order: styles that do not exist or do not go together, no or an unknown key,
    /// `CollectionNotFound`, `Forbidden` for those of others, styles of another kind, texts that are not acceptable.
    pub async fn modify_collection(
        &self,
        call: &Call,
        id: &str,
        input: CollectionInput,
    ) -> Result<StyleModify> {
        call.key()?;
        let styles = match input.styles.as_deref() {
            None | Some([]) => None,
            Some(styles) => Some(self.members(styles).await?),
        };
        let caller = self.identify(call).await?;
        let mut collection = self.find_collection(id).await?;
        if caller.id() != collection.owner {
            let message = "Only its owner may change a collection.";
            return Err(EngineError::refused(ReturnCode::Forbidden, message));
        }
        let before = collection.clone();
        if let Some((kind, styles)) = styles {
            if kind != collection.kind {
                return Err(mixed());
            }
            collection.styles = styles;
        }
        if let Some(name) = &input.name {
            collection.name = cleaned_name(name)?;
        }
        if let Some(info) = &input.info {
            collection.info = cleaned(info, "What is said about a collection")?;
        }
        collection.public = input.public.unwrap_or(collection.public);
        let id = collection.id;
        let changed = collection != before;
        if changed {
            self.write_collection(collection).await?;
        }
        Ok(done(id, changed.then(Vec::new)))
    }

    /// Deletes a collection, but not its styles.
    ///
    /// # Errors
    /// No or an unknown key, `CollectionNotFound`, `Forbidden`.
    pub async fn delete_collection(&self, call: &Call, id: &str) -> Result<SimpleResponse> {
        let caller = self.identify(call).await?;
        let collection = self.find_collection(id).await?;
        if caller.id() != collection.owner && !caller.has(Role::Moderator) {
            let message = "Only its owner and moderators may delete a collection.";
            return Err(EngineError::refused(ReturnCode::Forbidden, message));
        }
        self.store.journal().delete_collection(collection.id).await?;
        Ok(SimpleResponse::ok())
    }

    async fn find_collection(&self, id: &str) -> Result<Collection> {
        let id: Uuid = id.parse().map_err(|_| unknown_collection())?;
        self.store.collection(id).await?.ok_or_else(unknown_collection)
    }

    /// The styles that are named by id or name, each once, which must be of one kind.
    async fn members(&self, named: &[String]) -> Result<(WorkKind, Vec<Uuid>)> {
        let mut members: Vec<Uuid> = Vec::new();
        let mut kind: Option<WorkKind> = None;
        for name in named {
            let Some(style) = self.find_style_or_name(name).await? else {
                let message = format!("There is no style \"{}\".", names::truncate(name, 128));
                return Err(bad_request(message));
            };
            if kind.is_some_and(|kind| kind != style.kind) {
                return Err(mixed());
            }
            kind = Some(style.kind);
            if !members.contains(&style.id) {
                members.push(style.id);
            }
        }
        let kind = kind.ok_or_else(|| bad_request("A collection needs a style."))?;
        Ok((kind, members))
    }

    async fn write_collection(&self, collection: Collection) -> Result<()> {
        match self.store.journal().put_collection(collection).await {
            Err(JournalError::NameTaken(_)) => {
                Err(bad_request("You have another collection with this name."))
            }
            outcome => Ok(outcome?),
        }
    }

    async fn collection_view(&self, collection: Collection) -> Result<CollectionDetails> {
        let mut known = self.store.styles_by_id(&collection.styles).await?;
        known.sort_by_key(|style| collection.styles.iter().position(|id| *id == style.id));
        let mut styles = Vec::with_capacity(known.len());
        for style in known {
            let author = self.alias_of(style.owner).await?;
            styles.push(StyleInCollection {
                name: names::full_style_name(&author, &style.name),
                id: style.id,
            });
        }
        Ok(CollectionDetails {
            id: collection.id,
            name: collection.name,
            kind: collection.kind,
            info: Some(collection.info),
            public: collection.public,
            styles,
            use_count: collection.use_count,
        })
    }
}

fn mixed() -> EngineError {
    bad_request("All styles of a collection must be for the same kind of request.")
}
