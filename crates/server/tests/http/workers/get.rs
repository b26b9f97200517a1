//! `GET /workers/{id}` and `GET /workers/name/{name}`.

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::support::{BRIDGE_AGENT, TestServer, changed, plain_request, worker};

fn text_worker() -> Value {
    json!({"name": "Scribe", "models": ["koboldcpp/Fimbulvetr-11B"], "bridge_agent": BRIDGE_AGENT, "max_length": 300,
        "max_context_length": 4096, "nsfw": true})
}

fn alchemist() -> Value {
    json!({"name": "Alchemist", "forms": ["caption", "nsfw"], "bridge_agent": BRIDGE_AGENT})
}

#[tokio::test]
async fn an_image_worker_with_a_past() {
    let server = TestServer::start().await;
    let ann = server.trusted("ann", 1000).await;
    let id = server.worker(&ann.api_key, "Rig").await;
    server.request(&ann.api_key, &plain_request()).await;
    let popped = server.popped(&ann.api_key, "Rig").await;
    server.advance(10).await;
    server
        .deliver(&ann.api_key, popped["id"].as_str().unwrap())
        .await
        .ok(200);
    server.pop(&ann.api_key, &worker("Rig")).await.ok(200);
    let seen = server.get(&format!("/api/v2/workers/{id}")).await.ok(200);
    assert_json_snapshot!(seen, @r#"
    {
      "bridge_agent": "AI Horde Worker reGen:13.0.0:https://example.org",
      "controlnet": true,
      "flagged": false,
      "id": "8188f93d-a1cf-4420-a0dd-a47f5804a2db",
      "img2img": true,
      "kudos_details": {
        "generated": 5.0,
        "uptime": null
      },
      "kudos_rewards": 5.0,
      "lora": true,
      "maintenance_mode": false,
      "max_pixels": 4194304,
      "megapixelsteps_generated": 5.0,
      "models": [
        "stable_diffusion"
      ],
      "name": "Rig",
      "nsfw": true,
      "online": true,
      "painting": true,
      "performance": "0.5 megapixelsteps per second",
      "post-processing": true,
      "requests_fulfilled": 1,
      "sdxl_controlnet": true,
      "team": {
        "id": null,
        "name": null
      },
      "threads": 1,
      "trusted": true,
      "type": "image",
      "uncompleted_jobs": 0,
      "uptime": 10
    }
    "#);
    // The totals survive a restart.
    let server = server.restart(crate::support::Setup::default()).await;
    let again = server.get(&format!("/api/v2/workers/{id}")).await.ok(200);
    for total in [
        "requests_fulfilled",
        "kudos_rewards",
        "kudos_details",
        "megapixelsteps_generated",
    ] {
        assert_eq!(again[total], seen[total], "{total}");
    }
}

#[tokio::test]
async fn a_text_worker() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 0).await;
    server
        .post("/api/v2/generate/text/pop", &ann.api_key, &text_worker())
        .await
        .ok(200);
    assert_json_snapshot!(server.get("/api/v2/workers/name/Scribe").await.ok(200), @r#"
    {
      "bridge_agent": "AI Horde Worker reGen:13.0.0:https://example.org",
      "flagged": false,
      "id": "8188f93d-a1cf-4420-a0dd-a47f5804a2db",
      "kudos_details": {
        "generated": null,
        "uptime": null
      },
      "kudos_rewards": 0.0,
      "maintenance_mode": false,
      "max_context_length": 4096,
      "max_length": 300,
      "models": [
        "koboldcpp/Fimbulvetr-11B"
      ],
      "name": "Scribe",
      "nsfw": true,
      "online": true,
      "performance": "1.0 tokens per second",
      "requests_fulfilled": 0,
      "team": {
        "id": null,
        "name": null
      },
      "threads": 1,
      "trusted": false,
      "type": "text",
      "uncompleted_jobs": 0,
      "uptime": 0
    }
    "#);
}

#[tokio::test]
async fn an_alchemist() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 0).await;
    server
        .post("/api/v2/interrogate/pop", &ann.api_key, &alchemist())
        .await
        .ok(200);
    assert_json_snapshot!(server.get("/api/v2/workers/name/Alchemist").await.ok(200), @r#"
    {
      "bridge_agent": "AI Horde Worker reGen:13.0.0:https://example.org",
      "flagged": false,
      "forms": [
        "caption",
        "nsfw"
      ],
      "id": "8188f93d-a1cf-4420-a0dd-a47f5804a2db",
      "kudos_details": {
        "generated": null,
        "uptime": null
      },
      "kudos_rewards": 0.0,
      "maintenance_mode": false,
      "name": "Alchemist",
      "nsfw": false,
      "online": true,
      "performance": "No requests fulfilled yet",
      "requests_fulfilled": 0,
      "team": {
        "id": null,
        "name": null
      },
      "threads": 1,
      "trusted": false,
      "type": "interrogation",
      "uncompleted_jobs": 0,
      "uptime": 0
    }
    "#);
}

