//! Styles: prompt templates with parameters and models, for anybody to use.

use std::collections::HashMap;

use muster_protocol::{Timestamp, UserId, WorkKind};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseTransaction, DbErr, EntityTrait as _, IntoActiveModel as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
    sea_query::{OnConflict, Query},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{ListOrder, Page, name_taken, unless_there};
use crate::{
    Journal, JournalError, Store, StoreError,
    codes::{kind_from_code, kind_to_code},
    entity::{collection_style, style, style_label},
    sql::lists,
};

/// A prompt template with parameters and models.
#[derive(Clone, Debug, PartialEq)]
pub struct Style {
    /// Its id.
    pub id: Uuid,
    /// For which kind of work.
    pub kind: WorkKind,
    /// Who made it.
    pub owner: UserId,
    /// Its name, unique among the styles of its owner.
    pub name: String,
    /// What its owner says about it.
    pub info: String,
    /// The template.
    pub prompt: String,
    /// The parameters of requests with it.
    pub params: Value,
    /// Whether it is listed. Whoever knows it may use it anyway.
    pub public: bool,
    /// Whether its results are unsafe for work.
    pub nsfw: bool,
    /// What it is about.
    pub tags: Vec<String>,
    /// The models of requests with it.
    pub models: Vec<String>,
    /// Pictures that were made with it.
    pub examples: Vec<StyleExample>,
    /// The shared key that pays for requests with it.
    pub shared_key: Option<Uuid>,
    /// How often it was used.
    pub use_count: i64,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// A picture that was made with a style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StyleExample {
    /// Its id.
    pub id: Uuid,
    /// Where it is.
    pub url: String,
    /// Whether it is the one to show.
    pub primary: bool,
}

/// Which styles are listed: public ones of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StyleFilter {
    /// Of which kind.
    pub kind: WorkKind,
    /// Only those with this tag.
    pub tag: Option<String>,
    /// Only those with this model.
    pub model: Option<String>,
    /// In which order.
    pub order: ListOrder,
}

/// What a label of a style is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i16)]
enum Label {
    Tag = 0,
    Model = 1,
}

impl Store {
    /// A style by its id.
    pub async fn style(&self, id: Uuid) -> Result<Option<Style>, StoreError> {
        let mut found = self.read_styles(style::Entity::find_by_id(id)).await?;
        Ok(found.pop())
    }

    /// The oldest style that has exactly this name, of one owner or of anybody.
    pub async fn style_by_name(
        &self,
        owner: Option<UserId>,
        name: &str,
    ) -> Result<Option<Style>, StoreError> {
        let mut select = style::Entity::find().filter(style::Column::Name.eq(name));
        if let Some(owner) = owner {
            select = select.filter(style::Column::Owner.eq(owner.0));
        }
        let oldest = select
            .order_by_asc(style::Column::Created)
            .order_by_asc(style::Column::Id)
            .limit(1);
        Ok(self.read_styles(oldest).await?.pop())
    }

    /// The styles of an owner, oldest first.
    pub async fn styles_of(&self, owner: UserId) -> Result<Vec<Style>, StoreError> {
        let select = style::Entity::find()
            .filter(style::Column::Owner.eq(owner.0))
            .order_by_asc(style::Column::Created)
            .order_by_asc(style::Column::Id);
        self.read_styles(select).await
    }

    /// The styles with these ids, in no order.
    pub async fn styles_by_id(&self, ids: &[Uuid]) -> Result<Vec<Style>, StoreError> {
        let mut found = Vec::new();
        for ids in lists(ids.iter().copied()) {
            let select = style::Entity::find().filter(style::Column::Id.is_in(ids));
            found.extend(self.read_styles(select).await?);
        }
        Ok(found)
    }

    /// A page of the public styles of a kind.
    pub async fn public_styles(&self, filter: &StyleFilter, page: Page) -> Result<Vec<Style>, StoreError> {
        let mut select = style::Entity::find()
            .filter(style::Column::Kind.eq(kind_to_code(filter.kind)))
            .filter(style::Column::Public.eq(true));
        for (label, wanted) in [(Label::Tag, &filter.tag), (Label::Model, &filter.model)] {
            if let Some(wanted) = wanted {
                let labelled = Query::select()
                    .column(style_label::Column::Style)
                    .from(style_label::Entity)
                    .and_where(style_label::Column::LabelKind.eq(label as i16))
                    .and_where(style_label::Column::Label.eq(wanted))
                    .take();
                select = select.filter(style::Column::Id.in_subquery(labelled));
            }
        }
        if filter.order == ListOrder::Popular {
            select = select.order_by_desc(style::Column::UseCount);
        }
        let select = select
            .order_by_asc(style::Column::Created)
            .order_by_asc(style::Column::Id)
            .offset(page.offset)
            .limit(page.limit);
        self.read_styles(select).await
    }

    async fn read_styles(&self, select: Select<style::Entity>) -> Result<Vec<Style>, StoreError> {
        let rows = select.all(self.reader()).await?;
        let mut labels = labels_of(self.reader(), rows.iter().map(|row| row.id)).await?;
        rows.into_iter()
            .map(|row| {
                let (tags, models) = labels.remove(&row.id).unwrap_or_default();
                from_row(row, tags, models)
            })
            .collect()
    }
}

