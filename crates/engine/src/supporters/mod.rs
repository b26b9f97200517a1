//! Who supports the horde with money: those that the operator lists, and those that Patreon and Stripe tell of.
//!
//! What a service last told is kept in the database: a restart while it is away takes nothing from anybody. Whoever
//! stops to support the horde is gone from the list with the next look (spec: operations, 6.12).

mod patreon;
mod stripe;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use muster_protocol::{Kudos, UserId};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::Url;

use crate::{
    Engine, EngineError,
    error::Result,
    names::user_number,
    outbound::{Outbound, OutboundError, is_web},
};

/// How long a service may take to answer a call.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The longest answer that is read, in bytes.
const LONGEST: usize = 8 * 1024 * 1024;
/// Pages of a list that are read at most: a service that never comes to an end is broken.
const MOST_PAGES: usize = 1000;

/// Somebody who supports the horde.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Supporter {
    /// Their account.
    pub user: UserId,
    /// What they get every month for it.
    pub monthly_kudos: Kudos,
    /// How they are called on the list of sponsors; `None` keeps them off it.
    pub name: Option<String>,
    /// Where their name leads: sponsors have one.
    pub link: Option<String>,
}

/// A service through which people support the horde.
#[derive(Clone)]
pub struct SupporterService {
    /// Which one.
    pub kind: SupporterServiceKind,
    /// Its address, without a path.
    pub url: String,
    /// The operator's key there.
    pub key: String,
    /// How it is called. The operator chooses it, so it may be anywhere.
    pub outbound: Outbound,
}

/// Which service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum SupporterServiceKind {
    /// <https://docs.patreon.com>, version 2 of its API.
    Patreon,
    /// <https://docs.stripe.com/api/subscriptions>
    Stripe,
}

impl fmt::Debug for SupporterService {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SupporterService")
            .field("kind", &self.kind)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// Why a service did not tell who supports the horde.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error(transparent)]
    Call(#[from] OutboundError),
    #[error("its answer cannot be read: {0}")]
    Answer(#[from] serde_json::Error),
    #[error("its list has no end")]
    Endless,
}

impl SupporterService {
    /// What the database calls what it told.
    fn setting(&self) -> String {
        format!("supporters-{}", <&str>::from(self.kind))
    }

    /// Asks who supports the horde now.
    async fn supporters(&self) -> std::result::Result<Vec<Supporter>, ServiceError> {
        match self.kind {
            SupporterServiceKind::Patreon => self.patrons().await,
            SupporterServiceKind::Stripe => self.subscribers().await,
        }
    }

    /// Asks for something.
    async fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> std::result::Result<T, ServiceError> {
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let url = Url::parse_with_params(&url, query).map_err(|_| OutboundError::BadAddress)?;
        let answer: Bytes = self
            .outbound
            .get_as(url.as_str(), &self.key, LONGEST, TIMEOUT)
            .await?;
        Ok(serde_json::from_slice(&answer)?)
    }
}

/// Everybody who supports the horde.
pub(crate) struct Supporters {
    /// Those whom the operator lists.
    listed: Vec<Supporter>,
    services: Vec<SupporterService>,
    told: RwLock<Told>,
}

/// What the services told last.
#[derive(Default)]
struct Told {
    by_service: BTreeMap<SupporterServiceKind, Vec<Supporter>>,
    /// All of them and those who are listed.
    all: Arc<[Supporter]>,
}

impl Supporters {
    pub(crate) fn new(listed: &[Supporter], services: Vec<SupporterService>) -> Self {
        let told = Told {
            all: listed.into(),
            ..Told::default()
        };
        Self {
            listed: listed.to_vec(),
            services,
            told: RwLock::new(told),
        }
    }

    fn all(&self) -> Arc<[Supporter]> {
        self.told.read().all.clone()
    }

    fn learn(&self, service: SupporterServiceKind, supporters: Vec<Supporter>) {
        let mut told = self.told.write();
        told.by_service.insert(service, supporters);
        let from_services = told.by_service.values().flatten();
        told.all = self.listed.iter().chain(from_services).cloned().collect();
    }
}

impl Engine {
    /// Everybody who supports the horde. Who does so in several ways is in it several times.
    pub fn supporters(&self) -> Arc<[Supporter]> {
        self.supporters.all()
    }

    /// Takes up what the services told before the server was started.
    pub(crate) async fn read_supporters(&self) -> Result<()> {
        for service in &self.supporters.services {
            let Some(stored) = self.store.setting(&service.setting()).await? else {
                continue;
            };
            match serde_json::from_value(stored) {
                Ok(supporters) => self.supporters.learn(service.kind, supporters),
                Err(error) => tracing::warn!(%error, ?service, "what it told before cannot be read"),
            }
        }
        Ok(())
    }

    /// Asks every service who supports the horde now. Of a service that does not answer, what it told before holds.
    ///
    /// # Errors
    /// A service does not answer (the others were asked nevertheless), or the database failed.
    pub async fn refresh_supporters(&self) -> Result<()> {
        let mut outcome = Ok(());
        for service in &self.supporters.services {
            let supporters = match service.supporters().await {
                Ok(supporters) => supporters,
                Err(error) => {
                    tracing::warn!(%error, ?service, "it does not tell who supports the horde");
                    outcome = Err(EngineError::Service(service.kind.into()));
                    continue;
                }
            };
            tracing::debug!(count = supporters.len(), ?service, "supporters");
            let stored = serde_json::to_value(&supporters).unwrap_or_default();
            self.supporters.learn(service.kind, supporters);
            self.store.set_setting(&service.setting(), stored).await?;
        }
        outcome
    }
}

/// The account that somebody says is theirs: `name#12` or `12`. Nobody is the anonymous one.
fn account(text: &str) -> Option<UserId> {
    let account = UserId(user_number(text)?);
    (!account.is_anonymous()).then_some(account)
}

/// A link that may be shown: an address on the web, nothing that a browser would run.
fn link(text: Option<String>) -> Option<String> {
    text.filter(|text| Url::parse(text).is_ok_and(|url| is_web(&url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_named_with_or_without_their_name() {
        for (text, id) in [("Ann#12", Some(12)), ("a#b#7", Some(7)), (" 9 ", Some(9))] {
            assert_eq!(account(text), id.map(UserId), "{text}");
        }
        for text in ["", "Ann", "Ann#", "0", "-3", "1.5", "#x"] {
            assert_eq!(account(text), None, "{text}");
        }
    }

    #[test]
    fn links_lead_to_the_web() {
        for (text, shown) in [
            ("https://example.org/a", true),
            ("javascript:alert(1)", false),
            ("example.org", false),
        ] {
            assert_eq!(link(Some(text.to_owned())).is_some(), shown, "{text}");
        }
    }
}
