//! `muster admin`, with and without a server that runs.

#![allow(clippy::unwrap_used)]

mod process;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use process::{Running, fails, muster, succeeds};
use serde_json::{Value, json};

/// The answer to a command in JSON.
fn admin(data: &Path, arguments: &[&str]) -> Value {
    let mut all = vec!["admin", "--json", "--data-dir", data.to_str().unwrap()];
    all.extend(arguments);
    serde_json::from_str(&succeeds(muster(&all))).unwrap()
}

/// Why a command was refused.
fn refused(data: &Path, arguments: &[&str]) -> String {
    let mut all = vec!["admin", "--data-dir", data.to_str().unwrap()];
    all.extend(arguments);
    fails(muster(&all))
}

/// Everything that can be done with accounts, one after the other.
fn look_after_accounts(data: &Path) {
    let made = admin(data, &["user", "create", "Ann"]);
    assert_eq!(made["username"], "Ann#2");
    let old_key = made["api_key"].as_str().unwrap().to_owned();
    assert_eq!(old_key.len(), 22);
    let changes = [
        "trusted=true",
        "concurrency=50",
        "username=4242",
        "admin_comment=a comment",
    ];
    let mut set = vec!["user", "set", "Ann#2"];
    set.extend(changes);
    assert_eq!(
        admin(data, &set),
        json!({"trusted": true, "concurrency": 50, "username": "4242", "admin_comment": "a comment"})
    );
    let given = json!({"username": "4242#2", "kudos": 100, "monthly_kudos": 0});
    assert_eq!(admin(data, &["kudos", "give", "2", "100"]), given);
    assert_eq!(admin(data, &["kudos", "give", "2", "-10"])["kudos"], 90);
    assert_eq!(admin(data, &["kudos", "monthly", "2", "30"])["kudos"], 120);
    assert_eq!(admin(data, &["kudos", "pay", "2", "--keep-date"])["kudos"], 150);
    let seen = admin(data, &["user", "show", "2"]);
    assert_eq!(
        (&seen["username"], &seen["kudos"]),
        (&json!("4242#2"), &json!(150.0))
    );
    assert_eq!(
        (&seen["admin_comment"], &seen["monthly_kudos"]["amount"]),
        (&json!("a comment"), &json!(30))
    );
    let reset = admin(data, &["key", "reset", "2"]);
    assert_ne!(reset["api_key"], json!(old_key));
    let listed = admin(data, &["user", "list", "--sort", "age"]);
    let names: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|user| user["username"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Anonymous#0", "admin#1", "4242#2"]);
    assert_eq!(admin(data, &["user", "delete", "2"])["deleted"], true);
    assert_eq!(
        admin(data, &["user", "set", "2", "undelete=true"]),
        json!({"undeleted": true})
    );
    assert_eq!(admin(data, &["user", "wipe", "2"]), json!({"wiped": "4242#2"}));
    assert!(refused(data, &["user", "show", "2"]).contains("no user with this number"));
}

#[test]
fn accounts_are_looked_after_while_a_server_runs_and_while_none_does() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let mut server = Running::serve(data, &[]);
    let socket = data.join("control.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    look_after_accounts(data);
    server.stop();
    assert!(!socket.exists());

    let other = tempfile::tempdir().unwrap();
    let mut server = Running::serve(other.path(), &[]);
    server.stop();
    look_after_accounts(other.path());
}

#[test]
fn answers_are_for_people_unless_json_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let mut server = Running::serve(data, &[]);
    let listed = succeeds(muster(&[
        "admin",
        "user",
        "list",
        "--data-dir",
        data.to_str().unwrap(),
    ]));
    assert!(listed.starts_with("ID  USER"), "{listed}");
    assert!(listed.contains("admin#1"), "{listed}");
    let shown = succeeds(muster(&[
        "admin",
        "user",
        "show",
        "1",
        "--data-dir",
        data.to_str().unwrap(),
    ]));
    assert!(
        shown.contains("username: admin#1\n") && shown.contains("moderator: yes\n"),
        "{shown}"
    );
    let workers = succeeds(muster(&[
        "admin",
        "worker",
        "list",
        "--data-dir",
        data.to_str().unwrap(),
    ]));
    assert_eq!(workers, "none\n");
    server.stop();
}

#[test]
fn what_cannot_be_done_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let mut server = Running::serve(data, &[]);
    for (arguments, part) in [
        (&["user", "show", "99"][..], "no user with this number"),
        (&["user", "set", "1", "concurrency=501"], "concurrency"),
        (&["user", "set", "1", "nothing"], "NAME=VALUE"),
        (&["user", "set", "1", "filtered=true"], "Nothing was selected"),
        (&["user", "create", "fuckface"], "profanity"),
        (&["user", "delete", "1"], "cannot be deleted"),
        (&["user", "wipe", "0"], "cannot be deleted"),
        (&["key", "reset", "0"], "the same everywhere"),
        (&["worker", "show", "Rig"], "no such worker"),
        (&["kudos", "pay", "0"], "no monthly kudos"),
    ] {
        let error = refused(data, arguments);
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
    server.stop();
    let nowhere = refused(&data.join("nowhere"), &["user", "list"]);
    assert!(
        nowhere.contains("no horde") && nowhere.contains("--data-dir"),
        "{nowhere}"
    );
}

