//! What the reference server answered, against what this one answers (see `data/README.md`): the same
//! statuses and return codes, the same members of the same types, null where it was null.
//!
//! The image rows of the checklist of clients' and workers' expectations are tested here and there:
//!
//! | row | where |
//! | --- | --- |
//! | 1 errors of every route | here, `generate/async_refusals`, `generate/submit_post`, `users/find_user_get` |
//! | 2, 3 wrong methods, unknown paths, OPTIONS | `conventions` |
//! | 4 whole numbers without a fraction | `whole_numbers_are_written_without_a_fraction` below |
//! | 5 no `message` and no null where clients stumble over it | here, `generate/check_get`, `generate/status_get` |
//! | 6 a pop without a job has all members | here, `generate/pop_post` |
//! | 7, 27 a job's members, uploads | here, `generate/pop_post`, `blobs` |
//! | 8 batches | `generate/pop_batches` |
//! | 9 texts about submissions | `generate/submit_post`, `generate/submit_faults` |
//! | 10 maintenance of a worker | `generate/pop_maintenance` |
//! | 11 a submission without a seed | here |
//! | 12, 13 odd requests, whole numbers with a fraction | `generate/async_post` |
//! | 14 dry runs | here, `generate/async_post` |
//! | 16 too many requests | `conventions` |
//! | 17 who is calling | here, `users/find_user_get` |
//! | 21 field masks | `conventions`, and beside `http::field_mask` |
//! | 23 heartbeat | `status/heartbeat_get` |
//! | 25 addresses of results | `generate/status_get` |

use std::collections::{BTreeSet, HashMap};

use muster_protocol::TestUser;
use muster_store::{AccountChanges, Role};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    Answer, START, Setup, TestServer, changed, number, picture_bytes, plain_request, worker,
};

/// Recorded exchanges that need what this server does not have yet.
const NOT_YET: [&str; 9] = [
    "image corrupt prompt",
    "image corrupt prompt moderator",
    "image from blocked range",
    "image shared key",
    "pop from blocked worker address",
    "pop with message",
    "shared key as user",
    "text with image style",
    "text with style",
];

