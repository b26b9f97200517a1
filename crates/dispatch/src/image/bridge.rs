//! Bridge agents, that is the software workers run, and what each version of it is able to do
//! (spec: image, section 8). The tables are the specification's, row for row.

use muster_protocol::{
    BUNDLED_WORKER,
    image::{PostProcessor, Sampler},
};
use semver::Version;

/// The software a worker runs, as it names itself: `name:version:contact`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BridgeAgent {
    /// The name, `unknown` if the text made no sense.
    pub name: String,
    /// The version, 0 if the text made no sense.
    pub version: Version,
}

impl BridgeAgent {
    /// Reads `name:version:contact`. The contact may contain colons; all three parts must be there.
    /// The version is semantic, but minor and patch may be left out (`13`, `9.1`, `9.0.1-rc`).
    pub fn parse(text: &str) -> Self {
        Self::try_parse(text).unwrap_or_else(|| Self {
            name: "unknown".to_owned(),
            version: Version::new(0, 0, 0),
        })
    }

    fn try_parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (name, version, _contact) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            name: name.to_owned(),
            version: parse_version(version)?,
        })
    }

    /// The name of the software; `unknown` if the text was no agent.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is version `major` or later of the named software.
    pub fn is_at_least(&self, name: &str, major: u64) -> bool {
        self.name == name && reaches(&self.version, major)
    }

    /// What it is able to do. Muster's own worker, whose backends decide by themselves what to refuse,
    /// is credited with all that the newest reGen worker can do.
    pub fn capabilities(&self) -> Capabilities {
        if self.name == BUNDLED_WORKER {
            let newest = Version::new(NEWEST_REGEN, 0, 0);
            return Self {
                name: AGENTS[0].to_owned(),
                version: newest,
            }
            .capabilities();
        }
        let mut found = Capabilities::NONE;
        if let Some(column) = AGENTS.iter().position(|&name| name == self.name) {
            let present = |since: u64| since != NEVER && reaches(&self.version, since);
            for (capability, since) in CAPABILITIES {
                found.abilities |= u64::from(present(since[column])) << *capability as u32;
            }
            for (processor, since) in POST_PROCESSORS {
                found.post_processors |= u32::from(present(since[column])) << *processor as u32;
            }
            found.samplers = samplers(&self.version, column);
        } else {
            found.samplers = samplers(&Version::new(SAMPLERS_OF_UNKNOWN.1, 0, 0), SAMPLERS_OF_UNKNOWN.0);
        }
        found
    }
}

/// Something that a bridge agent is able to do or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the specification's names
pub enum Capability {
    Img2img,
    Inpainting,
    Karras,
    PostProcessing,
    R2,
    ClipSkip,
    HiresFix,
    R2Source,
    Controlnet,
    ReturnControlMap,
    ImageIsControl,
    Tiling,
    Lora,
    TextualInversion,
    LoraVersions,
    ExtraSourceImages,
    StableCascade2pass,
    QrCode,
    ExtraTexts,
    Workflow,
    LayerDiffuse,
    Flux,
}

/// All that one version of a bridge agent is able to do.
///
/// The default is what a worker can do whose software is unknown: nothing but the usual samplers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// One bit for each [`Capability`].
    abilities: u64,
    /// One bit for each [`PostProcessor`].
    post_processors: u32,
    /// Two bits for each [`Sampler`]: without and with Karras.
    samplers: u32,
}

impl Default for Capabilities {
    fn default() -> Self {
        BridgeAgent::parse("").capabilities()
    }
}

impl Capabilities {
    const NONE: Self = Self {
        abilities: 0,
        post_processors: 0,
        samplers: 0,
    };

    /// Whether the capability is there.
    pub fn has(self, capability: Capability) -> bool {
        self.abilities >> capability as u32 & 1 == 1
    }

    /// Whether the post-processor is there.
    pub fn runs(self, processor: PostProcessor) -> bool {
        self.post_processors >> processor as u32 & 1 == 1
    }

