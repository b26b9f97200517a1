//! [`EngineConfig`]: the horde's house rules.

use std::{net::IpAddr, time::Duration};

use muster_kudos::income::{BridgeMultipliers, BridgeVersion, KnownBridge};
use muster_protocol::{BUNDLED_WORKER, Kudos, UserId};

use crate::supporters::Supporter;

/// What an account can be to the horde.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is trusted.
    Trusted,
    /// It belongs to a school.
    Education,
    /// It is a service that calls for others.
    Service,
    /// It supports the horde.
    Supporter,
}

/// The horde's house rules. `Default` is what a new private horde wants.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // independent switches
pub struct EngineConfig {
    /// Salt of API-key hashes (`secret_key` of the reference server). Changing it makes every key
    /// unknown.
    pub key_salt: String,
    /// Name of the account that the first start makes.
    pub admin_name: String,
    /// The administrators by alias (`name#id`); `None`: the account that the first start made.
    pub administrators: Option<Vec<String>>,
    /// Who may award kudos.
    pub awarders: Vec<UserId>,
    /// An account becomes trusted by itself once more than this is held back of what its workers earn; `None`: never.
    pub trust_threshold: Option<Kudos>,
    /// Who supports the horde, and what they get for it, besides those whom services tell of.
    pub supporters: Vec<Supporter>,
    /// Where it is told that a worker was paused: an address that takes Discord's notices.
    pub paused_notice_webhook: Option<String>,
    /// How long a list of the workers that are online is used.
    pub worker_list_lifetime: Duration,
    /// Where it is told that somebody causes problems: an address that takes Discord's notices.
    pub problem_notice_webhook: Option<String>,
    /// No new requests, from the start on.
    pub maintenance: bool,
    /// No new workers, except of accounts that were invited to run more than they do, from the start on.
    pub invite_only: bool,
    /// The horde defends itself against an attack, from the start on.
    pub raid: bool,
    /// Addresses of services, which many people share: they are blocked for less long.
    pub service_addresses: Vec<IpAddr>,
    /// Whose addresses may call more often.
    pub raised_limits: Vec<Standing>,
    /// Keep prompts that filters refused, for moderators to look at.
    pub keep_refused_prompts: bool,
    /// Allow `POST /api/v2/dev/test-user`.
    pub test_accounts: bool,
    /// Requests that name workers only go to workers that prioritise the requester, at a token
    /// price (`HORDE_REQUIRE_MATCHED_TARGETING`).
    pub matched_targeting: bool,
    /// Requests that name workers must be paid upfront (`HORDE_UPFRONT_KUDOS_ON_WORKERLIST`).
    pub upfront_for_named_workers: bool,
    /// The share of a reward that each worker software earns.
    pub bridge_multipliers: BridgeMultipliers,
    /// Finished requests that stay in memory so that polling them costs no query.
    pub remembered_requests: usize,
    /// How often check-ins of workers are written down.
    pub check_in_flush: Duration,
    /// How often expired rows are pruned.
    pub prune_interval: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            key_salt: "s0m3s3cr3t".to_owned(),
            admin_name: "admin".to_owned(),
            administrators: None,
            awarders: vec![UserId::ADMIN],
            trust_threshold: None,
            supporters: Vec::new(),
            paused_notice_webhook: None,
            problem_notice_webhook: None,
            worker_list_lifetime: Duration::from_secs(1),
            maintenance: false,
            invite_only: false,
            raid: false,
            service_addresses: Vec::new(),
            raised_limits: vec![Standing::Trusted, Standing::Education, Standing::Service],
            keep_refused_prompts: true,
            test_accounts: false,
            matched_targeting: false,
            upfront_for_named_workers: false,
            bridge_multipliers: bridge_multipliers(),
            remembered_requests: 20_000,
            check_in_flush: Duration::from_secs(5),
            prune_interval: Duration::from_mins(1),
        }
    }
}

/// The published table, and Muster's own worker, which is paid in full.
fn bridge_multipliers() -> BridgeMultipliers {
    let mut multipliers = BridgeMultipliers::default();
    multipliers.known.push(KnownBridge {
        name: BUNDLED_WORKER.to_owned(),
        current_since: BridgeVersion::major(0),
    });
    multipliers
}
