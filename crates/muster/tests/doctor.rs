//! `muster doctor`.

#![allow(clippy::unwrap_used)]

mod process;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use process::{Running, muster};

/// What it prints, and whether all is well.
fn doctor(data: &Path, arguments: &[&str]) -> (String, bool) {
    let mut all = vec!["doctor", "--data-dir", data.to_str().unwrap()];
    all.extend(arguments);
    let output = muster(&all).output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

#[test]
fn a_new_and_a_running_horde_are_well() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let (said, well) = doctor(&data, &[]);
    assert!(well && said.contains("made at the first start"), "{said}");
    assert!(!data.exists(), "nothing is made");
    let mut server = Running::serve(&data, &[]);
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
    let (said, well) = doctor(&data, &[]);
    assert!(well, "{said}");
    for line in [
        "ok       configuration",
        "can be written",
        "its schema is up to date",
        "pictures: they can be written, read and deleted",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    server.stop();
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    Running::serve(data, &[]).stop();
    fs::set_permissions(data, fs::Permissions::from_mode(0o755)).unwrap();
    let (said, well) = doctor(
        data,
        &[
            "--listen",
            "0.0.0.0:0",
            "--test-apikeys",
            "--public-url",
            "https://horde.example",
        ],
    );
    assert!(well, "these are only odd: {said}");
    for line in ["chmod 700", "--test-apikeys is for tests", "--trusted-proxies 1"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    for (arguments, expected) in [
        (&["--models", "nowhere.json"][..], "nowhere.json"),
        (&["--ip-checker", "https://example.org"], "{ipaddr}"),
        (&["--metrics-readers", "here"], "--metrics-readers"),
        (&["--database", "mysql://x"], "sqlite: or postgres:"),
        (&["--blobs", "s3:"], "--s3-endpoint"),
        (&["--config", "nowhere.toml"], "nowhere.toml"),
    ] {
        let (said, well) = doctor(data, arguments);
        assert!(
            !well && said.contains("PROBLEM") && said.contains(expected),
            "{arguments:?}: {said}"
        );
    }
    // A file that is no database any more.
    let file = data.join("muster.db");
    let mut bytes = fs::read(&file).unwrap();
    let length = bytes.len();
    bytes[4096..length / 2].fill(0x5a);
    fs::write(&file, bytes).unwrap();
    let (said, well) = doctor(data, &[]);
    assert!(!well && said.contains("PROBLEM  database"), "{said}");
}
