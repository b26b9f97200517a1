//! What was done so far.

use std::collections::BTreeMap;

use muster_protocol::WorkKind;
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, QuerySelect as _, sea_query::ExprTrait as _,
};

use crate::{Store, StoreError, WorkStat, codes, entity::work_stat};

impl Store {
    /// What was done of a kind of work, by model: in each hour from `since` (hours since 1970) on, and in the
    /// time before that as one figure for the hour before.
    pub async fn work_stats(&self, kind: WorkKind, since: i64) -> Result<Vec<WorkStat>, StoreError> {
        use work_stat::Column as C;
        let kind = codes::kind_to_code(kind);
        let of_kind = || work_stat::Entity::find().filter(C::Kind.eq(kind));
        let earlier: Vec<(String, i16, i64)> = of_kind()
            .filter(C::Hour.lt(since))
            .select_only()
            .column(C::Model)
            .column(C::Measure)
            .column_as(C::Amount.sum().cast_as("bigint"), "amount")
            .group_by(C::Model)
            .group_by(C::Measure)
            .into_tuple()
            .all(self.reader())
            .await?;
        let later = of_kind().filter(C::Hour.gte(since)).all(self.reader()).await?;
        let mut figures: BTreeMap<(i64, String), (i64, i64)> = BTreeMap::new();
        let mut add = |hour: i64, model: String, measure: i16, amount: i64| {
            let (jobs, things) = figures.entry((hour, model)).or_default();
            *if measure == 0 { jobs } else { things } += amount;
        };
        for (model, measure, amount) in earlier {
            add(since - 1, model, measure, amount);
        }
        for row in later {
            add(row.hour, row.model, row.measure, row.amount);
        }
        let stats = figures
            .into_iter()
            .map(|((hour, model), (jobs, things))| WorkStat {
                hour,
                model,
                jobs: u64::try_from(jobs).unwrap_or(0),
                things: u64::try_from(things).unwrap_or(0),
            });
        Ok(stats.collect())
    }
}
