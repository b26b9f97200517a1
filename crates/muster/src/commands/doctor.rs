//! `muster doctor`: looks at everything that a server needs, and says what to do.

use std::{
    fmt,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, SystemTime},
};

use muster_store::{Bucket, Examination, StoreError, examine};
use rustix::fs::statvfs;

use crate::{
    node,
    settings::{Options, Settings},
};

/// Less room than this on the disk is a problem, less than ten times as much is worth a word.
const LITTLE_ROOM: u64 = 1 << 30;
/// Fewer open files than this are too few for a busy horde.
const FEW_FILES: usize = 4096;
/// Clocks that differ more than this make pictures' addresses expire early, and nodes disagree.
const LARGE_DIFFERENCE: Duration = Duration::from_secs(5);
/// Whoever believes that it is earlier than this has no clock.
const LONG_AGO: Duration = Duration::from_secs(1_750_000_000);

/// What was found out about one thing.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Fine(String),
    /// Something to think about.
    Odd(String),
    /// The server will not start, or will lose something.
    Bad(String),
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, text) = match self {
            Self::Fine(text) => ("ok     ", text),
            Self::Odd(text) => ("notice ", text),
            Self::Bad(text) => ("PROBLEM", text),
        };
        write!(f, "{sign}  {text}")
    }
}

/// Looks at everything. It can be done while a server runs.
///
/// # Errors
/// There is a problem; what was found has been printed.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let settings = match Settings::load(&options, |name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(error) => return tell(&[Finding::Bad(format!("configuration: {error:#}"))]),
    };
    let mut findings = vec![Finding::Fine("configuration: it can be read".to_owned())];
    findings.extend(configuration(&settings));
    findings.push(directory(&settings));
    findings.push(room(&settings));
    findings.push(files());
    findings.push(clock(SystemTime::now()));
    findings.extend(database(examine(&node::database_url(&settings)).await));
    findings.push(blobs(&settings).await);
    tell(&findings)
}

fn tell(findings: &[Finding]) -> anyhow::Result<()> {
    for finding in findings {
        println!("{finding}");
    }
    let bad = findings
        .iter()
        .filter(|finding| matches!(finding, Finding::Bad(_)))
        .count();
    anyhow::ensure!(bad == 0, "{bad} of these must be mended before the horde can run");
    Ok(())
}

fn configuration(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = node::check(settings) {
        findings.push(Finding::Bad(format!("configuration: {error:#}")));
    }
    let exposed = !settings.listen.ip().is_loopback();
    for (is_set, option) in [
        (settings.test_apikeys, "--test-apikeys"),
        (settings.test_ratelimit_disabled, "--test-ratelimit-disabled"),
        (settings.outbound_private, "--outbound-private"),
    ] {
        if is_set && exposed {
            let text = format!(
                "{option} is for tests, but the server listens on {}",
                settings.listen
            );
            findings.push(Finding::Odd(text));
        }
    }
    let secure = settings
        .public_url
        .as_deref()
        .is_some_and(|url| url.starts_with("https:"));
    if secure && settings.trusted_proxies == 0 {
        let text = "the public address is https, so there is a proxy in front: say --trusted-proxies 1, or all callers \
                    seem to be the proxy, and share its limits";
        findings.push(Finding::Odd(text.to_owned()));
    }
    findings
}

fn directory(settings: &Settings) -> Finding {
    let path = &settings.data_dir;
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(_) => Finding::Fine(format!("data directory: {shown} is made at the first start")),
        Ok(found) if !found.is_dir() => Finding::Bad(format!("data directory: {shown} is no directory")),
        Ok(found) if found.permissions().mode() & 0o007 != 0 => Finding::Odd(format!(
            "data directory: everybody on this machine can look into {shown}; chmod 700 {shown}"
        )),
        Ok(_) => match write_in(path) {
            Ok(()) => Finding::Fine(format!("data directory: {shown} can be written")),
            Err(error) => Finding::Bad(format!("data directory: {shown} cannot be written: {error}")),
        },
    }
}

/// Leaves nothing behind.
fn write_in(directory: &Path) -> std::io::Result<()> {
    let file = directory.join(format!("doctor-was-here-{}", std::process::id()));
    std::fs::write(&file, "")?;
    std::fs::remove_file(file)
}

