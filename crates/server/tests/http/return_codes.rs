//! Every return code that the horde sends is provoked by a test, and no other is sent.

use std::{fs, path::Path};

use muster_protocol::ReturnCode as C;
use strum::IntoEnumIterator as _;

/// Codes that are published and never sent, for a reason.
const NEVER_SENT: [C; 22] = [
    // More special ones are sent.
    C::KudosValidationError,
    C::NameAlreadyExists,
    C::NoValidActions,
    C::NotPrivileged,
    C::NotTrusted,
    C::Profanity,
    C::TooLong,
    // The schema answers before.
    C::BadCfgNumber,
    C::InvalidSize,
    C::TooManySteps,
    C::UnsupportedModel,
    C::UnsupportedSampler,
    // Another code is sent, or the same rule is checked before.
    C::BadClientAgent,
    C::HiResFixMismatch,
    C::Img2ImgMismatch,
    C::InvalidRemixModel,
    C::NoValidWorkers,
    C::RequestExpired,
    C::TilingMismatch,
    C::TooManySameIps,
    // Cannot happen here: workers can always be deleted, and joint best pictures do not conflict.
    C::Locked,
    C::AestheticsConfused,
];

/// The texts of all sources below a directory.
fn sources(directory: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.push_str(&sources(&path));
        } else if !path.ends_with("return_codes.rs") {
            all.push_str(&fs::read_to_string(&path).unwrap_or_default());
        }
    }
    all
}

#[test]
fn every_code_that_is_sent_has_a_test() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = sources(&here.join("tests/http"));
    let engine = sources(&here.join("../engine/src"));
    let mut wrong = Vec::new();
    for code in C::iter() {
        let (wire, variant) = (code.as_ref(), format!("ReturnCode::{code:?}"));
        let tested = tests.contains(&format!("\"{wire}\""));
        // A variant's name may be the beginning of another one.
        let sent = engine.match_indices(&variant).any(|(at, _)| {
            let next = engine[at + variant.len()..].chars().next();
            !next.is_some_and(char::is_alphanumeric)
        });
        let never = NEVER_SENT.contains(&code);
        match (never, sent, tested) {
            (false, _, false) => wrong.push(format!("{wire} is not provoked by any test")),
            (true, true, _) => wrong.push(format!("{wire} is sent after all")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
