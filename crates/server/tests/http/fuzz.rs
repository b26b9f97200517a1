//! Bodies, arguments and headers that nobody would send: every answer is one of the API's, and none is a failure of the
//! server.
//!
//! The bodies are made from the published description, mostly as it says and in places wildly not. The seed is fixed, so
//! that a failure can be repeated; `MUSTER_FUZZ_CASES` asks for more cases of each operation, `MUSTER_FUZZ_SEED` for
//! others.

use std::fmt::Write as _;

use muster_store::Role;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::{ANONYMOUS, Answer, Setup, TestServer, picture, plain_request};

/// Cases of each operation, unless the environment says otherwise.
const CASES: u64 = 40;
/// How deep made values are nested at most.
const DEPTH: usize = 6;

fn from_environment(name: &str, usual: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Makes what is sent.
struct Maker {
    rng: StdRng,
    /// All published schemas.
    schemas: Value,
    /// Texts that mean something to the server.
    known: Vec<String>,
    /// One value of so many is wild; of others nothing is.
    wildness: Option<u32>,
}

impl Maker {
    fn chance(&mut self, of: u32) -> bool {
        self.rng.random_range(0..of) == 0
    }

    /// Whether the next value is a wild one.
    fn runs_wild(&mut self) -> bool {
        self.wildness.is_some_and(|of| self.rng.random_range(0..of) == 0)
    }

    /// A value that a schema describes, mostly.
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        if depth > DEPTH || self.runs_wild() {
            return self.wild(depth);
        }
        if let Some(target) = schema["$ref"].as_str() {
            let name = target.rsplit('/').next().unwrap_or_default();
            let schema = self.schemas[name].clone();
            return self.value(&schema, depth + 1);
        }
        for several in ["oneOf", "anyOf", "allOf"] {
            if let Some(schemas) = schema[several].as_array().cloned() {
                let one = schemas.choose(&mut self.rng).cloned().unwrap_or_default();
                return self.value(&one, depth + 1);
            }
        }
        if let Some(words) = schema["enum"].as_array() {
            return words.choose(&mut self.rng).cloned().unwrap_or_default();
        }
        match schema["type"].as_str() {
            Some("object") => self.object(schema, depth),
            Some("array") => {
                let count = self.rng.random_range(0..4);
                (0..count)
                    .map(|_| self.value(&schema["items"], depth + 1))
                    .collect()
            }
            Some("integer") => {
                let bound = |name, usual| schema[name].as_f64().unwrap_or(usual) as i64;
                let (low, high) = (bound("minimum", -2.0), bound("maximum", 5000.0));
                let beyond = i64::from(self.runs_wild());
                let (low, high) = (low.saturating_sub(beyond), high.max(low).saturating_add(beyond));
                let number = self.rng.random_range(low..=high);
                match schema["multipleOf"].as_f64() {
                    Some(step) if !self.runs_wild() => (number / step as i64 * step as i64).into(),
                    _ => number.into(),
                }
            }
            Some("number") => {
                let bound = |name, usual| schema[name].as_f64().unwrap_or(usual);
                let (low, high) = (bound("minimum", 0.0), bound("maximum", 40.0));
                let tenths = (self.rng.random_range(low..=high.max(low)) * 10.0).round();
                json!(tenths / 10.0)
            }
            Some("boolean") => self.rng.random::<bool>().into(),
            _ => self.text().into(),
        }
    }

    /// Most of the members, and sometimes one that is not described.
    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let mut object = Map::new();
        let members = schema["properties"].as_object().cloned().unwrap_or_default();
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (name, member) in &members {
            let needed = required.iter().any(|required| required == name);
            if needed && !self.runs_wild() || self.chance(10) {
                object.insert(name.clone(), self.value(member, depth + 1));
            }
        }
        if self.runs_wild() {
            object.insert(self.text(), self.wild(depth));
        }
        object.into()
    }

    /// A value that is likely to be none of what is expected.
    fn wild(&mut self, depth: usize) -> Value {
        match self.rng.random_range(0..12) {
            0 => Value::Null,
            1 => true.into(),
            2 => i64::MIN.into(),
            3 => u64::MAX.into(),
            4 => json!(1e308),
            5 => json!(-0.5),
            6 => json!([]),
            7 => json!({}),
            8 if depth < DEPTH => json!([self.wild(depth + 1), self.wild(depth + 1)]),
            9 if depth < DEPTH => json!({self.text(): self.wild(depth + 1)}),
            _ => self.text().into(),
        }
    }

    fn text(&mut self) -> String {
        const WILD: [&str; 16] = [
            "",
            " ",
            "\0",
            "a\0b",
            "../../etc/passwd",
            "' OR 1=1 --",
            "<script>alert(1)</script>",
            "{{7*7}}",
            "\u{202e}desrever",
            "👩‍👩‍👧‍👦 ﷽ Z̸̢̛a̷l̵g̶o̴",
            "-1",
            "99999999999999999999999999",
            "NaN",
            "http://169.254.169.254/latest/meta-data",
            "data:image/png;base64,AAAA",
            "########",
        ];
        if !self.runs_wild() {
            return self.known.choose(&mut self.rng).cloned().unwrap_or_default();
        }
        match self.rng.random_range(0..3) {
            0 => (*WILD.choose(&mut self.rng).unwrap_or(&"")).to_owned(),
            1 => "x".repeat(self.rng.random_range(0..3000)),
            _ => {
                let count = self.rng.random_range(0..20);
                (0..count).map(|_| self.rng.random::<char>()).collect()
            }
        }
    }

    /// A text that can be part of a path or query.
    fn argument(&mut self) -> String {
        let text = self.text();
        let mut argument = String::new();
        for byte in text.bytes().take(300) {
            // Writing to a text cannot fail.
            let _ = write!(argument, "%{byte:02X}");
        }
        argument
    }

    /// Headers; what cannot be one is left out.
    fn headers(&mut self, keys: &[String]) -> Vec<(&'static str, String)> {
        let mut headers = vec![("content-type", "application/json".to_owned())];
        if !self.chance(10) {
            let key = keys.choose(&mut self.rng).cloned().unwrap_or_default();
            headers.push(("apikey", key));
        }
        for name in [
            "x-fields",
            "client-agent",
            "idempotency-key",
            "x-forwarded-for",
            "proxied-for",
        ] {
            if self.chance(6) {
                headers.push((name, self.text()));
            }
        }
        if self.chance(20) {
            "text/plain".clone_into(&mut headers[0].1);
        }
        let sendable = |value: &str| value.bytes().all(|byte| byte >= 32 && byte != 127);
        headers.retain(|(_, value)| sendable(value));
        headers
    }
}

