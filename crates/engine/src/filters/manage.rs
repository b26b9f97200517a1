//! How moderators look after the filters (spec: alchemy and safety, B6).

use muster_protocol::{
    FilterDetails, FilterPromptSuspicion, FilterRegex, PatchExistingFilter, PutNewFilter,
    RequestValidationError, ReturnCode, SimpleResponse, Timestamp, UserId,
};
use muster_store::{JournalError, PromptFilter};

use serde_json::Value;

use super::rules::{TYPES, compile};
use crate::{
    Call, Engine, EngineError,
    error::Result,
    requests::{has_nul, nul_refusal},
};

/// The longest expression, description and replacement, in characters.
const LIMITS: (usize, usize, usize) = (10_000, 10_000, 255);

/// Which filters are listed.
#[derive(Clone, Debug, Default)]
pub struct FilterQuery {
    /// Only those of this type; 0 is all.
    pub filter_type: i64,
    /// Only those whose expression or description contains this.
    pub contains: Option<String>,
}

impl Engine {
    /// The filters, oldest first.
    ///
    /// # Errors
    /// No or an unknown key, `NotModerator`.
    pub async fn filters(&self, call: &Call, query: &FilterQuery) -> Result<Vec<FilterDetails>> {
        self.moderator(call).await?;
        self.listed_filters(query).await
    }

    /// The same, for the operator.
    pub(crate) async fn listed_filters(&self, query: &FilterQuery) -> Result<Vec<FilterDetails>> {
        let contains = query.contains.as_deref().unwrap_or_default();
        let mut listed = Vec::new();
        for filter in self.store.prompt_filters().await? {
            let of_type = query.filter_type == 0 || query.filter_type == i64::from(filter.filter_type);
            let description = filter.description.as_deref().unwrap_or_default();
            if of_type && (filter.regex.contains(contains) || description.contains(contains)) {
                listed.push(self.filter_details(filter).await?);
            }
        }
        Ok(listed)
    }

    /// All filters with how often they have found something, for the operator.
    pub(crate) async fn counted_filters(&self) -> Result<Value> {
        self.flush_filter_hits().await?;
        let hits = self.store.filter_hits().await?;
        let mut counted = Vec::new();
        for filter in self.store.prompt_filters().await? {
            let hits = hits.get(&filter.id).copied().unwrap_or_default();
            let details = self.filter_details(filter).await?;
            let mut shown = serde_json::to_value(details).expect("details are plain data");
            shown["hits"] = hits.count.into();
            shown["last_hit"] = hits.last.map(Timestamp::to_rfc3339).into();
            counted.push(shown);
        }
        Ok(counted.into())
    }

    /// Makes a filter, or answers the one that is the same.
    ///
    /// # Errors
    /// No or an unknown key, `NotModerator`, `BadRequest` for an expression that cannot be used.
    pub async fn create_filter(&self, call: &Call, input: PutNewFilter) -> Result<FilterDetails> {
        let editor = self.moderator(call).await?;
        self.make_filter(editor.id(), input).await
    }

    /// The same, for the operator.
    pub(crate) async fn make_filter(&self, editor: UserId, input: PutNewFilter) -> Result<FilterDetails> {
        let filter = PromptFilter {
            id: 0,
            regex: input.regex,
            filter_type: input.filter_type as i16,
            description: input.description,
            replacement: input.replacement,
            editor,
        };
        check(&filter)?;
        let filter = self.store.journal().create_prompt_filter(filter).await?;
        self.refresh_filters().await?;
        self.filter_details(filter).await
    }

    /// How much filters find in a prompt; `only`: those of one type, 0 for all.
    ///
    /// # Errors
    /// No or an unknown key, `NotModerator`.
    pub async fn check_prompt(&self, call: &Call, prompt: &str, only: i64) -> Result<FilterPromptSuspicion> {
        self.moderator(call).await?;
        Ok(self.try_prompt(prompt, only))
    }

    /// The same, for the operator.
    pub(crate) fn try_prompt(&self, prompt: &str, only: i64) -> FilterPromptSuspicion {
        let only = (only != 0).then(|| i16::try_from(only).unwrap_or(i16::MAX));
        let found = self.filters.rules().score(prompt, only, None);
        FilterPromptSuspicion {
            suspicion: found.score.to_string(),
            matches: found.matches,
        }
    }

    /// All filters of each type, or of one (0 for all), as one expression.
    ///
    /// # Errors
    /// No or an unknown key, `NotModerator`.
    pub async fn filter_expressions(&self, call: &Call, only: i64) -> Result<Vec<FilterRegex>> {
        self.moderator(call).await?;
        let rules = self.filters.rules();
        let kinds = TYPES
            .into_iter()
            .filter(|kind| only == 0 || only == i64::from(*kind));
        Ok(kinds
            .map(|kind| FilterRegex {
                filter_type: kind.into(),
                regex: rules.source(kind).map(str::to_owned),
            })
            .collect())
    }

