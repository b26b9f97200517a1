//! What prompts must not contain (spec: alchemy and safety, B1 to B6): filters that moderators write, what they find,
//! and what becomes of a prompt in which they find too much.
//!
//! Filters come in two groups: one tells that a prompt may be about minors (types 10 and 11, and some emoji), the other
//! that it is sexual (type 20). A prompt in which both groups find something is refused or changed.

mod check;
mod emoji;
mod literals;
mod manage;
mod normal;
mod nsfw;
mod rules;

use std::sync::Arc;

use parking_lot::RwLock;

pub(crate) use check::Screening;
pub use manage::FilterQuery;
use rules::{Rules, Tally};

use crate::{Engine, error::Result};

/// The filters as they are at the moment, compiled once.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    rules: RwLock<Arc<Rules>>,
    tally: Arc<Tally>,
    /// Held while they are read and compiled, so that nobody puts older ones in the place of newer ones.
    refreshing: tokio::sync::Mutex<()>,
}

impl Filters {
    /// The rules as they are now; a check that has begun keeps those that it began with.
    pub(crate) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read())
    }
}

impl Engine {
    /// Reads the filters and compiles them: when the server starts, whenever somebody changes one here, and from time to
    /// time, for another node may have.
    ///
    /// # Errors
    /// The database failed; the rules stay as they are.
    pub(crate) async fn refresh_filters(&self) -> Result<()> {
        let _turn = self.filters.refreshing.lock().await;
        let filters = self.store.prompt_filters().await?;
        if self.filters.rules().are_of(&filters) {
            return Ok(());
        }
        let (before, tally) = (self.filters.rules(), Arc::clone(&self.filters.tally));
        let compiled = tokio::task::spawn_blocking(move || Rules::compile(filters, &before, tally))
            .await
            .map_err(|_| crate::EngineError::Stopping)?;
        *self.filters.rules.write() = Arc::new(compiled);
        Ok(())
    }

    /// Writes down what filters have found.
    ///
    /// # Errors
    /// The database failed; what was counted is lost.
    pub(crate) async fn flush_filter_hits(&self) -> Result<()> {
        let hits = self.filters.tally.take();
        Ok(self.store.journal().count_filter_hits(hits).await?)
    }
}