/// An operation of the API.
struct Operation {
    method: Method,
    /// With `{name}` for arguments.
    path: String,
    /// The schema of its body, if it has one.
    body: Option<Value>,
    /// Names of query arguments.
    query: Vec<String>,
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let Ok(method) = method.to_uppercase().parse::<Method>() else {
                continue;
            };
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let query = parameters
                .iter()
                .filter(|parameter| parameter["in"] == "query")
                .filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
                .collect();
            let body = operation.pointer("/requestBody/content/application~1json/schema");
            all.push(Operation {
                method,
                path: format!("/api{path}"),
                body: body.cloned(),
                query,
            });
        }
    }
    assert!(all.len() > 60, "{}", all.len());
    all
}

/// A horde in which there is something of everything; keys, and texts that mean something in it.
async fn peopled() -> (TestServer, Vec<String>, Vec<String>) {
    let setup = || Setup {
        trusted_hops: 1,
        ..Setup::default()
    };
    let server = TestServer::with(setup()).await;
    let (owner, moderator) = (
        server.trusted("owner", 100_000).await,
        server.moderator("mod").await,
    );
    let customizer = server.user_with("customizer", Role::Customizer).await;
    let server = server.restart(setup()).await;
    let request = server.request(&owner.api_key, &plain_request()).await;
    let job = server.popped(&owner.api_key, "Rig").await;
    let worker = server.worker_id("Rig").await;
    let style = json!({"name": "noir", "prompt": "{p}{np}", "models": ["stable_diffusion"]});
    let style = server
        .post("/api/v2/styles/image", &owner.api_key, &style)
        .await
        .ok(200);
    let team = server
        .post("/api/v2/teams", &owner.api_key, &json!({"name": "Team"}))
        .await
        .ok(200);
    let shared = server
        .put("/api/v2/sharedkeys", &owner.api_key, &json!({}))
        .await
        .ok(200);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let keys = vec![
        ANONYMOUS.to_owned(),
        owner.api_key.clone(),
        moderator.api_key,
        customizer.api_key,
        text(&shared["id"]),
        "nobody's".to_owned(),
        String::new(),
    ];
    let known = vec![
        request,
        text(&job["id"]),
        worker,
        text(&style["id"]),
        text(&team["id"]),
        text(&shared["id"]),
        owner.alias,
        "1".to_owned(),
        "2".to_owned(),
        "Rig".to_owned(),
        "noir".to_owned(),
        "stable_diffusion".to_owned(),
        "caption".to_owned(),
        "koboldcpp/Mistral-7B::x#1".to_owned(),
        "https://example.org/hook".to_owned(),
        "id,name{x}".to_owned(),
        picture(),
    ];
    (server, keys, known)
}

