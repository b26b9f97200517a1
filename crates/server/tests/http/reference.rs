//! The description against that of the reference server: operations, parameters, and of every schema that both have its
//! properties, types, words, and for bodies of requests their limits.

use std::collections::{BTreeMap, BTreeSet};

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::TestServer;

/// What the reference server publishes, without its texts; see the README beside it.
const REFERENCE: &str = include_str!("../data/reference-structure.json");
/// What bounds a value.
const LIMITS: [&str; 8] = [
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "multipleOf",
    "uniqueItems",
];

/// The properties of a definition, with those that it inherits.
fn properties<'a>(document: &'a Value, definition: &'a Value) -> BTreeMap<&'a str, &'a Value> {
    let mut all = BTreeMap::new();
    if let Some(target) = definition["$ref"].as_str() {
        let name = target.rsplit('/').next().unwrap();
        return properties(document, &document["definitions"][name]);
    }
    for part in definition["allOf"].as_array().into_iter().flatten() {
        all.extend(properties(document, part));
    }
    let own = definition["properties"].as_object().into_iter().flatten();
    all.extend(own.map(|(name, schema)| (name.as_str(), schema)));
    all
}

/// The definitions that bodies of requests are made of.
fn of_requests(reference: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let operations = reference["paths"].as_object().unwrap().values();
    let bodies = operations.flat_map(|methods| methods.as_object().unwrap().values());
    let mut waiting: Vec<String> = bodies
        .filter_map(|operation| operation["body"].as_str().map(str::to_owned))
        .collect();
    while let Some(target) = waiting.pop() {
        let name = target.rsplit('/').next().unwrap().to_owned();
        if found.insert(name.clone()) {
            references(&reference["definitions"][&name], &mut waiting);
        }
    }
    found
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        _ => {}
    }
}

fn words(schema: &Value) -> Option<BTreeSet<&str>> {
    let words = schema["enum"].as_array()?;
    Some(words.iter().filter_map(Value::as_str).collect())
}

/// How a property differs.
fn differences(theirs: &Value, ours: &Value, is_request: bool) -> Vec<String> {
    let mut found = Vec::new();
    if theirs["type"] != ours["type"] && theirs.get("$ref").is_none() {
        found.push(format!("is {} there, {} here", theirs["type"], ours["type"]));
    }
    if let (Some(there), Some(here)) = (words(theirs), words(ours)) {
        let missing: Vec<_> = there.difference(&here).collect();
        let more: Vec<_> = here.difference(&there).collect();
        if !missing.is_empty() || !more.is_empty() {
            found.push(format!("lacks {missing:?}, has {more:?} more"));
        }
    } else if words(theirs).is_some() {
        found.push("may be any word here".to_owned());
    }
    for limit in LIMITS.iter().filter(|_| is_request) {
        let number = |schema: &Value| {
            schema[limit]
                .as_f64()
                .map_or_else(|| schema[limit].to_string(), |n| n.to_string())
        };
        // That counts cannot be negative goes without saying.
        let trivial = *limit == "minimum" && theirs.get(limit).is_none() && number(ours) == "0";
        if number(theirs) != number(ours) && !trivial {
            found.push(format!(
                "{limit} is {} there, {} here",
                number(theirs),
                number(ours)
            ));
        }
    }
    found
}

#[tokio::test]
async fn every_operation_has_its_name_and_parameters() {
    let reference: Value = serde_json::from_str(REFERENCE).unwrap();
    let swagger = TestServer::start().await.get("/api/swagger.json").await.ok(200);
    let mut wrong = Vec::new();
    for (path, methods) in reference["paths"].as_object().unwrap() {
        for (method, theirs) in methods.as_object().unwrap() {
            let ours = &swagger["paths"][path][method];
            if ours["operationId"] != theirs["operationId"] {
                wrong.push(format!(
                    "{method} {path}: {} is {} here",
                    theirs["operationId"], ours["operationId"]
                ));
            }
            let here: BTreeSet<String> = ours["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|parameter| {
                    format!(
                        "{} {}",
                        parameter["in"].as_str().unwrap(),
                        parameter["name"].as_str().unwrap()
                    )
                })
                .collect();
            for parameter in theirs["parameters"].as_array().unwrap() {
                let parameter = parameter.as_str().unwrap();
                // Every operation takes these; they are described once, in the text.
                if !["header X-Fields", "header Client-Agent"].contains(&parameter)
                    && !here.contains(parameter)
                {
                    wrong.push(format!("{method} {path}: {parameter} is missing"));
                }
            }
        }
    }
    assert_snapshot!(wrong.join("\n"), @r#"
    get /v2/styles/text_by_name/{style_name}: "get_single_image_style_by_name" is "get_single_text_style_by_name" here
    get /v2/teams/{team_id}: header apikey is missing
    "#);
}

