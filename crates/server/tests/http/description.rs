//! `GET /api/openapi.json` and `GET /api/swagger.json`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::TestServer;

async fn document() -> Value {
    let server = TestServer::start().await;
    server.get("/api/openapi.json").await.ok(200)
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn it_names_the_horde_and_its_root() {
    let document = document().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    assert_eq!(document["info"]["title"], "Test horde");
    assert_eq!(document["info"]["version"], "2.5");
    assert_eq!(document["servers"][0]["url"], "/api");
}

#[tokio::test]
async fn swagger_has_the_same() {
    let server = TestServer::start().await;
    let swagger = server.get("/api/swagger.json").await.ok(200);
    assert_eq!(
        (&swagger["swagger"], &swagger["basePath"]),
        (&"2.0".into(), &"/api".into())
    );
    assert_eq!(swagger["info"]["title"], "Test horde");
    let openapi = document().await;
    assert_eq!(keys(&swagger["paths"]), keys(&openapi["paths"]));
    assert_eq!(
        keys(&swagger["definitions"]),
        keys(&openapi["components"]["schemas"])
    );
}

#[tokio::test]
async fn every_operation_is_there() {
    let document = document().await;
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        operations.extend(keys(methods).iter().map(|method| format!("{method} {path}")));
    }
    let expected = [
        "delete /v2/collections/{collection_id}",
        "delete /v2/filters/{filter_id}",
        "delete /v2/generate/status/{id}",
        "delete /v2/generate/text/status/{id}",
        "delete /v2/interrogate/status/{id}",
        "delete /v2/operations/block_worker_ipaddr/{worker_id}",
        "delete /v2/operations/ipaddr",
        "delete /v2/sharedkeys/{sharedkey_id}",
        "delete /v2/styles/image/{style_id}",
        "delete /v2/styles/image/{style_id}/example/{example_id}",
        "delete /v2/styles/text/{style_id}",
        "delete /v2/teams/{team_id}",
        "delete /v2/users/{user_id}",
        "delete /v2/workers/messages/{message_id}",
        "delete /v2/workers/{worker_id}",
        "get /v2/collection_by_name/{collection_name}",
        "get /v2/collections",
        "get /v2/collections/{collection_id}",
        "get /v2/documents/privacy",
        "get /v2/documents/sponsors",
        "get /v2/documents/terms",
        "get /v2/filters",
        "get /v2/filters/regex",
        "get /v2/filters/{filter_id}",
        "get /v2/find_user",
        "get /v2/generate/check/{id}",
        "get /v2/generate/status/{id}",
        "get /v2/generate/text/status/{id}",
        "get /v2/interrogate/status/{id}",
        "get /v2/kudos/history",
        "get /v2/operations/ipaddr",
        "get /v2/operations/ipaddr/{ipaddr}",
        "get /v2/sharedkeys/{sharedkey_id}",
        "get /v2/stats/img/models",
        "get /v2/stats/img/totals",
        "get /v2/stats/text/models",
        "get /v2/stats/text/totals",
        "get /v2/status/heartbeat",
        "get /v2/status/models",
        "get /v2/status/models/{model_name}",
        "get /v2/status/modes",
        "get /v2/status/news",
        "get /v2/status/performance",
        "get /v2/styles/image",
        "get /v2/styles/image/{style_id}",
        "get /v2/styles/image_by_name/{style_name}",
        "get /v2/styles/text",
        "get /v2/styles/text/{style_id}",
        "get /v2/styles/text_by_name/{style_name}",
        "get /v2/teams",
        "get /v2/teams/{team_id}",
        "get /v2/users",
        "get /v2/users/{user_id}",
        "get /v2/workers",
        "get /v2/workers/messages",
        "get /v2/workers/messages/{message_id}",
        "get /v2/workers/name/{worker_name}",
        "get /v2/workers/{worker_id}",
        "patch /v2/collections/{collection_id}",
        "patch /v2/filters/{filter_id}",
        "patch /v2/sharedkeys/{sharedkey_id}",
        "patch /v2/styles/image/{style_id}",
        "patch /v2/styles/image/{style_id}/example/{example_id}",
        "patch /v2/styles/text/{style_id}",
        "patch /v2/teams/{team_id}",
        "post /v2/collections",
        "post /v2/dev/test-user",
        "post /v2/filters",
        "post /v2/generate/async",
        "post /v2/generate/pop",
        "post /v2/generate/rate/{id}",
        "post /v2/generate/submit",
        "post /v2/generate/text/async",
        "post /v2/generate/text/pop",
        "post /v2/generate/text/submit",
        "post /v2/interrogate/async",
        "post /v2/interrogate/pop",
        "post /v2/interrogate/submit",
        "post /v2/kudos/award",
        "post /v2/kudos/transfer",
        "post /v2/operations/ipaddr",
        "post /v2/styles/image",
        "post /v2/styles/image/{style_id}/example",
        "post /v2/styles/text",
        "post /v2/teams",
        "post /v2/workers/messages",
        "put /v2/filters",
        "put /v2/operations/block_worker_ipaddr/{worker_id}",
        "put /v2/sharedkeys",
        "put /v2/status/modes",
        "put /v2/users/{user_id}",
        "put /v2/workers/{worker_id}",
    ];
    assert_eq!(operations, expected.map(str::to_owned).into());
}

