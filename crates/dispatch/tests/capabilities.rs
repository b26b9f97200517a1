//! The capability tables of bridge agents (spec: image, section 8), checked row by row at the version
//! where a capability appears and just below it.

#![allow(clippy::unwrap_used, missing_docs)]

use std::str::FromStr;

use muster_dispatch::image::{BridgeAgent, Capabilities, Capability, Version};
use muster_protocol::image::{PostProcessor, Sampler};
use strum::IntoEnumIterator;

const AGENTS: [&str; 4] = [
    "AI Horde Worker reGen",
    "AI Horde Worker",
    "SD-WebUI Stable Horde Worker Bridge",
    "HordeAutoWebBridge",
];

/// The table as the specification prints it: `-` is never.
const CAPABILITIES: &[(Capability, &str)] = &[
    (Capability::Img2img, "1 3 - 1"),
    (Capability::Inpainting, "1 4 1 -"),
    (Capability::Karras, "1 6 1 1"),
    (Capability::PostProcessing, "1 7 - -"),
    (Capability::R2, "1 8 1 -"),
    (Capability::ClipSkip, "1 13 4 -"),
    (Capability::HiresFix, "1 13 - -"),
    (Capability::R2Source, "1 14 3 -"),
    (Capability::Controlnet, "1 15 - -"),
    (Capability::ReturnControlMap, "1 18 - -"),
    (Capability::ImageIsControl, "1 23 - -"),
    (Capability::Tiling, "1 - 2 2"),
    (Capability::Lora, "2 22 - -"),
    (Capability::TextualInversion, "2 24 - -"),
    (Capability::LoraVersions, "3 - - -"),
    (Capability::ExtraSourceImages, "5 - - -"),
    (Capability::StableCascade2pass, "6 - - -"),
    (Capability::QrCode, "7 - - -"),
    (Capability::ExtraTexts, "7 - - -"),
    (Capability::Workflow, "7 - - -"),
    (Capability::LayerDiffuse, "8 - - -"),
    (Capability::Flux, "9 - - -"),
];

const POST_PROCESSORS: &[(&str, &str)] = &[
    ("GFPGAN", "1 7 - -"),
    ("RealESRGAN_x4plus", "1 7 - -"),
    ("CodeFormers", "1 9 1 -"),
    ("strip_background", "1 18 - -"),
    ("RealESRGAN_x4plus_anime_6B", "1 18 - -"),
    ("NMKD_Siax", "1 19 - -"),
    ("4x_AnimeSharp", "1 19 - -"),
    ("RealESRGAN_x2plus", "1 21 - -"),
    ("4xNomos8kSC", "13 - - -"),
    ("4xLSDIRplus", "13 - - -"),
    ("4xNomosWebPhoto_RealPLKSR", "13 - - -"),
    ("4xNomos2_realplksr_dysample", "13 - - -"),
    ("4xNomos2_hq_dat2", "13 - - -"),
    ("2xModernSpanimationV1", "13 - - -"),
    ("GFPGANv1.3", "13 - - -"),
    ("RestoreFormer", "13 - - -"),
];

/// `K` with and without Karras, `N` without only.
const SAMPLERS: &[(&str, &str)] = &[
    ("k_lms", "K2 K11 K1 K1"),
    ("k_dpm_2", "K2 K11 K1 K1"),
    ("k_dpm_2_a", "K2 K11 K1 K1"),
    ("k_dpmpp_2s_a", "K2 K11 K1 K1"),
    ("k_dpmpp_2m", "K2 K11 K1 K1"),
    ("k_heun", "K2 K11 K1 N1"),
    ("k_euler", "K2 K11 K1 N1"),
    ("k_euler_a", "K2 K11 K1 N1"),
    ("k_dpm_fast", "K2 K11 K1 N1"),
    ("k_dpm_adaptive", "K2 K11 K1 N1"),
    ("dpmsolver", "K2 K11 - K1"),
    ("k_dpmpp_sde", "K2 K12 K1 -"),
    ("DDIM", "K2 N17 N1 -"),
    ("lcm", "K3 - - -"),
];

fn agent(name: &str, version: impl std::fmt::Display) -> Capabilities {
    BridgeAgent::parse(&format!("{name}:{version}:https://example.org")).capabilities()
}

