//! `/metrics`: what is published, to whom, and that what is said about it elsewhere is true.

#![allow(clippy::unwrap_used)]

mod process;

use std::{collections::BTreeSet, fs, path::Path};

use process::Running;

/// The names of figures in a text, histograms by their own name.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_lowercase() || c == '_'));
    let figures = words.filter(|word| word.starts_with("muster_"));
    figures
        .map(|name| {
            let parts = ["_bucket", "_sum", "_count"];
            let own = parts.iter().find_map(|part| name.strip_suffix(part));
            own.unwrap_or(name).to_owned()
        })
        .collect()
}

fn demo(directory: &Path) -> Running {
    let mut server = Running::start(
        &[
            "demo",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            "data",
            "a lighthouse",
        ],
        Some(directory),
    );
    server.wait_for("The horde goes on");
    let output = server.output();
    let start = output.find("http://127.0.0.1:").unwrap();
    let url: String = output[start..]
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || ":/.".contains(*c))
        .collect();
    let url = url
        .split("/api")
        .next()
        .unwrap()
        .trim_end_matches(['/', '.'])
        .to_owned();
    server.set_url(&url);
    server
}

#[test]
fn what_dashboards_and_alerts_name_is_published() {
    let directory = tempfile::tempdir().unwrap();
    let server = demo(directory.path());
    let (head, scraped) = server.call("GET /metrics", "", "");
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("text/plain; version=0.0.4"),
        "{head}"
    );
    let published = names(&scraped);
    for (name, value) in [
        ("muster_requests_total{kind=\"image\"}", "1"),
        ("muster_jobs_total{kind=\"image\",outcome=\"delivered\"}", "1"),
        ("muster_jobs_in_progress{kind=\"image\"}", "0"),
    ] {
        assert!(
            scraped.contains(&format!("{name} {value}\n")),
            "{name}: {scraped}"
        );
    }
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    let mut named = BTreeSet::new();
    for file in ["grafana/muster.json", "prometheus/alerts.yml"] {
        named.extend(names(&fs::read_to_string(deploy.join(file)).unwrap()));
    }
    assert!(named.len() > 15, "{named:?}");
    // What only is there once it has happened.
    let rare = [
        "muster_pop_skips_total",
        "muster_queue_model_jobs",
        "muster_duty_failures_total",
    ];
    let missing: Vec<&String> = named
        .iter()
        .filter(|name| !published.contains(*name) && !rare.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?} of {published:?}");
    let sources =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/src/metrics.rs")).unwrap();
    assert!(rare.iter().all(|name| sources.contains(&format!("\"{name}\""))));
}

#[test]
fn only_those_whom_the_operator_names_see_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Running::serve(directory.path(), &["--trusted-proxies", "1"]);
    assert!(server.call("GET /metrics", "", "").0.starts_with("HTTP/1.1 200"));
    let far = server
        .call("GET /metrics", "X-Forwarded-For: 198.51.100.7\r\n", "")
        .0;
    assert!(far.starts_with("HTTP/1.1 404"), "{far}");
    server.stop();
    let arguments = ["--trusted-proxies", "1", "--metrics-readers", "198.51.100.0/24"];
    let server = Running::serve(directory.path(), &arguments);
    let far = server
        .call("GET /metrics", "X-Forwarded-For: 198.51.100.7\r\n", "")
        .0;
    assert!(far.starts_with("HTTP/1.1 200"), "{far}");
    assert!(server.call("GET /metrics", "", "").0.starts_with("HTTP/1.1 404"));
}
