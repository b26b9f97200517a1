//! What prompts must not contain: regular expressions that moderators write.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use muster_protocol::{Timestamp, UserId};
use sea_orm::{
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, IntoActiveModel as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
    sea_query::ExprTrait as _,
};

use crate::{Journal, JournalError, Store, StoreError, belongings::name_taken, entity::prompt_filter};

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptFilter {
    /// Its number.
    pub id: i64,
    /// What it finds.
    pub regex: String,
    /// What that means: 10 to 29, of which 10, 11 and 20 are looked at.
    pub filter_type: i16,
    /// What a moderator says about it.
    pub description: Option<String>,
    /// What takes the place of what it finds.
    pub replacement: String,
    /// Who made or last changed it.
    pub editor: UserId,
}

impl PromptFilter {
    fn from_row(row: prompt_filter::Model) -> Self {
        Self {
            id: row.id,
            regex: row.regex,
            filter_type: row.filter_type,
            description: row.description,
            replacement: row.replacement,
            editor: UserId(row.editor),
        }
    }

    fn to_row(&self) -> prompt_filter::Model {
        prompt_filter::Model {
            id: self.id,
            regex: self.regex.clone(),
            filter_type: self.filter_type,
            description: self.description.clone(),
            replacement: self.replacement.clone(),
            editor: self.editor.0,
            hits: 0,
            last_hit: None,
        }
    }
}

/// How often a filter has found something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FilterHits {
    /// Prompts in which it has.
    pub count: i64,
    /// When it last has.
    pub last: Option<Timestamp>,
}

impl Store {
    /// How often each filter has found something.
    pub async fn filter_hits(&self) -> Result<HashMap<i64, FilterHits>, StoreError> {
        use prompt_filter::Column as C;
        let rows: Vec<(i64, i64, Option<DateTime<Utc>>)> = prompt_filter::Entity::find()
            .select_only()
            .columns([C::Id, C::Hits, C::LastHit])
            .into_tuple()
            .all(self.reader())
            .await?;
        let of_row = |(id, count, last): (i64, i64, Option<DateTime<Utc>>)| {
            let last = last.map(Timestamp::from);
            (id, FilterHits { count, last })
        };
        Ok(rows.into_iter().map(of_row).collect())
    }

    /// All filters, oldest first.
    pub async fn prompt_filters(&self) -> Result<Vec<PromptFilter>, StoreError> {
        let rows = prompt_filter::Entity::find()
            .order_by_asc(prompt_filter::Column::Id)
            .all(self.reader())
            .await?;
        Ok(rows.into_iter().map(PromptFilter::from_row).collect())
    }
}

impl Journal {
    /// Makes a filter, whose number is assigned, unless there is one of its type with the same expression. Answers the
    /// one that is there then.
    pub async fn create_prompt_filter(&self, filter: PromptFilter) -> Result<PromptFilter, JournalError> {
        self.write(move |tx| {
            let row = filter.to_row();
            Box::pin(async move {
                if let Some(known) = same(tx, &row).await? {
                    return Ok(PromptFilter::from_row(known));
                }
                let mut row = row.into_active_model();
                row.id = NotSet;
                let row = prompt_filter::Entity::insert(row).exec_with_returning(tx).await?;
                Ok(PromptFilter::from_row(row))
            })
        })
        .await
    }

    /// Changes all of a filter but its number; says whether there was one.
    ///
    /// Fails with [`JournalError::NameTaken`] if another one of its type has the expression.
    pub async fn change_prompt_filter(&self, filter: PromptFilter) -> Result<bool, JournalError> {
        let expression = filter.regex.clone();
        self.write(move |tx| {
            let row = filter.to_row();
            let changed = prompt_filter::ActiveModel {
                id: Unchanged(row.id),
                regex: Set(row.regex),
                filter_type: Set(row.filter_type),
                description: Set(row.description),
                replacement: Set(row.replacement),
                editor: Set(row.editor),
                hits: NotSet,
                last_hit: NotSet,
            };
            Box::pin(async move {
                match prompt_filter::Entity::update(changed).exec(tx).await {
                    Ok(_) => Ok(true),
                    Err(DbErr::RecordNotUpdated) => Ok(false),
                    Err(error) => Err(error),
                }
            })
        })
        .await
        .map_err(name_taken(expression))
    }

    /// Counts what filters have found.
    pub async fn count_filter_hits(&self, hits: Vec<(i64, FilterHits)>) -> Result<(), JournalError> {
        if hits.is_empty() {
            return Ok(());
        }
        self.write(move |tx| {
            let hits = hits.clone();
            Box::pin(async move {
                use prompt_filter::Column as C;
                for (id, hits) in hits {
                    prompt_filter::Entity::update_many()
                        .col_expr(C::Hits, C::Hits.into_expr().add(hits.count))
                        .col_expr(C::LastHit, hits.last.map(Timestamp::to_datetime).into())
                        .filter(C::Id.eq(id))
                        .exec(tx)
                        .await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Deletes a filter; says whether there was one.
    pub async fn delete_prompt_filter(&self, id: i64) -> Result<bool, JournalError> {
        self.write(move |tx| {
            Box::pin(async move {
                let deleted = prompt_filter::Entity::delete_by_id(id).exec(tx).await?;
                Ok(deleted.rows_affected > 0)
            })
        })
        .await
    }
}

async fn same(
    tx: &DatabaseTransaction,
    row: &prompt_filter::Model,
) -> Result<Option<prompt_filter::Model>, DbErr> {
    prompt_filter::Entity::find()
        .filter(prompt_filter::Column::FilterType.eq(row.filter_type))
        .filter(prompt_filter::Column::Regex.eq(&row.regex))
        .one(tx)
        .await
}