fn recorded() -> impl Iterator<Item = Value> {
    include_str!("../data/exchanges.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

/// A server on which recorded exchanges are played.
struct Stage {
    server: TestServer,
    /// What is sent and received in place of the names in the recording.
    names: HashMap<String, String>,
    played: BTreeSet<String>,
}

impl Stage {
    async fn new() -> Self {
        let mut stage = Self {
            server: TestServer::start().await,
            names: HashMap::new(),
            played: BTreeSet::new(),
        };
        stage.name("<run>", "1");
        stage.name("<uuid>", "00000000-0000-4000-8000-000000000000");
        let (alice, dave) = (
            stage.server.trusted("Alice1", 20_000).await,
            stage.server.trusted("Dave1", 0).await,
        );
        stage.name("Alice<run>#<id>", &alice.alias);
        for (name, user) in [
            ("alice", alice),
            ("bob", stage.server.user("Bob1", 0).await),
            ("carol", stage.server.user("Carol1", 0).await),
            ("dave", dave),
            ("sven", stage.server.user_with("Sven1", Role::Service).await),
            ("zoe", stage.server.user_with("Zoe1", Role::Deleted).await),
        ] {
            if name == "carol" {
                stage.limit_concurrency(&user, 4).await;
            }
            stage.name(&format!("<key:{name}>"), &user.api_key);
        }
        stage
    }

    async fn limit_concurrency(&self, user: &TestUser, concurrency: i32) {
        let changes = AccountChanges {
            concurrency: Some(concurrency),
            ..AccountChanges::default()
        };
        let journal = self.server.engine.store().journal();
        journal.set_account(number(user), changes, START).await.unwrap();
    }

    /// The same over a server that is set up otherwise.
    async fn restart(self, setup: Setup) -> Self {
        Self {
            server: self.server.restart(setup).await,
            ..self
        }
    }

    fn name(&mut self, name: &str, value: &str) {
        self.names.insert(name.to_owned(), value.to_owned());
    }

    fn key(&self, user: &str) -> String {
        self.names[&format!("<key:{user}>")].clone()
    }

    /// A text of the recording with names replaced, the longest first.
    fn real(&self, text: &str) -> String {
        let mut names: Vec<&String> = self.names.keys().collect();
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        names.iter().fold(text.to_owned(), |text, name| {
            let in_path = name.replace('<', "{").replace('>', "}");
            text.replace(*name, &self.names[*name])
                .replace(&in_path, &self.names[*name])
        })
    }

    /// Plays an exchange and compares the answers; ours.
    async fn play(&mut self, label: &str) -> Value {
        let exchange = recorded().find(|it| it["label"] == label).unwrap();
        let answer = self.send(&exchange).await;
        let mut expected = vec![(
            exchange["status"].as_u64(),
            exchange["response_body"]["rc"].as_str(),
        )];
        if let Some(accepted) = exchange["accept"].as_array() {
            expected = accepted
                .iter()
                .map(|it| (it[0].as_u64(), it[1].as_str()))
                .collect();
        }
        let body = answer.json();
        let got = (Some(u64::from(answer.status.as_u16())), body["rc"].as_str());
        assert!(
            expected.contains(&got),
            "{label}: {expected:?} expected, not {got:?}: {body}"
        );
        if exchange["accept"].is_null() {
            self.compare(label, &exchange["response_body"], &body);
        }
        self.played.insert(label.to_owned());
        body
    }

    async fn send(&self, exchange: &Value) -> Answer {
        let method: Method = exchange["method"].as_str().unwrap().parse().unwrap();
        let path = self.real(exchange["path"].as_str().unwrap());
        let headers: Vec<(String, String)> = exchange["request_headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), self.real(value.as_str().unwrap())))
            .collect();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let body = match &exchange["request_body"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            body => self.real(&body.to_string()),
        };
        self.server.send(method, &path, &headers, body).await
    }

    /// Compares the shape of a part of the answer, and learns the ids in it. `place` says where it is.
    fn compare(&mut self, place: &str, recorded: &Value, got: &Value) {
        match (recorded, got) {
            (Value::Object(recorded), Value::Object(got)) => {
                assert!(
                    recorded.keys().collect::<BTreeSet<_>>() == got.keys().collect(),
                    "{place}: {got:?}"
                );
                for (name, recorded) in recorded {
                    self.compare(&format!("{place}.{name}"), recorded, &got[name]);
                }
            }
            (Value::Array(recorded), Value::Array(got)) => {
                assert_eq!(recorded.len(), got.len(), "{place}: {got:?}");
                for (recorded, got) in recorded.iter().zip(got) {
                    self.compare(&format!("{place}[]"), recorded, got);
                }
            }
            (Value::String(recorded), Value::Number(_)) => assert_eq!(recorded, "<number>", "{place}"),
            (Value::String(recorded), Value::String(got)) => {
                assert_ne!(recorded, "<number>", "{place}: {got}");
                if ["<wp", "<job", "<twp", "<tjob"]
                    .iter()
                    .any(|name| recorded.starts_with(name))
                {
                    self.name(recorded, got);
                }
            }
            // A code is one of a few words, so it is compared itself, as are switches and nulls.
            (recorded, got) => assert!(
                recorded == got || recorded.is_number() && got.is_number(),
                "{place}: {recorded} expected, not {got}"
            ),
        }
    }

    /// A request that was not recorded, under a name of the recording.
    async fn request(&mut self, name: &str, user: &str, changes: Value) {
        let id = self
            .server
            .request(&self.key(user), &changed(plain_request(), changes))
            .await;
        self.name(name, &id);
    }

    /// Pops jobs of a request that was not recorded, and uploads pictures for them.
    async fn pop(&mut self, user: &str, worker_name: &str, amount: u32, names: &[&str]) {
        let body = changed(worker(worker_name), json!({"amount": amount}));
        let popped = self.server.pop(&self.key(user), &body).await.ok(200);
        let ids = popped["ids"].as_array().unwrap();
        assert_eq!(ids.len(), names.len(), "{popped}");
        for (name, id) in names.iter().zip(ids) {
            self.name(name, id.as_str().unwrap());
        }
        for url in popped["r2_uploads"].as_array().unwrap() {
            self.upload(url.as_str().unwrap()).await;
        }
    }

    async fn upload(&self, url: &str) {
        let bytes = picture_bytes(image::ImageFormat::WebP);
        let answer = self.server.send(Method::PUT, url, &[], bytes).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    async fn submit(&self, user: &str, job: &str, changes: Value) {
        let body = json!({"id": self.names[job], "generation": "R2", "state": "ok", "seed": 2});
        self.server
            .post(
                "/api/v2/generate/submit",
                &self.key(user),
                &changed(body, changes),
            )
            .await
            .ok(200);
    }

    async fn cancel(&self, name: &str) {
        let path = format!("/api/v2/generate/status/{}", self.names[name]);
        self.server.delete(&path).await.ok(200);
    }
}

/// Requests and their answers, with a worker online.
async fn play_requests(stage: &mut Stage) {
    for label in [
        "find user unknown key",
        "find user anonymous",
        "image dry run",
        "image dry run post processing",
        "image dry run img2img",
        "image bad key",
        "image malformed json",
        "image no body",
        "image empty prompt",
        "image width text",
        "image unknown sampler",
        "image unknown post processor",
        "image two upscalers",
        "image cfg decimals",
        "image control without source",
        "image control on sdxl",
        "image unknown control type",
        "image transparent on flux",
        "image webhook http",
        "image unknown worker",
        "image unknown style",
        "image too many parallel",
        "image kudos upfront",
        "image deleted user",
        "inpainting without mask",
        "mask without source",
        "pop no key",
        "pop no name",
        "pop colab name",
        "pop unknown model",
        "pop empty queue",
    ] {
        stage.play(label).await;
    }
    for (label, name) in [
        ("inpainting with mask", "<wp4>"),
        ("image anonymous", "<wp6>"),
        ("image flux with warnings", "<wp7>"),
        ("image proxied by service", "<wp9>"),
    ] {
        stage.play(label).await;
        stage.cancel(name).await;
    }
}

/// One request from its beginning to its result, and one whose jobs end in different ways.
async fn play_jobs(stage: &mut Stage) {
    stage.request("<wp1>", "alice", json!({})).await;
    stage.play("image check waiting").await;
    stage.pop("bob", "Bobs dreamer 1", 1, &["<job1>"]).await;
    for label in [
        "image submit by another",
        "image submit no seed",
        "image submit bad key",
        "image submit",
        "image submit unknown",
        "image submit malformed id",
    ] {
        stage.play(label).await;
    }
    // Nobody is online any more, as in the recording.
    stage.server.advance(301).await;
    for label in ["image status done", "image check unknown", "image status unknown"] {
        stage.play(label).await;
    }
    stage.request("<wp2>", "alice", json!({"params": {"n": 3}})).await;
    stage
        .pop("dave", "Daves dreamer 1", 3, &["<job2>", "<job3>", "<job4>"])
        .await;
    stage.play("image batch submit metadata").await;
    stage.submit("dave", "<job3>", json!({})).await;
    stage.submit("dave", "<job4>", json!({"state": "faulted"})).await;
    for label in [
        "image batch status",
        "image batch cancel",
        "image batch check cancelled",
    ] {
        stage.play(label).await;
    }
}

/// What workers are told while there is nothing for them, and a job for a user who comes first.
async fn play_pops(stage: &mut Stage) {
    stage.play("img2img").await;
    stage.play("img2img pop refused").await;
    stage.cancel("<wp3>").await;
    for (label, changes) in [
        ("pop skipped untrusted", json!({"trusted_workers": true})),
        ("pop skipped nsfw", json!({"nsfw": true})),
        (
            "pop skipped lora",
            json!({"params": {"loras": [{"name": "12345"}]}}),
        ),
        (
            "pop skipped post-processing",
            json!({"params": {"post_processing": ["GFPGAN"]}}),
        ),
        ("pop skipped blacklist", json!({})),
    ] {
        stage.request("<other>", "alice", changes).await;
        stage.play(label).await;
        stage.cancel("<other>").await;
    }
    let params = json!({"loras": [{"name": "12345"}], "post_processing": ["GFPGAN"]});
    stage
        .request("<wp11>", "alice", json!({"params": params, "nsfw": true}))
        .await;
    let popped = stage.play("pop own priority").await;
    stage.upload(popped["r2_upload"].as_str().unwrap()).await;
    for label in [
        "image submit csam",
        "image csam status",
        "pop from another address",
    ] {
        stage.play(label).await;
    }
}

/// Texts: one from its beginning to its result, others that come to nothing.
async fn play_texts(stage: &mut Stage) {
    for label in [
        "text no worker yet",
        "text pop too short",
        "text pop",
        "text submit by another",
    ] {
        stage.play(label).await;
    }
    let body = json!({
        "id": stage.names["<tjob1>"], "generation": " there was a keeper of a lighthouse.", "state": "ok", "seed": 7,
    });
    let submit = "/api/v2/generate/text/submit";
    stage.server.post(submit, &stage.key("bob"), &body).await.ok(200);
    stage.server.advance(301).await;
    for label in [
        "text status done",
        "text cancel unknown",
        "text pop empty queue",
        "text batch",
        "text batch cancel",
        "text short sampler order",
        "text empty prompt",
        "text anonymous",
        "text faulted pop",
        "text faulted submit",
        "text pop name of image worker",
        "text pop empty body",
    ] {
        stage.play(label).await;
    }
}

async fn play_alchemy(stage: &mut Stage) {
    for label in [
        "alchemy bad key",
        "alchemy status unknown",
        "alchemy cancel unknown",
        "alchemy pop empty queue",
        "alchemy pop other form",
    ] {
        stage.play(label).await;
    }
}

/// What a horde in maintenance, or one that takes workers by invitation only, answers.
async fn play_modes(stage: Stage) -> Stage {
    let setup = |maintenance, invite_only| Setup {
        engine: muster_engine::EngineConfig {
            maintenance,
            invite_only,
            ..Setup::default().engine
        },
        ..Setup::default()
    };
    let mut stage = stage.restart(setup(true, false)).await;
    stage.play("alchemy in maintenance").await;
    let mut stage = stage.restart(setup(false, true)).await;
    stage.play("pop invite only").await;
    stage
}

#[tokio::test]
async fn answers_have_the_recorded_shape() {
    let mut stage = Stage::new().await;
    play_jobs(&mut stage).await;
    play_requests(&mut stage).await;
    play_pops(&mut stage).await;
    play_texts(&mut stage).await;
    play_alchemy(&mut stage).await;
    let stage = play_modes(stage).await;
    let mut left: Vec<String> = recorded()
        .map(|it| it["label"].as_str().unwrap().to_owned())
        .filter(|label| !stage.played.contains(label))
        .collect();
    left.sort();
    assert_eq!(left, NOT_YET);
}

/// Typed clients read counts as integers: not one of them is written like `1.0`.
#[tokio::test]
async fn whole_numbers_are_written_without_a_fraction() {
    const WHOLE: [&str; 14] = [
        "finished",
        "processing",
        "restarted",
        "waiting",
        "wait_time",
        "queue_position",
        "ddim_steps",
        "n_iter",
        "width",
        "height",
        "ttl",
        "models",
        "performance",
        "bridge_version",
    ];
    let mut stage = Stage::new().await;
    stage.request("<wp1>", "alice", json!({})).await;
    let id = &stage.names["<wp1>"];
    let pop = |name: &str| changed(worker(name), json!({"max_pixels": 64}));
    let mut seen = BTreeSet::new();
    for answer in [
        stage.server.get(&format!("/api/v2/generate/check/{id}")).await,
        stage.server.get(&format!("/api/v2/generate/status/{id}")).await,
        stage.server.pop(&stage.key("dave"), &pop("Small")).await,
        stage.server.pop(&stage.key("dave"), &worker("Large")).await,
    ] {
        for name in WHOLE {
            let Some((_, rest)) = answer.text.split_once(&format!("\"{name}\":")) else {
                continue;
            };
            let written: String = rest.chars().take_while(|it| !",}".contains(*it)).collect();
            let whole = written == "null" || written.bytes().all(|digit| digit.is_ascii_digit());
            assert!(whole, "{name} is {written} in {}", answer.text);
            seen.insert(name);
        }
    }
    assert_eq!(seen, BTreeSet::from(WHOLE));
}
