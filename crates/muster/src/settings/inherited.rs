//! Variables of the environment that existing deployments set.

use figment::{
    providers::Serialized,
    value::{Dict, Map, Value},
};

/// Variables that existing deployments set, and the options they stand for.
pub(super) const INHERITED: [(&str, &str); 23] = [
    ("HORDE_TITLE", "title"),
    ("HORDE_EMAIL", "email"),
    ("ADMINS", "admins"),
    ("KUDOS_TRUST_THRESHOLD", "trust-threshold"),
    ("DISCORD_PAUSED_NOTICE_WEBHOOK", "paused-notice-webhook"),
    ("DISCORD_PROBLEM_USER_WEBHOOK", "problem-notice-webhook"),
    ("IP_CHECKER", "ip-checker"),
    ("IP_CHECKER_LC", "ip-checker-no-opinion"),
    ("secret_key", "secret-key"),
    ("HORDE_REQUIRE_MATCHED_TARGETING", "matched-targeting"),
    ("HORDE_UPFRONT_KUDOS_ON_WORKERLIST", "upfront-kudos-on-workerlist"),
    ("HORDE_IMAGE_COMPVIS_REFERENCE", "models"),
    ("HORDE_IMAGE_DIFFUSERS_REFERENCE", "more-models"),
    ("HORDE_IMAGE_LLM_REFERENCE", "text-models"),
    ("HORDE_TEST_APIKEYS", "test-apikeys"),
    ("HORDE_TEST_RATELIMIT_DISABLED", "test-ratelimit-disabled"),
    ("R2_TRANSIENT_ACCOUNT", "s3-endpoint"),
    ("AWS_DEFAULT_REGION", "s3-region"),
    ("AWS_ACCESS_KEY_ID", "s3-access-key-id"),
    ("AWS_SECRET_ACCESS_KEY", "s3-secret-access-key"),
    ("R2_TRANSIENT_BUCKET", "s3-transient-bucket"),
    ("R2_PERMANENT_BUCKET", "s3-permanent-bucket"),
    ("R2_SOURCE_IMAGE_BUCKET", "s3-source-bucket"),
];

/// Those of them that are lists, in JSON.
const INHERITED_LISTS: [&str; 1] = ["admins"];

/// Those of them that are numbers.
const INHERITED_NUMBERS: [&str; 2] = ["trust-threshold", "ip-checker-no-opinion"];

/// Those of them that are switches.
const INHERITED_SWITCHES: [&str; 4] = [
    "matched-targeting",
    "upfront-kudos-on-workerlist",
    "test-apikeys",
    "test-ratelimit-disabled",
];

/// The layer of inherited variables.
pub(super) fn inherited(environment: impl Fn(&str) -> Option<String>) -> Serialized<Map<String, Value>> {
    let mut layer = Dict::new();
    for (variable, option) in INHERITED {
        let Some(text) = environment(variable).filter(|text| !text.is_empty()) else {
            continue;
        };
        let value = if INHERITED_SWITCHES.contains(&option) {
            Value::from(matches!(
                text.trim().to_lowercase().as_str(),
                "1" | "true" | "yes" | "on"
            ))
        } else if INHERITED_LISTS.contains(&option)
            && let Ok(list) = serde_json::from_str::<Vec<String>>(&text)
        {
            Value::from(list)
        } else if INHERITED_NUMBERS.contains(&option)
            && let Ok(number) = text.trim().parse::<i64>()
        {
            Value::from(number)
        } else {
            Value::from(text)
        };
        layer.insert(option.to_owned(), value);
    }
    Serialized::defaults(layer)
}
