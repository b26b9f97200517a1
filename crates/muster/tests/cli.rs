//! The commands as a user runs them: what they print, what they leave behind, how they fail.

#![allow(clippy::unwrap_used)]

mod process;

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt as _};

use process::{Running, fails, muster, succeeds};

#[test]
fn the_first_start_makes_the_administrator_and_later_ones_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Running::serve(directory.path(), &["--admin-name", "Alice"]);
    assert!(server.said("Its administrator is Alice#1"), "{}", server.output());
    let file = directory.path().join("admin-key");
    let key = fs::read_to_string(&file).unwrap();
    assert_eq!(key.trim().len(), 22);
    assert!(server.said(key.trim()), "{}", server.output());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    server.stop();

    let mut again = Running::serve(directory.path(), &["--admin-name", "Bob"]);
    assert!(!again.said("administrator"), "{}", again.output());
    assert_eq!(fs::read_to_string(&file).unwrap(), key);
    again.stop();
}

#[test]
fn a_port_in_use_is_named_before_anything_is_made() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let error = fails(muster(&[
        "serve",
        "--listen",
        &address,
        "--data-dir",
        data.to_str().unwrap(),
    ]));
    assert!(error.contains(&address) && error.contains("--listen"), "{error}");
    assert!(!data.exists());
}

#[test]
fn a_data_directory_belongs_to_one_server() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Running::serve(directory.path(), &[]);
    let data = directory.path().to_str().unwrap();
    let error = fails(muster(&["serve", "--listen", "127.0.0.1:0", "--data-dir", data]));
    assert!(error.contains("another Muster"), "{error}");
    server.stop();
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let inside = file.join("data");
    let error = fails(muster(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        inside.to_str().unwrap(),
    ]));
    assert!(
        error.contains("data directory") && error.contains("file/data"),
        "{error}"
    );
}

#[test]
fn a_database_that_is_not_there_is_named_without_its_password() {
    let directory = tempfile::tempdir().unwrap();
    let url = "postgres://muster:hunter2@127.0.0.1:1/muster";
    let data = directory.path().to_str().unwrap();
    let error = fails(muster(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        data,
        "--database",
        url,
    ]));
    assert!(
        error.contains("127.0.0.1:1") && !error.contains("hunter2"),
        "{error}"
    );
}

#[test]
fn a_wrong_secret_key_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    Running::serve(directory.path(), &["--secret-key", "right"]).stop();
    let data = directory.path().to_str().unwrap();
    let error = fails(muster(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data-dir",
        data,
        "--secret-key",
        "wrong",
    ]));
    assert!(error.contains("secret key"), "{error}");
}

#[test]
fn options_come_from_flags_environment_and_file() {
    let help = succeeds(muster(&["serve", "--help"]));
    for option in [
        "listen",
        "data-dir",
        "database",
        "blobs",
        "admin-name",
        "public-url",
        "config",
    ] {
        assert!(help.contains(&format!("--{option}")), "{option}");
        assert!(
            help.contains(&format!("MUSTER_{}", option.to_uppercase().replace('-', "_"))),
            "{option}"
        );
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("muster.toml");
    fs::write(&file, "admin-name = \"Carol\"\nlog = \"warn\"\n").unwrap();
    let mut server = Running::serve(directory.path(), &["--config", file.to_str().unwrap()]);
    assert!(server.said("Carol#1"), "{}", server.output());
    server.stop();
}

#[test]
fn migrations_run_once() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("new");
    let arguments = ["migrate", "--data-dir", data.to_str().unwrap()];
    let first = succeeds(muster(&arguments));
    assert!(first.contains("applied m0001"), "{first}");
    let second = succeeds(muster(&arguments));
    assert!(second.starts_with("0 applied now"), "{second}");
}

#[test]
fn a_terminated_server_finishes_and_exits_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Running::serve(directory.path(), &["--log-format", "json"]);
    let (status, errors) = server.stop();
    assert!(status.success(), "{errors}");
    assert!(errors.lines().all(|line| line.starts_with('{')), "{errors}");
    assert!(errors.contains("\"stopped\""), "{errors}");
}

