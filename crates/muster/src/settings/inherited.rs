//! Variables of the environment that existing deployments set.

use figment::{
    providers::Serialized,
    value::{Dict, Map, Value},
};

/// Variables that existing deployments set, and the options they stand for.
pub(super) const INHERITED: [(&str, &str); 30] = [
    ("HORDE_TITLE", "title"),
    ("HORDE_CONTACT_EMAIL", "email"),
    ("HORDE_EMAIL", "email"),
    ("HORDE_LOGO", "logo"),
    ("HORDE_REPOSITORY", "repository"),
    ("ADMINS", "admins"),
    ("KUDOS_TRUST_THRESHOLD", "trust-threshold"),
    ("DISCORD_PAUSED_NOTICE_WEBHOOK", "paused-notice-webhook"),
    ("DISCORD_PROBLEM_USER_WEBHOOK", "problem-notice-webhook"),
    ("PATREON_CREATOR_ACCESS_TOKEN", "patreon-token"),
    ("STRIPE_API_KEY", "stripe-key"),
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
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", TRACES),
    ("OTEL_TRACES_SAMPLER_ARG", "traces-share"),
];

/// The option that says where traces are sent.
const TRACES: &str = "traces";
/// Where a collector usually is.
const USUAL_COLLECTOR: &str = "http://localhost:4318";

/// Those of them that are lists, in JSON.
const INHERITED_LISTS: [&str; 1] = ["admins"];

/// Those of them that are whole numbers.
const INHERITED_NUMBERS: [&str; 2] = ["trust-threshold", "ip-checker-no-opinion"];

/// Those of them that are shares, cut off at 0 and 1.
const INHERITED_SHARES: [&str; 1] = ["traces-share"];

/// Those of them that are switches.
const INHERITED_SWITCHES: [&str; 4] = [
    "matched-targeting",
    "upfront-kudos-on-workerlist",
    "test-apikeys",
    "test-ratelimit-disabled",
];

fn is_on(text: &str) -> bool {
    matches!(text.trim().to_lowercase().as_str(), "1" | "true" | "yes" | "on")
}

/// Where traces are sent as the standard's variables say that name the collector as a whole.
fn collector(environment: impl Fn(&str) -> Option<String>) -> Option<String> {
    let named = environment("OTEL_EXPORTER_OTLP_ENDPOINT").filter(|text| !text.is_empty());
    let wanted = || environment("AI_HORDE_TELEMETRY_ENABLED").is_some_and(|text| is_on(&text));
    let base = named.or_else(|| wanted().then(|| USUAL_COLLECTOR.to_owned()))?;
    Some(format!("{}/v1/traces", base.trim_end_matches('/')))
}

/// The layer of inherited variables.
pub(super) fn inherited(environment: impl Fn(&str) -> Option<String>) -> Serialized<Map<String, Value>> {
    let mut layer = Dict::new();
    for (variable, option) in INHERITED {
        let Some(text) = environment(variable).filter(|text| !text.is_empty()) else {
            continue;
        };
        let value = if INHERITED_SWITCHES.contains(&option) {
            Value::from(is_on(&text))
        } else if INHERITED_LISTS.contains(&option)
            && let Ok(list) = serde_json::from_str::<Vec<String>>(&text)
        {
            Value::from(list)
        } else if INHERITED_NUMBERS.contains(&option)
            && let Ok(number) = text.trim().parse::<i64>()
        {
            Value::from(number)
        } else if INHERITED_SHARES.contains(&option)
            && let Ok(share) = text.trim().parse::<f64>()
        {
            Value::from(share.clamp(0.0, 1.0))
        } else {
            Value::from(text)
        };
        layer.insert(option.to_owned(), value);
    }
    match collector(&environment) {
        Some(collector) if !layer.contains_key(TRACES) => {
            layer.insert(TRACES.to_owned(), Value::from(collector));
        }
        _ => {}
    }
    if environment("OTEL_SDK_DISABLED").is_some_and(|text| is_on(&text)) {
        layer.remove(TRACES);
    }
    Serialized::defaults(layer)
}