type Labels = (Vec<String>, Vec<String>);

async fn labels_of(
    db: &impl ConnectionTrait,
    styles: impl Iterator<Item = Uuid>,
) -> Result<HashMap<Uuid, Labels>, DbErr> {
    use style_label::Column as C;
    let mut labels: HashMap<Uuid, Labels> = HashMap::new();
    for ids in lists(styles) {
        let rows = style_label::Entity::find()
            .filter(C::Style.is_in(ids))
            .order_by_asc(C::Style)
            .order_by_asc(C::Position)
            .all(db)
            .await?;
        for row in rows {
            let (tags, models) = labels.entry(row.style).or_default();
            let list = if row.label_kind == Label::Tag as i16 {
                tags
            } else {
                models
            };
            list.push(row.label);
        }
    }
    Ok(labels)
}

fn from_row(row: style::Model, tags: Vec<String>, models: Vec<String>) -> Result<Style, StoreError> {
    let examples = row.examples.as_array().into_iter().flatten();
    let examples = examples
        .map(example_from)
        .collect::<Option<_>>()
        .ok_or_else(|| StoreError::Corrupt {
            table: "styles",
            what: format!("the examples of {}", row.id),
        })?;
    Ok(Style {
        id: row.id,
        kind: kind_from_code(row.kind, "styles")?,
        owner: UserId(row.owner),
        name: row.name,
        info: row.info,
        prompt: row.prompt,
        params: row.params,
        public: row.public,
        nsfw: row.nsfw,
        tags,
        models,
        examples,
        shared_key: row.shared_key,
        use_count: row.use_count,
        created: row.created.into(),
        updated: row.updated.into(),
    })
}

fn example_from(value: &Value) -> Option<StyleExample> {
    Some(StyleExample {
        id: value["id"].as_str()?.parse().ok()?,
        url: value["url"].as_str()?.to_owned(),
        primary: value["primary"].as_bool()?,
    })
}

fn to_row(style: &Style) -> style::Model {
    let examples = style
        .examples
        .iter()
        .map(|example| json!({ "id": example.id, "url": example.url, "primary": example.primary }));
    style::Model {
        id: style.id,
        kind: kind_to_code(style.kind),
        owner: style.owner.0,
        name: style.name.clone(),
        info: style.info.clone(),
        prompt: style.prompt.clone(),
        params: style.params.clone(),
        public: style.public,
        nsfw: style.nsfw,
        examples: examples.collect(),
        shared_key: style.shared_key,
        use_count: style.use_count,
        created: style.created.to_datetime(),
        updated: style.updated.to_datetime(),
    }
}

impl Journal {
    /// Makes a style, or writes one again with what was changed of it. How often it was used stays.
    ///
    /// Fails with [`JournalError::NameTaken`] if another style of its owner has the name.
    pub async fn put_style(&self, style: Style) -> Result<(), JournalError> {
        let taken = name_taken(style.name.clone());
        self.write(move |tx| {
            let style = style.clone();
            Box::pin(async move {
                let mut replace = OnConflict::column(style::Column::Id);
                replace.update_columns(CHANGEABLE);
                let insert = style::Entity::insert(to_row(&style).into_active_model()).on_conflict(replace);
                insert.exec_without_returning(tx).await?;
                put_labels(tx, &style).await
            })
        })
        .await
        .map_err(taken)
    }

    /// Deletes a style, also from collections; says whether there was one.
    pub async fn delete_style(&self, id: Uuid) -> Result<bool, JournalError> {
        self.write(move |tx| {
            Box::pin(async move {
                let of_style = style_label::Column::Style.eq(id);
                style_label::Entity::delete_many()
                    .filter(of_style)
                    .exec(tx)
                    .await?;
                let in_collections = collection_style::Column::Style.eq(id);
                let members = collection_style::Entity::delete_many().filter(in_collections);
                members.exec(tx).await?;
                Ok(style::Entity::delete_by_id(id).exec(tx).await?.rows_affected > 0)
            })
        })
        .await
    }
}

/// What may change of a style.
const CHANGEABLE: [style::Column; 9] = {
    use style::Column as C;
    [
        C::Name,
        C::Info,
        C::Prompt,
        C::Params,
        C::Public,
        C::Nsfw,
        C::Examples,
        C::SharedKey,
        C::Updated,
    ]
};

async fn put_labels(tx: &DatabaseTransaction, style: &Style) -> Result<(), DbErr> {
    let of_style = style_label::Column::Style.eq(style.id);
    style_label::Entity::delete_many()
        .filter(of_style)
        .exec(tx)
        .await?;
    let labels = [(Label::Tag, &style.tags), (Label::Model, &style.models)];
    let rows = labels.into_iter().flat_map(|(kind, labels)| {
        (0_i16..)
            .zip(labels)
            .map(move |(position, label)| style_label::Model {
                style: style.id,
                label_kind: kind as i16,
                position,
                label: label.clone(),
            })
    });
    let rows: Vec<style_label::ActiveModel> = rows.map(sea_orm::IntoActiveModel::into_active_model).collect();
    if rows.is_empty() {
        return Ok(());
    }
    unless_there(
        style_label::Entity::insert_many(rows)
            .exec_without_returning(tx)
            .await,
    )
}