/// Goes through a row: `present` must hold from the version given for each agent on, and not below.
fn check_row(what: &str, row: &str, present: impl Fn(Capabilities) -> bool) {
    assert_eq!(row.split(' ').count(), AGENTS.len());
    for (name, since) in AGENTS.iter().zip(row.split(' ')) {
        let Ok(since) = since.parse::<u32>() else {
            assert!(!present(agent(name, "999")), "{name} never has {what}");
            continue;
        };
        for version in [
            format!("{since}"),
            format!("{since}.0.0+dev.abc"),
            format!("{since}.0.1-rc"),
            format!("{}.9", since + 5),
        ] {
            assert!(present(agent(name, &version)), "{name} {version} has {what}");
        }
        for version in [
            format!("{}.99.99", since - 1),
            format!("{since}.0.0-rc"),
            format!("{since}-rc.1"),
            "0".into(),
        ] {
            assert!(!present(agent(name, &version)), "{name} {version} lacks {what}");
        }
    }
    assert!(
        !present(Capabilities::default()) || what.starts_with("sampler"),
        "nobody knows {what}"
    );
}

#[test]
fn capabilities_appear_with_their_version() {
    for &(capability, row) in CAPABILITIES {
        check_row(&format!("{capability:?}"), row, |able| able.has(capability));
    }
}

#[test]
fn post_processors_appear_with_their_version() {
    assert_eq!(POST_PROCESSORS.len(), PostProcessor::iter().count());
    for &(name, row) in POST_PROCESSORS {
        let processor = PostProcessor::from_str(name).unwrap();
        check_row(name, row, |able| able.runs(processor));
    }
}

#[test]
fn samplers_appear_with_their_version() {
    assert_eq!(SAMPLERS.len(), Sampler::iter().count());
    for &(name, row) in SAMPLERS {
        let sampler = Sampler::from_str(name).unwrap();
        let plain = row.replace(['K', 'N'], "");
        let karras: Vec<String> = row
            .split(' ')
            .map(|cell| cell.strip_prefix('K').unwrap_or("-").to_owned())
            .collect();
        check_row(&format!("sampler {name}"), &plain, |able| {
            able.samples(sampler, false)
        });
        check_row(
            &format!("sampler {name} with Karras"),
            &karras.join(" "),
            |able| able.samples(sampler, true),
        );
    }
}

#[test]
fn unknown_agents_have_the_samplers_of_an_old_worker() {
    for text in [
        "nobody:99:x",
        "unknown:0:unknown",
        "",
        "AI Horde Worker",
        "AI Horde Worker reGen:20",
    ] {
        let unknown = BridgeAgent::parse(text).capabilities();
        for sampler in Sampler::iter() {
            for karras in [false, true] {
                assert_eq!(
                    unknown.samples(sampler, karras),
                    agent("AI Horde Worker", 23).samples(sampler, karras),
                    "{text:?} {sampler} {karras}"
                );
            }
        }
        assert!(!unknown.has(Capability::R2));
    }
}

#[test]
fn agents_are_read_leniently() {
    let read = |text| {
        let agent = BridgeAgent::parse(text);
        (agent.name, agent.version)
    };
    let version = |major, minor, patch| Version::new(major, minor, patch);
    assert_eq!(read("a b:13:c"), ("a b".into(), version(13, 0, 0)));
    assert_eq!(read("a:9.1:https://x:80/y"), ("a".into(), version(9, 1, 0)));
    assert_eq!(read("a:10.0.1:"), ("a".into(), version(10, 0, 1)));
    assert_eq!(read("a:9.0.1-rc:c").1, Version::parse("9.0.1-rc").unwrap());
    assert_eq!(
        read("a:9-rc+dev.abc:c").1,
        Version::parse("9.0.0-rc+dev.abc").unwrap()
    );
    for nonsense in [
        "a",
        "a:1",
        "a:v3:c",
        "a:01:c",
        "a:1.2.3.4:c",
        "a::c",
        "a: 1:c",
        "a:1.:c",
        "a:-1:c",
    ] {
        assert_eq!(read(nonsense), ("unknown".into(), version(0, 0, 0)), "{nonsense}");
    }
}

#[test]
fn reward_classes_can_be_told_apart() {
    let is = |text, name, major| BridgeAgent::parse(text).is_at_least(name, major);
    assert!(is("AI Horde Worker reGen:13:x", "AI Horde Worker reGen", 13));
    assert!(!is("AI Horde Worker reGen:12.9:x", "AI Horde Worker reGen", 13));
    assert!(!is("AI Horde Worker:24:x", "AI Horde Worker reGen", 13));
}
