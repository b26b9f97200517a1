//! Teams: workers that count together.

use muster_protocol::{Kudos, Timestamp, UserId};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::Set,
    ColumnTrait as _, EntityTrait as _, IntoActiveModel as _, QueryFilter as _, QueryOrder as _,
    sea_query::{Expr, OnConflict},
};
use uuid::Uuid;

use super::{name_taken, unless_there};
use crate::{
    Journal, JournalError, Store, StoreError,
    entity::{team, worker},
};

/// A team.
#[derive(Clone, Debug, PartialEq)]
pub struct Team {
    /// Its id.
    pub id: Uuid,
    /// Its name; no other team's differs from it in capitals only.
    pub name: String,
    /// What its owner says about it.
    pub info: Option<String>,
    /// Who made it.
    pub owner: UserId,
    /// When.
    pub created: Timestamp,
    /// When one of its workers last earned something.
    pub last_active: Timestamp,
    /// Megapixelsteps of its workers.
    pub contributions: f64,
    /// Jobs that its workers delivered.
    pub fulfilments: i64,
    /// Kudos that its workers earned.
    pub kudos: Kudos,
    /// Seconds that its workers were online, as far as they were rewarded.
    pub uptime: i64,
}

impl Team {
    fn from_row(row: team::Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            info: row.info,
            owner: UserId(row.owner),
            created: row.created.into(),
            last_active: row.last_active.into(),
            contributions: Kudos::from_hundredths(row.contributions).to_f64(),
            fulfilments: row.fulfilments,
            kudos: Kudos::from_hundredths(row.kudos),
            uptime: row.uptime,
        }
    }
}

/// The form in which names of teams are compared.
fn name_key(name: &str) -> String {
    name.to_lowercase()
}

impl Store {
    /// All teams, oldest first.
    pub async fn teams(&self) -> Result<Vec<Team>, StoreError> {
        let rows = team::Entity::find()
            .order_by_asc(team::Column::Created)
            .order_by_asc(team::Column::Id)
            .all(self.reader())
            .await?;
        Ok(rows.into_iter().map(Team::from_row).collect())
    }

    /// A team by its id.
    pub async fn team(&self, id: Uuid) -> Result<Option<Team>, StoreError> {
        Ok(team::Entity::find_by_id(id)
            .one(self.reader())
            .await?
            .map(Team::from_row))
    }

    /// The team that has a name, whatever its capitals.
    pub async fn team_by_name(&self, name: &str) -> Result<Option<Team>, StoreError> {
        Ok(team::Entity::find()
            .filter(team::Column::NameKey.eq(name_key(name)))
            .one(self.reader())
            .await?
            .map(Team::from_row))
    }
}

impl Journal {
    /// Makes a team. Its totals begin at zero, whatever `team` says.
    ///
    /// Fails with [`JournalError::NameTaken`] if another team has the name.
    pub async fn create_team(&self, team: Team) -> Result<(), JournalError> {
        let taken = name_taken(team.name.clone());
        self.write(move |tx| {
            let row = team::Model {
                id: team.id,
                name_key: name_key(&team.name),
                name: team.name.clone(),
                info: team.info.clone(),
                owner: team.owner.0,
                created: team.created.to_datetime(),
                last_active: team.last_active.to_datetime(),
                contributions: 0,
                fulfilments: 0,
                kudos: 0,
                uptime: 0,
            };
            Box::pin(async move {
                let there = OnConflict::column(team::Column::Id).do_nothing().to_owned();
                let insert = team::Entity::insert(row.into_active_model()).on_conflict(there);
                unless_there(insert.exec_without_returning(tx).await)
            })
        })
        .await
        .map_err(taken)
    }

    /// Gives a team another name and another description.
    ///
    /// Fails with [`JournalError::NameTaken`] if another team has the name.
    pub async fn change_team(
        &self,
        id: Uuid,
        name: String,
        info: Option<String>,
    ) -> Result<(), JournalError> {
        let taken = name_taken(name.clone());
        self.write(move |tx| {
            let row = team::ActiveModel {
                id: sea_orm::ActiveValue::Unchanged(id),
                name_key: Set(name_key(&name)),
                name: Set(name.clone()),
                info: Set(info.clone()),
                ..Default::default()
            };
            Box::pin(async move { row.update(tx).await.map(|_| ()) })
        })
        .await
        .map_err(taken)
    }

    /// Deletes a team; its workers are in none then. Says whether there was one.
    pub async fn delete_team(&self, id: Uuid) -> Result<bool, JournalError> {
        self.write(move |tx| {
            Box::pin(async move {
                worker::Entity::update_many()
                    .col_expr(worker::Column::Team, Expr::value(None::<Uuid>))
                    .filter(worker::Column::Team.eq(id))
                    .exec(tx)
                    .await?;
                Ok(team::Entity::delete_by_id(id).exec(tx).await?.rows_affected > 0)
            })
        })
        .await
    }
}