/// Whether an answer is one that clients understand.
fn fault(answer: &Answer) -> Option<&'static str> {
    let status = answer.status.as_u16();
    if status >= 500 {
        return Some("the server failed");
    }
    let Ok(body) = serde_json::from_str::<Value>(&answer.text) else {
        return Some("the answer is no JSON");
    };
    if status >= 400 && !body["message"].is_string() {
        return Some("the error has no message");
    }
    None
}

#[tokio::test]
async fn no_operation_fails() {
    let (cases, seed) = (
        from_environment("MUSTER_FUZZ_CASES", CASES),
        from_environment("MUSTER_FUZZ_SEED", 7),
    );
    let document = TestServer::start().await.get("/api/openapi.json").await.ok(200);
    let mut wrong = Vec::new();
    let mut statuses = std::collections::BTreeMap::<u16, u64>::new();
    for (number, operation) in operations(&document).iter().enumerate() {
        let (server, keys, known) = peopled().await;
        let mut maker = Maker {
            rng: StdRng::seed_from_u64(seed + number as u64),
            schemas: document["components"]["schemas"].clone(),
            known,
            wildness: None,
        };
        for _ in 0..cases {
            maker.wildness = *[None, Some(30), Some(8), Some(2)]
                .choose(&mut maker.rng)
                .unwrap_or(&None);
            let mut path = operation.path.clone();
            while let (Some(start), Some(end)) = (path.find('{'), path.find('}')) {
                path.replace_range(start..=end, &maker.argument());
            }
            let mut glue = '?';
            for name in &operation.query {
                if maker.chance(2) {
                    let _ = write!(path, "{glue}{name}={}", maker.argument());
                    glue = '&';
                }
            }
            let body = operation
                .body
                .as_ref()
                .map(|schema| maker.value(schema, 0).to_string());
            let headers = maker.headers(&keys);
            let headers: Vec<(&str, &str)> = headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            let sent = body.clone().unwrap_or_default();
            let answer = server.send(operation.method.clone(), &path, &headers, sent).await;
            *statuses.entry(answer.status.as_u16()).or_default() += 1;
            if let Some(why) = fault(&answer) {
                let body = body.unwrap_or_default();
                wrong.push(format!(
                    "{why}: {} {path} {headers:?}\n  {body}\n  {} {}",
                    operation.method, answer.status, answer.text
                ));
            }
        }
        server.stop().await;
    }
    assert!(
        wrong.is_empty(),
        "{} failures:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // The generator is not so wild that nothing ever succeeds, nor so tame that everything does.
    println!("answers: {statuses:?}");
    let share = |from: u16| {
        statuses
            .range(from..from + 100)
            .map(|(_, count)| count)
            .sum::<u64>()
    };
    assert!(share(200) > cases && share(400) > cases, "{statuses:?}");
}