#[test]
fn a_worker_and_a_client_meet_through_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Running::serve(directory.path(), &[]);
    let key = fs::read_to_string(directory.path().join("admin-key")).unwrap();
    let key = key.trim();
    let url = server.url().to_owned();
    let mut worker = Running::start(
        &[
            "worker",
            "--simulate",
            "--url",
            &url,
            "--apikey",
            key,
            "--name",
            "keeper",
            "--speed",
            "0",
        ],
        None,
    );
    let pictures = directory.path().join("pictures");
    let output = succeeds(muster(&[
        "generate",
        "a calm sea",
        "--url",
        &url,
        "--apikey",
        key,
        "--width",
        "128",
        "--height",
        "64",
        "--seed",
        "7",
        "--out",
        pictures.to_str().unwrap(),
    ]));
    let picture = pictures.join("a-calm-sea-7.webp");
    assert!(output.contains(picture.to_str().unwrap()), "{output}");
    let bytes = fs::read(&picture).unwrap();
    assert_eq!(
        (&bytes[..4], &bytes[8..12]),
        (b"RIFF".as_slice(), b"WEBP".as_slice())
    );
    let (status, errors) = worker.stop();
    assert!(status.success(), "{errors}");
    server.stop();
}

#[test]
fn texts_and_alchemy_go_through_a_server_too() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Running::serve(directory.path(), &[]);
    let key = fs::read_to_string(directory.path().join("admin-key")).unwrap();
    let (key, url) = (key.trim(), server.url().to_owned());
    let worker = |kind: &str| {
        let name = format!("{kind} worker");
        Running::start(
            &[
                "worker",
                "--simulate",
                "--kind",
                kind,
                "--url",
                &url,
                "--apikey",
                key,
                "--name",
                &name,
                "--idle",
                "0.1",
                "--tokens-per-second",
                "instant",
                "--seconds-per-form",
                "0",
                "--grace",
                "1",
            ],
            None,
        )
    };
    let (mut scribe, mut alchemist) = (worker("text"), worker("alchemy"));
    let price = ["generate", "Once", "--text", "--dry-run", "--url", &url];
    assert_eq!(succeeds(muster(&price)), "37 kudos\n");
    let ask = [
        "generate",
        "Once upon a time",
        "--text",
        "--max-length",
        "40",
        "-n",
        "2",
        "--url",
        &url,
    ];
    let text = succeeds(muster(&ask));
    assert_eq!(text.matches("(simulated)").count(), 2, "{text}");

    let picture = directory.path().join("sea.png");
    image::RgbImage::from_pixel(40, 30, image::Rgb([10, 20, 200]))
        .save(&picture)
        .unwrap();
    let mut ask = muster(&["generate", "--alchemy=caption,RealESRGAN_x2plus", "--url", &url]);
    ask.arg("--source")
        .arg(&picture)
        .arg("--out")
        .arg(directory.path());
    let told = succeeds(ask);
    let mut lines = told.lines();
    assert_eq!(
        lines.next(),
        Some(r#"{"caption":"a dark, flat, bluish, wide picture of 40x30 pixels (simulated)"}"#)
    );
    let file = lines.next().unwrap();
    assert!(file.ends_with("sea-realesrgan-x2plus.webp"), "{file}");
    let enlarged = image::open(file).unwrap();
    assert_eq!((enlarged.width(), enlarged.height()), (80, 60));

    for worker in [&mut scribe, &mut alchemist] {
        let (status, errors) = worker.stop();
        assert!(status.success(), "{errors}");
        assert!(
            worker.said("2 delivered, 0 faulted, 0 lost"),
            "{}",
            worker.output()
        );
    }
    server.stop();
}

#[test]
fn the_demo_ends_with_a_picture_and_can_be_started_again() {
    let directory = tempfile::tempdir().unwrap();
    for start in ["first", "second"] {
        let mut demo = Running::start(
            &["demo", "a red boat", "--listen", "127.0.0.1:0"],
            Some(directory.path()),
        );
        demo.wait_for("The horde goes on");
        assert!(demo.said("The picture is in"), "{start}: {}", demo.output());
        let (status, errors) = demo.interrupt();
        assert!(status.success(), "{start}: {errors}");
    }
    let pictures = fs::read_dir(directory.path()).unwrap();
    let pictures = pictures.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|e| e == "webp")
    });
    assert_eq!(pictures.count(), 2);
}

#[test]
fn a_demo_on_a_taken_port_says_so() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let mut command = muster(&["demo", "--listen", &address]);
    command.current_dir(directory.path());
    let error = fails(command);
    assert!(error.contains(&address) && error.contains("--listen"), "{error}");
}

#[test]
fn a_demo_can_be_interrupted_while_the_picture_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let mut demo = Running::start(&["demo", "--listen", "127.0.0.1:0"], Some(directory.path()));
    demo.wait_for("are asking for work");
    let (status, errors) = demo.interrupt();
    assert!(status.success(), "{errors}");
}