#[tokio::test]
async fn moderators_see_more_and_owners_do_not() {
    let server = TestServer::start().await;
    let (moderator, ann) = (server.moderator("mod").await, server.user("ann", 0).await);
    server
        .put(
            "/api/v2/users/2",
            &ann.api_key,
            &json!({"contact": "ann@example.org"}),
        )
        .await
        .ok(200);
    let id = server.worker(&ann.api_key, "Rig").await;
    let message = json!({"worker_id": id, "message": "hello"});
    server
        .post("/api/v2/workers/messages", &ann.api_key, &message)
        .await
        .ok(200);
    let path = format!("/api/v2/workers/{id}");
    assert_json_snapshot!(server.get_as(&path, &moderator.api_key).await.ok(200), @r#"
    {
      "bridge_agent": "AI Horde Worker reGen:13.0.0:https://example.org",
      "contact": "ann@example.org",
      "controlnet": true,
      "flagged": false,
      "id": "8eb37e6d-7019-4780-8fdd-d76b1a73e1ce",
      "img2img": true,
      "ipaddr": "127.0.0.1",
      "kudos_details": {
        "generated": null,
        "uptime": null
      },
      "kudos_rewards": 0.0,
      "lora": true,
      "maintenance_mode": false,
      "max_pixels": 4194304,
      "megapixelsteps_generated": 0.0,
      "messages": [
        {
          "created": "Tue, 02 Jan 2024 03:04:05 -0000",
          "expiry": "Tue, 02 Jan 2024 15:04:05 -0000",
          "message": "hello",
          "origin": "2",
          "user_id": "2",
          "worker_id": "8eb37e6d-7019-4780-8fdd-d76b1a73e1ce"
        }
      ],
      "models": [
        "stable_diffusion"
      ],
      "name": "Rig",
      "nsfw": true,
      "online": true,
      "owner": "ann#2",
      "painting": true,
      "paused": false,
      "performance": "1.0 megapixelsteps per second",
      "post-processing": true,
      "requests_fulfilled": 0,
      "sdxl_controlnet": true,
      "suspicious": 0,
      "team": {
        "id": null,
        "name": null
      },
      "threads": 1,
      "trusted": false,
      "type": "image",
      "uncompleted_jobs": 0,
      "uptime": 0
    }
    "#);
    let public = server.get(&path).await.ok(200);
    assert_eq!(server.get_as(&path, &ann.api_key).await.ok(200), public);
    assert_eq!(server.get_as(&path, "nobody's").await.ok(200), public);
    for hidden in ["owner", "messages", "paused", "suspicious", "ipaddr", "contact"] {
        assert_eq!(public[hidden], Value::Null, "{hidden}");
    }
    // Unless the owner wants it.
    server
        .put("/api/v2/users/2", &ann.api_key, &json!({"public_workers": true}))
        .await
        .ok(200);
    let public = server.get(&path).await.ok(200);
    assert_eq!(
        (&public["owner"], &public["messages"][0]["message"]),
        (&json!("ann#2"), &json!("hello"))
    );
    assert_eq!(public["paused"], Value::Null);
}

#[tokio::test]
async fn abilities_are_those_that_its_software_has() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 0).await;
    let unknown = changed(
        worker("Rig"),
        json!({"bridge_agent": "something:1:else", "allow_lora": false}),
    );
    server.pop(&ann.api_key, &unknown).await.ok(200);
    let seen = server.get("/api/v2/workers/name/Rig").await.ok(200);
    assert_eq!(
        (&seen["img2img"], &seen["painting"], &seen["lora"]),
        (&json!(false), &json!(false), &json!(false))
    );
    assert_eq!(
        (&seen["controlnet"], &seen["post-processing"]),
        (&json!(true), &json!(true))
    );
}

#[tokio::test]
async fn ids_and_names() {
    let server = TestServer::start().await;
    let ann = server.user("ann", 0).await;
    server.pop(&ann.api_key, &worker("My Rig & I")).await.ok(200);
    let id = server.worker_id("My Rig &amp; I").await;
    let by_id = server.get(&format!("/api/v2/workers/{id}")).await.ok(200);
    assert_eq!(by_id["name"], "My Rig &amp; I");
    let bare = id.replace('-', "");
    assert_eq!(
        server.get(&format!("/api/v2/workers/{bare}")).await.ok(200),
        by_id
    );
    assert_eq!(
        server
            .get("/api/v2/workers/name/My%20Rig%20&amp;%20I")
            .await
            .ok(200),
        by_id
    );
    for path in [
        "name/my%20rig%20&amp;%20i",
        "name/nobody",
        "x",
        "00000000-0000-0000-0000-000000000000",
    ] {
        server
            .get(&format!("/api/v2/workers/{path}"))
            .await
            .refused(404, "WorkerNotFound");
    }
    // One that is not online is still there.
    server.advance(301).await;
    assert_eq!(
        server.get(&format!("/api/v2/workers/{id}")).await.ok(200)["online"],
        false
    );
}