    /// Whether it draws with this sampler and schedule.
    pub fn samples(self, sampler: Sampler, karras: bool) -> bool {
        self.samplers >> sampler_bit(sampler, karras) & 1 == 1
    }

    /// One bit for each combination of sampler and schedule, see [`sampler_bit`].
    pub(super) fn sampler_bits(self) -> u32 {
        self.samplers
    }

    /// One bit for each post-processor, by the order of the enumeration.
    pub(super) fn post_processor_bits(self) -> u32 {
        self.post_processors
    }
}

/// The number of combinations of sampler and schedule.
pub(super) const SAMPLER_BITS: u32 = 2 * (Sampler::Lcm as u32 + 1);

/// The number of post-processors.
pub(super) const POST_PROCESSOR_BITS: u32 = PostProcessor::RestoreFormer as u32 + 1;

/// The number of a combination of sampler and schedule.
pub(super) fn sampler_bit(sampler: Sampler, karras: bool) -> u32 {
    sampler as u32 * 2 + u32::from(karras)
}

/// A semantic version whose minor and patch may be left out.
fn parse_version(text: &str) -> Option<Version> {
    let end = text.find(['-', '+']).unwrap_or(text.len());
    let (core, suffix) = text.split_at(end);
    let padding = match core.matches('.').count() {
        0 => ".0.0",
        1 => ".0",
        _ => "",
    };
    Version::parse(&format!("{core}{padding}{suffix}")).ok()
}

/// Whether a version is release `major`.0.0 or later. Pre-releases come before their release.
fn reaches(version: &Version, major: u64) -> bool {
    version.cmp_precedence(&Version::new(major, 0, 0)).is_ge()
}

fn samplers(version: &Version, column: usize) -> u32 {
    let mut bits = 0;
    for (sampler, usable) in SAMPLERS {
        let (since, karras) = match usable[column] {
            Usable::Never => continue,
            Usable::Plain(since) => (since, false),
            Usable::Karras(since) => (since, true),
        };
        if reaches(version, since) {
            bits |= 1 << sampler_bit(*sampler, false) | u32::from(karras) << sampler_bit(*sampler, true);
        }
    }
    bits
}

/// The known agents, in the order of the tables' columns.
const AGENTS: [&str; 4] = [
    "AI Horde Worker reGen",
    "AI Horde Worker",
    "SD-WebUI Stable Horde Worker Bridge",
    "HordeAutoWebBridge",
];

/// The newest version of the reGen worker in the tables.
const NEWEST_REGEN: u64 = 13;

/// The column and version whose samplers an unknown agent is credited with.
const SAMPLERS_OF_UNKNOWN: (usize, u64) = (1, 23);

/// In place of a version: no version can do it.
const NEVER: u64 = 0;

/// The first version of each agent that has a capability.
#[rustfmt::skip]
const CAPABILITIES: &[(Capability, [u64; 4])] = &[
    (Capability::Img2img,            [1,  3, NEVER, 1]),
    (Capability::Inpainting,         [1,  4, 1,     NEVER]),
    (Capability::Karras,             [1,  6, 1,     1]),
    (Capability::PostProcessing,     [1,  7, NEVER, NEVER]),
    (Capability::R2,                 [1,  8, 1,     NEVER]),
    (Capability::ClipSkip,           [1, 13, 4,     NEVER]),
    (Capability::HiresFix,           [1, 13, NEVER, NEVER]),
    (Capability::R2Source,           [1, 14, 3,     NEVER]),
    (Capability::Controlnet,         [1, 15, NEVER, NEVER]),
    (Capability::ReturnControlMap,   [1, 18, NEVER, NEVER]),
    (Capability::ImageIsControl,     [1, 23, NEVER, NEVER]),
    (Capability::Tiling,             [1, NEVER, 2,  2]),
    (Capability::Lora,               [2, 22, NEVER, NEVER]),
    (Capability::TextualInversion,   [2, 24, NEVER, NEVER]),
    (Capability::LoraVersions,       [3, NEVER, NEVER, NEVER]),
    (Capability::ExtraSourceImages,  [5, NEVER, NEVER, NEVER]),
    (Capability::StableCascade2pass, [6, NEVER, NEVER, NEVER]),
    (Capability::QrCode,             [7, NEVER, NEVER, NEVER]),
    (Capability::ExtraTexts,         [7, NEVER, NEVER, NEVER]),
    (Capability::Workflow,           [7, NEVER, NEVER, NEVER]),
    (Capability::LayerDiffuse,       [8, NEVER, NEVER, NEVER]),
    (Capability::Flux,               [9, NEVER, NEVER, NEVER]),
];