    /// A filter.
    ///
    /// # Errors
    /// No or an unknown key, `NotModerator`, `FilterNotFound`.
    pub async fn filter(&self, call: &Call, id: &str) -> Result<FilterDetails> {
        let id = number(id)?;
        self.moderator(call).await?;
        let filter = self.stored_filter(id).await?;
        self.filter_details(filter).await
    }

    /// Changes a filter.
    ///
    /// # Errors
    /// No or an unknown key, `NotModerator`, `FilterNotFound`, `NoFilterModSelected`, `BadRequest`.
    pub async fn modify_filter(
        &self,
        call: &Call,
        id: &str,
        input: PatchExistingFilter,
    ) -> Result<FilterDetails> {
        let editor = self.moderator(call).await?;
        let filter = self.stored_filter(number(id)?).await?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (regex, description) = (given(input.regex), given(input.description));
        let replacement = given(input.replacement);
        let filter_type = input.filter_type.filter(|kind| *kind != 0);
        if regex.is_none() && description.is_none() && replacement.is_none() && filter_type.is_none() {
            let message = "Nothing was selected to be changed.";
            return Err(EngineError::refused(ReturnCode::NoFilterModSelected, message));
        }
        let changed = PromptFilter {
            id: filter.id,
            regex: regex.unwrap_or(filter.regex),
            filter_type: filter_type.map_or(filter.filter_type, |kind| kind as i16),
            description: description.or(filter.description),
            replacement: replacement.unwrap_or(filter.replacement),
            editor: editor.id(),
        };
        check(&changed)?;
        match self.store.journal().change_prompt_filter(changed.clone()).await {
            Ok(true) => {}
            Ok(false) => return Err(unknown()),
            Err(JournalError::NameTaken(_)) => {
                let message = "Another filter of this type has the same expression.";
                return Err(EngineError::refused(ReturnCode::BadRequest, message));
            }
            Err(error) => return Err(error.into()),
        }
        self.refresh_filters().await?;
        self.filter_details(changed).await
    }

    /// Deletes a filter.
    ///
    /// # Errors
    /// No or an unknown key, `NotModerator`, `FilterNotFound`.
    pub async fn delete_filter(&self, call: &Call, id: &str) -> Result<SimpleResponse> {
        self.moderator(call).await?;
        self.remove_filter(id).await
    }

    /// The same, for the operator.
    pub(crate) async fn remove_filter(&self, id: &str) -> Result<SimpleResponse> {
        if !self.store.journal().delete_prompt_filter(number(id)?).await? {
            return Err(unknown());
        }
        self.refresh_filters().await?;
        Ok(SimpleResponse::ok())
    }

    async fn stored_filter(&self, id: i64) -> Result<PromptFilter> {
        let filters = self.store.prompt_filters().await?;
        filters
            .into_iter()
            .find(|filter| filter.id == id)
            .ok_or_else(unknown)
    }

    async fn filter_details(&self, filter: PromptFilter) -> Result<FilterDetails> {
        let editor = self.accounts.get(&self.store, filter.editor).await?;
        Ok(FilterDetails {
            id: filter.id.to_string(),
            regex: filter.regex,
            filter_type: filter.filter_type.into(),
            description: filter.description,
            replacement: filter.replacement,
            user: editor.map_or_else(|| format!("#{}", filter.editor), |editor| editor.alias()),
        })
    }
}

fn unknown() -> EngineError {
    EngineError::refused(ReturnCode::FilterNotFound, "There is no filter with this number.")
}

fn number(id: &str) -> Result<i64> {
    let digits = !id.is_empty() && id.bytes().all(|digit| digit.is_ascii_digit());
    id.parse().ok().filter(|_| digits).ok_or_else(unknown)
}

/// Whether a filter can be used.
fn check(filter: &PromptFilter) -> Result<()> {
    let (regex, description, replacement) = LIMITS;
    let texts = [
        ("regex", filter.regex.as_str(), regex),
        (
            "description",
            filter.description.as_deref().unwrap_or_default(),
            description,
        ),
        ("replacement", &filter.replacement, replacement),
    ];
    for (name, text, limit) in texts {
        if has_nul(text) {
            return Err(nul_refusal());
        }
        if text.chars().count() > limit {
            let text = format!("At most {limit} characters are allowed.");
            return Err(EngineError::Invalid(RequestValidationError::single(name, text)));
        }
    }
    compile(&filter.regex).map(|_| ()).map_err(|why| {
        let message = format!("This expression cannot be used: {why}");
        EngineError::refused(ReturnCode::BadRequest, message)
    })
}
