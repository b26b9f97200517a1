//! `POST interrogate/pop`: the shape of its answers, and of what it accepts.

use muster_store::{Role, WorkerChanges};
use serde_json::{Value, json};

use super::{POP, accepted, pop, popped, request};
use crate::support::{ANONYMOUS, TestServer, changed};

#[tokio::test]
async fn without_a_form_the_list_is_null() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let body = pop(&server, &owner, json!({})).await.ok(200);
    assert_eq!(body, json!({"forms": null, "skipped": {}}));
}

#[tokio::test]
async fn forms_come_with_what_is_needed_to_do_them() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let forms = json!([
        {"name": "caption", "payload": {"num_beams": 3, "top_p": 0.9, "rank": true, "none": null}},
        {"name": "RealESRGAN_x4plus"},
        {"name": "nsfw", "payload": {}},
    ]);
    accepted(
        &server,
        ANONYMOUS,
        &changed(request(&[]), json!({"forms": forms})),
    )
    .await;
    let mut body = pop(&server, &owner, json!({"amount": 3})).await.ok(200);
    let id = body["forms"][1]["id"].as_str().unwrap().to_owned();
    let upload = body["forms"][1]["r2_upload"].take();
    assert!(
        upload.as_str().unwrap().contains(&format!("{id}.webp?")),
        "{upload}"
    );
    for form in body["forms"].as_array_mut().unwrap() {
        uuid::Uuid::parse_str(form["id"].take().as_str().unwrap()).unwrap();
        assert!(
            form["source_image"]
                .take()
                .as_str()
                .unwrap()
                .starts_with("http://127.0.0.1:")
        );
    }
    assert_eq!(
        body,
        json!({
            "forms": [
                {"id": null, "form": "caption", "payload": {"num_beams": "3", "top_p": "0.9", "rank": "True"},
                 "source_image": null},
                {"id": null, "form": "RealESRGAN_x4plus", "source_image": null, "r2_upload": null},
                {"id": null, "form": "nsfw", "source_image": null},
            ],
            "skipped": {},
        })
    );
}

#[tokio::test]
async fn amounts_below_one_are_one() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    accepted(&server, ANONYMOUS, &request(&["caption"; 5])).await;
    for amount in [-3, 0, 1] {
        assert_eq!(popped(&server, &owner, json!({"amount": amount})).await.len(), 1);
    }
    assert_eq!(popped(&server, &owner, json!({"amount": 1000})).await.len(), 2);
}

#[tokio::test]
async fn forms_of_several_requests_are_taken_at_once() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    let rich = server.user("rich", 1000).await.api_key;
    let poor = server.user("poor", 0).await.api_key;
    let first = accepted(&server, &poor, &request(&["caption", "palette", "nsfw"])).await;
    let second = accepted(&server, &rich, &request(&["nsfw", "caption"])).await;
    let names: Vec<String> = popped(&server, &owner, json!({"amount": 9}))
        .await
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["nsfw", "caption", "caption", "nsfw"]);
    assert_eq!(super::states(&server, &second).await, ["processing"; 3]);
    assert_eq!(
        super::states(&server, &first).await,
        ["processing", "processing", "waiting", "processing"]
    );
}

#[tokio::test]
async fn bodies_of_another_shape_are_invalid() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    for (changes, offending) in [
        (json!({"forms": null}), "forms"),
        (json!({"forms": ["caption", "post_process"]}), "forms.1"),
        (json!({"amount": "1"}), "amount"),
        (json!({"amount": null}), "amount"),
        (json!({"threads": 0}), "threads"),
        (json!({"threads": 101}), "threads"),
        (json!({"max_tiles": 0}), "max_tiles"),
        (json!({"max_tiles": 257}), "max_tiles"),
        (json!({"bridge_agent": "x".repeat(1001)}), "bridge_agent"),
        (json!({"priority_usernames": null}), "priority_usernames"),
    ] {
        let answer = pop(&server, &owner, changes.clone()).await;
        assert_eq!(answer.invalid(), [offending], "{changes}");
    }
    assert_eq!(server.post(POP, &owner, &json!({})).await.invalid(), ["name"]);
}

#[tokio::test]
async fn accounts_and_names_that_may_not_work_are_refused() {
    let server = TestServer::start().await;
    let owner = server.user("owner", 0).await.api_key;
    let other = server.user("other", 0).await.api_key;
    let flagged = server.user_with("flagged", Role::Flagged).await.api_key;
    pop(&server, &owner, json!({})).await.ok(200);
    server
        .pop(&owner, &crate::support::worker("Painter"))
        .await
        .ok(200);
    for (key, changes, status, rc) in [
        ("nobody's", json!({}), 401, "InvalidAPIKey"),
        (&flagged, json!({}), 403, "WorkerFlaggedMaintenance"),
        (ANONYMOUS, json!({}), 403, "AnonForbiddenWorker"),
        (&owner, json!({"name": "Painter"}), 400, "PolymorphicNameConflict"),
        (&owner, json!({"name": ""}), 400, "BadRequest"),
        (&owner, json!({"name": "x".repeat(101)}), 400, "TooLongWorkerName"),
        (&other, json!({}), 403, "WrongCredentials"),
        (
            &owner,
            json!({"priority_usernames": ["owner"]}),
            400,
            "BadRequest",
        ),
    ] {
        pop(&server, key, changes).await.refused(status, rc);
    }
    pop(
        &server,
        &owner,
        json!({"priority_usernames": ["who#knows"], "bridge_version": 2}),
    )
    .await
    .ok(200);
}

#[tokio::test]
async fn a_worker_in_maintenance_serves_its_owner_only() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    pop(&server, &owner, json!({})).await.ok(200);
    let server = server
        .with_worker(WorkerChanges {
            maintenance: Some(true),
            maintenance_message: Some(Some("cleaning the cauldron".to_owned())),
            ..WorkerChanges::default()
        })
        .await;
    accepted(&server, ANONYMOUS, &request(&["caption"])).await;
    let message = pop(&server, &owner, json!({}))
        .await
        .refused(403, "WorkerMaintenance");
    assert!(message.contains("maintenance mode") && message.contains("cleaning the cauldron"));
    accepted(&server, &owner, &request(&["caption"])).await;
    assert_eq!(popped(&server, &owner, json!({"amount": 2})).await.len(), 1);
}

#[tokio::test]
async fn what_workers_in_the_field_send_is_understood() {
    let server = TestServer::start().await;
    let owner = server.trusted("owner", 0).await.api_key;
    accepted(&server, ANONYMOUS, &request(&["caption"])).await;
    let body = json!({
        "name": "Classic", "forms": ["caption", "nsfw", "interrogation"], "amount": 1, "priority_usernames": [],
        "threads": 1, "max_tiles": 16, "bridge_version": 2, "bridge_agent": "AI Horde Worker:24:https://x",
    });
    let popped = server.post(POP, &owner, &body).await.ok(200);
    assert_ne!(popped["forms"], Value::Null);
}