#[test]
fn workers_are_looked_after() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let mut server = Running::serve(data, &[]);
    let key = fs::read_to_string(data.join("admin-key")).unwrap();
    let url = server.url().to_owned();
    let mut worker = Running::start(
        &[
            "worker",
            "--simulate",
            "--name",
            "Rig",
            "--url",
            &url,
            "--apikey",
            key.trim(),
            "--speed",
            "0",
        ],
        None,
    );
    // Once it has made a picture, it is known.
    let pictures = data.join("pictures");
    succeeds(muster(&[
        "generate",
        "a lighthouse",
        "--url",
        &url,
        "--apikey",
        key.trim(),
        "--out",
        pictures.to_str().unwrap(),
    ]));
    let listed = admin(data, &["worker", "list"]);
    let seen = &listed[0];
    worker.stop();
    assert_eq!(
        (&seen["name"], &seen["paused"], &seen["owner"]),
        (&json!("Rig"), &json!(false), &json!("admin#1"))
    );
    let set = [
        "worker",
        "set",
        "Rig",
        "maintenance=true",
        "paused=true",
        "name=Bench",
    ];
    assert_eq!(
        admin(data, &set),
        json!({"maintenance": true, "paused": true, "name": "Bench"})
    );
    let shown = admin(data, &["worker", "show", seen["id"].as_str().unwrap()]);
    assert_eq!(
        (&shown["name"], &shown["maintenance_mode"]),
        (&json!("Bench"), &json!(true))
    );
    assert_eq!(
        admin(data, &["worker", "delete", "Bench"])["deleted_name"],
        "Bench"
    );
    assert_eq!(admin(data, &["worker", "list"]), json!([]));
    server.stop();
}

/// A command with something on its standard input: what it printed, what it complained about, whether it succeeded.
fn with_input(arguments: &[&str], input: &str) -> (String, String, bool) {
    use std::{io::Write as _, process::Stdio};
    let mut command = muster(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.success())
}

#[test]
fn payloads_are_priced_line_by_line() {
    let price = |kind: &str, input: &str| {
        with_input(&["admin", "kudos", "price", "--json", "-", "--kind", kind], input)
    };
    let pictures = "{\"width\": 512, \"height\": 512, \"steps\": 20}\n\n{\"width\": 1024, \"height\": 1024, \"steps\": 20, \"post_processing\": [\"GFPGAN\"]}\n";
    let (prices, _, done) = price("image", pictures);
    assert!(done);
    let prices: Vec<f64> = prices.lines().map(|line| line.parse().unwrap()).collect();
    assert!(prices.len() == 2 && prices[0] < prices[1], "{prices:?}");
    let (prices, errors, done) = price(
        "alchemy",
        "{\"form\": \"caption\"}\n{\"form\": \"song\"}\n{\"form\": \"nsfw\"}\n",
    );
    assert_eq!((&*prices, done), ("1\nnull\n1\n", false));
    assert!(errors.contains("line 2: form cannot be \"song\""), "{errors}");
    let nowhere = fails(muster(&["admin", "kudos", "price", "/no/such/file"]));
    assert!(nowhere.contains("/no/such/file cannot be read"), "{nowhere}");
}

/// Changes the database of a server behind its back.
fn tamper(data: &Path, statement: &str) {
    use sea_orm::ConnectionTrait as _;
    let url = format!("sqlite:{}", data.join("muster.db").display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let database = sea_orm::Database::connect(&url).await.unwrap();
        let changed = database.execute_unprepared(statement).await.unwrap();
        assert_eq!(changed.rows_affected(), 1, "{statement}");
    });
}