/// The first version of each agent that has a post-processor.
#[rustfmt::skip]
const POST_PROCESSORS: &[(PostProcessor, [u64; 4])] = &[
    (PostProcessor::GFPGAN,                     [1,  7, NEVER, NEVER]),
    (PostProcessor::RealESRGAN_x4plus,          [1,  7, NEVER, NEVER]),
    (PostProcessor::CodeFormers,                [1,  9, 1,     NEVER]),
    (PostProcessor::StripBackground,            [1, 18, NEVER, NEVER]),
    (PostProcessor::RealESRGAN_x4plus_anime_6B, [1, 18, NEVER, NEVER]),
    (PostProcessor::NMKD_Siax,                  [1, 19, NEVER, NEVER]),
    (PostProcessor::AnimeSharp4x,               [1, 19, NEVER, NEVER]),
    (PostProcessor::RealESRGAN_x2plus,          [1, 21, NEVER, NEVER]),
    (PostProcessor::Nomos8kSc4x,                [13, NEVER, NEVER, NEVER]),
    (PostProcessor::LsdirPlus4x,                [13, NEVER, NEVER, NEVER]),
    (PostProcessor::NomosWebPhoto4x,            [13, NEVER, NEVER, NEVER]),
    (PostProcessor::Nomos2Realplksr4x,          [13, NEVER, NEVER, NEVER]),
    (PostProcessor::Nomos2HqDat2_4x,            [13, NEVER, NEVER, NEVER]),
    (PostProcessor::ModernSpanimation2x,        [13, NEVER, NEVER, NEVER]),
    (PostProcessor::GFPGANv1_3,                 [13, NEVER, NEVER, NEVER]),
    (PostProcessor::RestoreFormer,              [13, NEVER, NEVER, NEVER]),
];

/// From which version on, and with which schedules, an agent draws with a sampler.
#[derive(Clone, Copy)]
enum Usable {
    /// Not at all.
    Never,
    /// Without Karras only.
    Plain(u64),
    /// With and without Karras.
    Karras(u64),
}

use Usable::{Karras as K, Never, Plain as N};

/// The samplers of each agent.
#[rustfmt::skip]
const SAMPLERS: &[(Sampler, [Usable; 4])] = &[
    (Sampler::KLms,         [K(2), K(11), K(1),  K(1)]),
    (Sampler::KDpm2,        [K(2), K(11), K(1),  K(1)]),
    (Sampler::KDpm2A,       [K(2), K(11), K(1),  K(1)]),
    (Sampler::KDpmpp2sA,    [K(2), K(11), K(1),  K(1)]),
    (Sampler::KDpmpp2m,     [K(2), K(11), K(1),  K(1)]),
    (Sampler::KHeun,        [K(2), K(11), K(1),  N(1)]),
    (Sampler::KEuler,       [K(2), K(11), K(1),  N(1)]),
    (Sampler::KEulerA,      [K(2), K(11), K(1),  N(1)]),
    (Sampler::KDpmFast,     [K(2), K(11), K(1),  N(1)]),
    (Sampler::KDpmAdaptive, [K(2), K(11), K(1),  N(1)]),
    (Sampler::Dpmsolver,    [K(2), K(11), Never, K(1)]),
    (Sampler::KDpmppSde,    [K(2), K(12), K(1),  Never]),
    (Sampler::Ddim,         [K(2), N(17), N(1),  Never]),
    (Sampler::Lcm,          [K(3), Never, Never, Never]),
];
