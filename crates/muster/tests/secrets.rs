//! No log, however talkative, tells a secret.

#![allow(clippy::unwrap_used)]

mod process;

use process::Running;

#[test]
fn logs_tell_no_secrets() {
    const JSON: &str = "Content-Type: application/json\r\n";
    let directory = tempfile::tempdir().unwrap();
    let mut server = Running::serve(
        directory.path(),
        &[
            "--log",
            "trace",
            "--log-format",
            "json",
            "--secret-key",
            "SaltOfThisHorde",
            "--paused-notice-webhook",
            "http://127.0.0.1:1/ChatSecretOne",
            "--problem-notice-webhook",
            "http://127.0.0.1:1/ChatSecretTwo",
            "--ip-checker",
            "http://127.0.0.1:1/{ipaddr}?key=CheckerSecret",
            "--patreon-token",
            "PatreonSecret",
            "--patreon-url",
            "http://127.0.0.1:1",
            "--stripe-key",
            "StripeSecret",
            "--stripe-url",
            "http://127.0.0.1:1",
            "--traces",
            "http://muster:CollectorSecret@127.0.0.1:1/v1/traces",
            "--database-readers",
            "1",
        ],
    );
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let (_, page) = server.call("POST /register", form, "username=Ann");
    let key = page.split("class=\"ah-api-key\">").nth(1).unwrap()[..22].to_owned();
    let admin = std::fs::read_to_string(directory.path().join("admin-key")).unwrap();

    let with = |key: &str| format!("{JSON}apikey: {key}\r\nProxy-Authorization: PasskeyOfNobody\r\n");
    let request = r#"{"prompt": "a hill", "webhook": "https://127.0.0.1/HookSecret", "params": {"n": 1}}"#;
    for key in [key.as_str(), "KeyOfNobody"] {
        server.call("POST /api/v2/generate/async", &with(key), request);
        server.call(
            "POST /api/v2/generate/pop",
            &with(key),
            r#"{"name": "Rig", "models": ["stable_diffusion"]}"#,
        );
        server.call("GET /api/v2/find_user", &with(key), "");
        server.call(
            "POST /api/v2/kudos/transfer",
            &with(key),
            r#"{"username": "admin#1", "amount": 1}"#,
        );
        server.call("PUT /api/v2/sharedkeys", &with(key), "{}");
        server.call("GET /api/v2/nowhere", &with(key), "");
        server.call("POST /api/v2/generate/async", &with(key), "{ no JSON");
    }
    let (status, errors) = server.stop();
    assert!(status.success(), "{errors}");
    // The first start shows the administrator's key to whoever sits there; that is no log.
    let shown = format!("    {}\n", admin.trim());
    let log = server.output().replace(&shown, "") + &errors;
    assert!(log.len() > 2000, "there is a log: {log}");
    for secret in [
        key.as_str(),
        admin.trim(),
        "KeyOfNobody",
        "PasskeyOfNobody",
        "SaltOfThisHorde",
        "ChatSecret",
        "CheckerSecret",
        "PatreonSecret",
        "StripeSecret",
        "CollectorSecret",
        "HookSecret",
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is in the log");
    }
}