#[tokio::test]
async fn schemas_have_their_published_names() {
    let document = document().await;
    let schemas = keys(&document["components"]["schemas"]);
    for name in [
        "GenerationInputStable",
        "ModelGenerationInputStable",
        "RequestAsync",
        "RequestStatusCheck",
        "RequestStatusStable",
        "GenerationStable",
        "GenerationMetadataStable",
        "PopInputStable",
        "GenerationPayloadStable",
        "ModelPayloadStable",
        "NoValidRequestFoundStable",
        "SubmitInputStable",
        "GenerationSubmitted",
        "GenerationInputKobold",
        "ModelGenerationInputKobold",
        "RequestAsyncKobold",
        "RequestStatusKobold",
        "GenerationKobold",
        "PopInputKobold",
        "GenerationPayloadKobold",
        "ModelPayloadKobold",
        "NoValidRequestFoundKobold",
        "SubmitInputKobold",
        "ModelInterrogationInputStable",
        "ModelInterrogationFormStable",
        "RequestInterrogationResponse",
        "InterrogationStatus",
        "InterrogationFormStatus",
        "InterrogationPopInput",
        "InterrogationPopPayload",
        "InterrogationPopFormPayload",
        "UserDetails",
        "UserKudosDetails",
        "ModifyUserInput",
        "ModifyUser",
        "MonthlyKudos",
        "UserRecords",
        "UserThingRecords",
        "UserAmountRecords",
        "UserActiveGenerations",
        "UsageDetails",
        "ContributionsDetails",
        "ResponseModelStylesUser",
        "WorkerDetails",
        "WorkerDetailsLite",
        "WorkerKudosDetails",
        "TeamDetailsLite",
        "ModifyWorkerInput",
        "ModifyWorker",
        "DeletedWorker",
        "ResponseModelMessage",
        "ResponseModelMessagePop",
        "TeamDetails",
        "CreateTeamInput",
        "ModifyTeamInput",
        "ModifyTeam",
        "DeletedTeam",
        "ActiveModelLite",
        "SharedKeyInput",
        "SharedKeyDetails",
        "ModelStyleInputStable",
        "ModelStyleInputParamsStable",
        "ModelStylePatchStable",
        "ModelStyleInputKobold",
        "ModelStyleInputParamsKobold",
        "ModelStylePatchKobold",
        "StyleStable",
        "StyleExample",
        "StyleModify",
        "InputStyleExamplePost",
        "InputModelCollection",
        "ResponseModelCollection",
        "ResponseModelStylesShort",
        "Newspiece",
        "HordeDocument",
        "SimpleResponse",
        "RequestError",
        "RequestValidationError",
    ] {
        assert!(schemas.contains(name), "{name} is missing in {schemas:?}");
    }
}

#[tokio::test]
async fn bodies_are_described_as_they_are_enforced() {
    let document = document().await;
    let at = |pointer: &str| {
        document
            .pointer(pointer)
            .unwrap_or_else(|| panic!("{pointer} is missing"))
    };
    let schema = "#/components/schemas/GenerationInputStable";
    let body = at("/paths/~1v2~1generate~1async/post/requestBody/content/application~1json/schema/$ref");
    assert_eq!(body, schema);
    assert_eq!(
        at("/components/schemas/GenerationInputStable/required"),
        &serde_json::json!(["prompt"])
    );
    assert_eq!(
        at("/components/schemas/GenerationInputStable/properties/prompt/minLength"),
        1
    );
    let params = "/components/schemas/ModelGenerationInputStable/properties";
    for (member, minimum, maximum) in [
        ("steps", 1, 500),
        ("n", 1, 20),
        ("width", 64, 3072),
        ("height", 64, 3072),
    ] {
        assert_eq!(at(&format!("{params}/{member}/minimum")), minimum, "{member}");
        assert_eq!(at(&format!("{params}/{member}/maximum")), maximum, "{member}");
    }
}