#[test]
fn the_books_are_proved_explained_and_repaired() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let mut server = Running::serve(data, &[]);
    admin(data, &["user", "create", "Ann"]);
    admin(data, &["kudos", "give", "2", "100"]);
    admin(data, &["kudos", "give", "2", "-30"]);
    let audit = admin(data, &["kudos", "audit"]);
    assert_eq!(audit["clean"], json!(true));
    let history = admin(data, &["kudos", "history", "Ann#2"]);
    let told: Vec<(f64, f64)> = history["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["amount"].as_f64().unwrap(),
                entry["balance"].as_f64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [(-30.0, 70.0), (100.0, 100.0)]);
    assert_eq!(
        admin(data, &["kudos", "repair"]),
        json!({"applied": false, "repairs": []})
    );

    tamper(
        data,
        "UPDATE balances SET amount = amount + 500000 WHERE account = 2 AND pot = 0",
    );
    let wrong = refused(data, &["kudos", "audit"]);
    assert!(wrong.contains("the books are wrong"), "{wrong}");
    let correction = json!({
        "repair": "correct balance", "account": 2, "pot": "spendable", "balance": 5070.0, "entries": 70.0, "correction": -5000.0
    });
    let proposed = admin(data, &["kudos", "repair"]);
    assert_eq!(proposed, json!({"applied": false, "repairs": [correction]}));
    refused(data, &["kudos", "audit"]);
    let applied = admin(data, &["kudos", "repair", "--apply"]);
    assert_eq!(applied, json!({"applied": true, "repairs": [correction]}));
    let audit = admin(data, &["kudos", "audit"]);
    assert_eq!(audit["clean"], json!(true));
    assert_eq!(admin(data, &["user", "show", "2"])["kudos"], json!(70.0));
    // Without a server it is the same.
    server.stop();
    assert_eq!(admin(data, &["kudos", "audit"]), audit);
    let lines = succeeds(muster(&[
        "admin",
        "kudos",
        "history",
        "2",
        "--limit",
        "1",
        "--data-dir",
        data.to_str().unwrap(),
    ]));
    assert!(
        lines.contains("WHY") && lines.contains("reconciliation"),
        "{lines}"
    );
}

#[test]
fn filters_are_looked_after() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let mut server = Running::serve(data, &[]);
    let made = admin(
        data,
        &[
            "filter",
            "add",
            "fight|brawl",
            "--type",
            "20",
            "--description",
            "no fights",
        ],
    );
    let expected = json!({
        "id": "1", "regex": "fight|brawl", "filter_type": 20, "description": "no fights", "replacement": "", "user": "admin#1"
    });
    assert_eq!(made, expected);
    let mut counted = expected.clone();
    counted["hits"] = 0.into();
    counted["last_hit"] = Value::Null;
    assert_eq!(admin(data, &["filter", "list"]), json!([counted]));
    assert_eq!(
        admin(data, &["filter", "try", "a Brawl"]),
        json!({"suspicion": "1", "matches": ["Brawl"]})
    );
    let refused_expression = refused(data, &["filter", "add", "(?<!a)b", "--type", "20"]);
    assert!(refused_expression.contains("look-around"), "{refused_expression}");
    server.stop();
    assert_eq!(admin(data, &["filter", "remove", "1"]), json!({"message": "OK"}));
    assert!(refused(data, &["filter", "remove", "1"]).contains("no filter"));
    assert_eq!(admin(data, &["filter", "list"]), json!([]));
}

#[test]
fn addresses_are_blocked_and_modes_switched() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let mut server = Running::serve(data, &[]);
    let ok = json!({"message": "OK"});
    assert_eq!(
        admin(data, &["block", "add", "198.51.100.0/24", "--hours", "2"]),
        ok
    );
    let blocks = admin(data, &["block", "list"]);
    assert_eq!(blocks[0]["ipaddr"], "198.51.100.0/24");
    assert!(refused(data, &["block", "add", "198.51.100.1/24"]).contains("no IP address"));
    assert_eq!(admin(data, &["block", "remove", "198.51.100.0/24"]), ok);
    assert_eq!(admin(data, &["block", "list"]), json!([]));

    let modes = |raid| json!({"maintenance_mode": false, "invite_only_mode": false, "raid_mode": raid});
    assert_eq!(admin(data, &["mode", "on", "raid"]), modes(true));
    assert_eq!(admin(data, &["mode", "show"]), modes(true));
    server.stop();
    assert_eq!(admin(data, &["mode", "show"]), modes(true), "it is remembered");
    assert_eq!(admin(data, &["mode", "off", "raid"]), modes(false));
}

#[test]
fn a_backup_is_a_horde_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    let mut server = Running::serve(data, &[]);
    let key = admin(data, &["user", "create", "Ann"])["api_key"].clone();
    admin(data, &["kudos", "give", "Ann#2", "500"]);
    let copy = data.join("copy.db");
    let made = admin(data, &["backup", copy.to_str().unwrap()]);
    assert_eq!(made["file"], copy.to_str().unwrap());
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(refused(data, &["backup", copy.to_str().unwrap()]).contains("exists"));
    // What happens afterwards is not in it.
    admin(data, &["user", "create", "Ben"]);
    server.stop();

    let restored = tempfile::tempdir().unwrap();
    fs::copy(&copy, restored.path().join("muster.db")).unwrap();
    let data = restored.path();
    let mut server = Running::serve(data, &[]);
    let ann = admin(data, &["user", "show", "Ann#2"]);
    assert_eq!(ann["kudos"], 500.0);
    assert!(refused(data, &["user", "show", "Ben#3"]).contains("no user"));
    assert_eq!(admin(data, &["kudos", "audit"])["clean"], true);
    assert!(key.is_string());
    server.stop();
    // Also when no server runs.
    let second = data.join("second.db");
    admin(data, &["backup", second.to_str().unwrap()]);
    assert!(second.exists());
}