/// What differs is listed here, so that nothing else does, for these reasons:
///
/// - of requests: what is stored has the limits that the reference only has in its database; shared keys are read without a
///   schema, as there; styles take the key that pays for them, which the reference forgot to publish;
/// - of answers: members that the reference publishes and never sends are left out (`seed_variation` of a payload, reasons
///   for which no text worker is passed over), those that it sends and does not publish are described (the id of a message);
/// - `expiry` of a message is a number of hours in requests and a date in answers, here as there.
#[tokio::test]
async fn schemas_have_their_properties_types_words_and_limits() {
    let reference: Value = serde_json::from_str(REFERENCE).unwrap();
    let swagger = TestServer::start().await.get("/api/swagger.json").await.ok(200);
    let requests = of_requests(&reference);
    let mut wrong = Vec::new();
    for (name, theirs) in reference["definitions"].as_object().unwrap() {
        let ours = &swagger["definitions"][name];
        if ours.is_null() {
            continue;
        }
        let (there, here) = (properties(&reference, theirs), properties(&swagger, ours));
        for (property, theirs) in &there {
            match here.get(property) {
                None => wrong.push(format!("{name}.{property} is missing")),
                Some(ours) => {
                    let found = differences(theirs, ours, requests.contains(name));
                    wrong.extend(
                        found
                            .iter()
                            .map(|difference| format!("{name}.{property} {difference}")),
                    );
                }
            }
        }
        let more = here.keys().filter(|property| !there.contains_key(*property));
        wrong.extend(more.map(|property| format!("{name}.{property} is additional")));
    }
    assert_snapshot!(wrong.join("\n"), @r#"
    GenerationInputKobold.proxied_account maxLength is null there, 255 here
    GenerationInputKobold.webhook minLength is null there, 10 here
    GenerationInputKobold.webhook maxLength is null there, 1024 here
    GenerationInputStable.proxied_account maxLength is null there, 255 here
    GenerationKobold.state lacks [], has ["faulted"] more
    GenerationPayloadKobold.traceparent is additional
    GenerationPayloadStable.traceparent is additional
    GenerationStable.state lacks [], has ["faulted"] more
    InterrogationFormResult.* is missing
    ModelInterrogationFormPayloadStable.* is missing
    ModelPayloadStable.seed_variation is missing
    ModelStyleInputKobold.sharedkey is additional
    ModelStylePatchKobold.sharedkey is additional
    NoValidRequestFoundKobold.blacklist is missing
    NoValidRequestFoundKobold.kudos is missing
    NoValidRequestFoundKobold.matching_softprompt is missing
    NoValidRequestFoundKobold.nsfw is missing
    RequestError.rc lacks [], has ["AnonForbiddenUser", "BannedClientAgent", "CollectionNotFound", "ControlNetInpaintingMismatch", "ControlNetMismatch.", "IdempotencyKeyConflict", "Image styleNotFound", "InvalidExtraSourceImages.", "InvalidExtraTexts.", "InvalidKudosTransferAmount", "InvalidRemix", "InvalidTargetUsername", "MissingExtraTexts.", "MoreThanMinExtraSourceImage.", "Style exampleNotFound", "StyleNotFound", "Text styleNotFound", "TooManyExtraSourceImages.", "TooManyWorkers", "TooManyWorkersTrusted", "WorkermessageNotFound"] more
    RequestInterrogationResponse.message is missing
    RequestValidationError.rc is missing
    ResponseModelCollection.type may be any word here
    ResponseModelMessage.expiry is "integer" there, "string" here
    ResponseModelMessage.expiry minimum is 1 there, null here
    ResponseModelMessage.expiry maximum is 720 there, null here
    ResponseModelMessage.message minLength is 1 there, null here
    ResponseModelMessage.message maxLength is 10240 there, null here
    ResponseModelMessage.origin minLength is 1 there, null here
    ResponseModelMessage.origin maxLength is 255 there, null here
    ResponseModelMessage.worker_id minLength is 36 there, null here
    ResponseModelMessage.worker_id maxLength is 36 there, null here
    ResponseModelMessage.created is additional
    ResponseModelMessage.id is additional
    ResponseModelMessage.user_id is additional
    ResponseModelStylesUser.type may be any word here
    SharedKeyInput.kudos maximum is 50000000 there, null here
    SharedKeyInput.max_image_pixels maximum is 4194304 there, null here
    SharedKeyInput.max_image_steps maximum is 500 there, null here
    SharedKeyInput.max_text_tokens maximum is 500 there, null here
    SharedKeyInput.name minLength is 3 there, null here
    StyleStable.sharedkey is missing
    SubmitInputKobold.seed is additional
    WorkerDetails.tokens_generated is missing
    WorkerDetails.type may be any word here
    WorkerDetailsLite.type may be any word here
    "#);
}