fn room(settings: &Settings) -> Finding {
    let mut path = settings.data_dir.as_path();
    while !path.exists() {
        match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => path = parent,
            _ => path = Path::new("."),
        }
    }
    let Ok(disk) = statvfs(path) else {
        return Finding::Odd(format!(
            "disk: it is not known how much room there is at {}",
            path.display()
        ));
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let text = format!("disk: {:.1} GB are free at {}", free as f64 / 1e9, path.display());
    if free < LITTLE_ROOM {
        Finding::Bad(format!("{text}; a horde that cannot write stops"))
    } else if free < 10 * LITTLE_ROOM {
        Finding::Odd(text)
    } else {
        Finding::Fine(text)
    }
}

fn files() -> Finding {
    match node::open_files() {
        Some(files) if files < FEW_FILES => Finding::Odd(format!(
            "open files: {files} are allowed, which limits connections; raise it (ulimit -n, LimitNOFILE)"
        )),
        Some(files) => Finding::Fine(format!("open files: {files} are allowed")),
        None => Finding::Fine("open files: they are not limited".to_owned()),
    }
}

fn clock(now: SystemTime) -> Finding {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if since < LONG_AGO {
        return Finding::Bad("clock: this machine believes to be in the past; set its clock".to_owned());
    }
    Finding::Fine("clock: it is set".to_owned())
}

fn database(examined: Result<Examination, StoreError>) -> Vec<Finding> {
    let examination = match examined {
        Ok(examination) => examination,
        // A file that is not there is made at the first start.
        Err(StoreError::CannotConnect { hint, .. }) if hint.contains("does not exist") => {
            return vec![Finding::Fine(
                "database: it is made at the first start".to_owned(),
            )];
        }
        Err(error) => return vec![Finding::Bad(format!("database: {error}"))],
    };
    let mut findings = vec![match examination.missing.as_slice() {
        [] => Finding::Fine("database: it answers, and its schema is up to date".to_owned()),
        missing => Finding::Odd(format!(
            "database: {} steps of its schema are missing; the next start makes up for them, so back it up before",
            missing.len()
        )),
    }];
    if let Some(damage) = examination.damage {
        findings.push(Finding::Bad(format!(
            "database: the file is damaged; restore a backup (docs/backup.md). {damage}"
        )));
    }
    if examination.clock_difference > LARGE_DIFFERENCE {
        findings.push(Finding::Odd(format!(
            "clock: that of the database's machine differs by {} s; let both follow the same time server",
            examination.clock_difference.as_secs()
        )));
    }
    findings
}

/// Whether pictures can be written, read and deleted.
async fn blobs(settings: &Settings) -> Finding {
    const KEY: &str = "doctor-was-here";
    let is_local = !settings
        .blobs
        .as_deref()
        .is_some_and(|place| place.starts_with("s3:"));
    if is_local && !settings.data_dir.exists() && settings.blobs.is_none() {
        return Finding::Fine("pictures: their directory is made at the first start".to_owned());
    }
    let tried = async {
        let blobs = node::open_blobs(settings)?;
        blobs.put(Bucket::Transient, KEY, KEY.into()).await?;
        let read = blobs.get(Bucket::Transient, KEY).await?;
        blobs.delete(Bucket::Transient, KEY).await?;
        anyhow::ensure!(
            read.is_some_and(|read| read == KEY),
            "what was written is not what is read"
        );
        anyhow::Ok(())
    };
    match tried.await {
        Ok(()) => Finding::Fine("pictures: they can be written, read and deleted".to_owned()),
        Err(error) => Finding::Bad(format!("pictures: {error:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_told_apart() {
        let examination = |missing: &[&str], damage: Option<&str>, seconds| Examination {
            missing: missing.iter().map(|name| (*name).to_owned()).collect(),
            damage: damage.map(str::to_owned),
            clock_difference: Duration::from_secs(seconds),
        };
        let kinds = |examined| -> String {
            let findings = database(examined).into_iter();
            findings
                .map(|finding| match finding {
                    Finding::Fine(_) => 'f',
                    Finding::Odd(_) => 'o',
                    Finding::Bad(_) => 'b',
                })
                .collect()
        };
        assert_eq!(kinds(Ok(examination(&[], None, 0))), "f");
        assert_eq!(kinds(Ok(examination(&["m"], None, 6))), "oo");
        assert_eq!(kinds(Ok(examination(&[], Some("page 7"), 0))), "fb");
        assert_eq!(kinds(Err(StoreError::Closed)), "b");
    }

    #[test]
    fn a_machine_without_a_clock_is_noticed() {
        assert!(matches!(clock(SystemTime::UNIX_EPOCH), Finding::Bad(_)));
        assert!(matches!(clock(SystemTime::now()), Finding::Fine(_)));
    }
}
