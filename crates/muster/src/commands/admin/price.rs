//! `muster admin kudos price`: what payloads cost, one JSON object a line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    str::FromStr,
};

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};
use muster_kudos::{
    alchemy,
    image::{Control, ImageJob, ImagePricing, SourceImage},
    text,
};
use muster_protocol::{
    alchemy::Form,
    image::{PostProcessor, Sampler},
};
use serde_json::{Map, Value};

const KINDS: &str = "\
What is priced.

image: the base price of one picture, by width, height, steps, cfg_scale, karras, hires_fix, source_image, source_mask, \
source_processing, denoising_strength, control_type, control_strength, sampler_name and post_processing (a list).

text: the reward for one text, by max_length, prompt_chars, generation_chars, model_state (known or unknown), \
model_parameters, worker_trusted and backend_validated; with kind = dry_run, the estimate for a request, by max_length, \
max_context_length, n, model_state (none, too) and model_parameters.

alchemy: the reward for a form, by form, image_width and image_height (or image_tiles).";

#[derive(Args)]
pub(super) struct PriceArgs {
    /// A file with one JSON object a line; - is standard input
    file: String,

    /// What is priced
    #[arg(long, value_enum, default_value = "image", long_help = KINDS)]
    kind: Kind,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Image,
    Text,
    Alchemy,
}

impl PriceArgs {
    /// Writes a price for each line; `null`, and why on standard error, for those that have none.
    pub(super) fn run(self, pricing: &ImagePricing) -> anyhow::Result<()> {
        let mut prices = BufWriter::new(io::stdout().lock());
        let mut wrong = 0_u64;
        let lines: Box<dyn BufRead> = if self.file == "-" {
            Box::new(io::stdin().lock())
        } else {
            let file = File::open(&self.file).with_context(|| format!("{} cannot be read", self.file))?;
            Box::new(BufReader::new(file))
        };
        for (number, line) in (1_u64..).zip(lines.lines()) {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            match self.kind.price(&line, pricing) {
                Ok(price) => writeln!(prices, "{price}")?,
                Err(error) => {
                    eprintln!("line {number}: {error:#}");
                    writeln!(prices, "null")?;
                    wrong += 1;
                }
            }
        }
        prices.flush()?;
        if wrong > 0 {
            bail!("{wrong} payloads have no price");
        }
        Ok(())
    }
}

impl Kind {
    fn price(self, line: &str, pricing: &ImagePricing) -> anyhow::Result<f64> {
        let mut payload = Payload(serde_json::from_str(line).context("this is no JSON object")?);
        let price = match self {
            Self::Image => pricing.base_price(&image(&mut payload)?),
            Self::Text => price_of_text(&mut payload)?,
            Self::Alchemy => reward_of_form(&mut payload)?,
        };
        payload.finish()?;
        Ok(price)
    }
}

fn image(payload: &mut Payload) -> anyhow::Result<ImageJob> {
    let usual = ImageJob::default();
    let has_source = payload.flag("source_image")?;
    let mask = payload.flag("source_mask")?;
    let processing = payload.text("source_processing");
    // What is done with a source image does not matter without one; tables say txt2img then.
    let processing = processing
        .filter(|_| has_source)
        .map(|name| parse("source_processing", &name));
    let source = has_source.then_some(SourceImage {
        processing: processing.transpose()?.unwrap_or_default(),
        mask,
    });
    let strength = payload.parsed("control_strength")?;
    let control = payload.name("control_type")?;
    Ok(ImageJob {
        width: payload.parsed("width")?.unwrap_or(usual.width),
        height: payload.parsed("height")?.unwrap_or(usual.height),
        steps: payload.parsed("steps")?.unwrap_or(usual.steps),
        cfg_scale: payload.parsed("cfg_scale")?.unwrap_or(usual.cfg_scale),
        sampler: sampler(payload)?.unwrap_or(usual.sampler),
        karras: payload.flag("karras")?,
        hires_fix: payload.flag("hires_fix")?,
        source,
        denoising_strength: payload.parsed("denoising_strength")?,
        control: control.map(|kind| Control {
            strength,
            ..Control::new(kind)
        }),
        post_processing: payload.post_processing()?,
        ..usual
    })
}

/// Samplers that requests cannot name any more, and that the price model was not fitted to: they are priced as whatever
/// it does not know.
const FORMER_SAMPLERS: [&str; 4] = ["ddim", "plms", "uni_pc", "uni_pc_bh2"];

fn sampler(payload: &mut Payload) -> anyhow::Result<Option<Sampler>> {
    let name = payload.text("sampler_name");
    if name
        .as_deref()
        .is_some_and(|name| FORMER_SAMPLERS.contains(&name))
    {
        return Ok(Some(Sampler::KEuler));
    }
    name.map(|name| parse("sampler_name", &name)).transpose()
}

fn price_of_text(payload: &mut Payload) -> anyhow::Result<f64> {
    let kind = payload.text("kind").unwrap_or_else(|| "reward".to_owned());
    let parameters: Option<u64> = payload.parsed("model_parameters")?;
    let model = match payload.text("model_state").as_deref() {
        None => parameters.map(text::Model::of_parameters),
        Some("known") => {
            let parameters = parameters.context("a known model needs model_parameters")?;
            Some(text::Model::of_parameters(parameters))
        }
        Some("unknown") => Some(text::Model::Unknown),
        Some("none") => None,
        Some(other) => bail!("model_state is {other:?}: it must be known, unknown or none"),
    };
    let max_length = payload.required("max_length")?;
    // What the other kind of price is made of may be there, but not be used.
    let job = text::TextJob {
        max_length,
        prompt_chars: payload.parsed("prompt_chars")?.unwrap_or(0),
        generation_chars: payload.parsed("generation_chars")?.unwrap_or(0),
    };
    let worker = text::Worker {
        owner_trusted: payload.flag("worker_trusted")?,
        backend_validated: payload.flag("backend_validated")?,
    };
    let max_context_length = payload.parsed("max_context_length")?;
    let count = payload.parsed("n")?.unwrap_or(1);
    match &*kind {
        "reward" => Ok(text::worker_reward(
            &job,
            model.unwrap_or(text::Model::Unknown),
            worker,
        )),
        "dry_run" => {
            let request = text::TextRequest {
                max_length,
                max_context_length: max_context_length.context("max_context_length is missing")?,
                count,
            };
            Ok(text::estimate(request, model))
        }
        other => bail!("kind is {other:?}: it must be reward or dry_run"),
    }
}

fn reward_of_form(payload: &mut Payload) -> anyhow::Result<f64> {
    let name = payload.text("form").context("form is missing")?;
    let form: Form = parse("form", &name)?;
    let (width, height) = (payload.parsed("image_width")?, payload.parsed("image_height")?);
    let tiles = payload.parsed("image_tiles")?;
    // What the requester pays depends on it, but not what the worker earns.
    payload.flag("slow_workers")?;
    let _: Option<f64> = payload.parsed("requester_kudos")?;
    let tiles = match (width, height, tiles) {
        (Some(width), Some(height), _) => alchemy::tiles(width, height),
        (_, _, Some(tiles)) => tiles,
        _ => 1,
    };
    Ok(alchemy::worker_reward(form.into(), tiles).to_f64())
}

fn parse<T: FromStr>(name: &str, text: &str) -> anyhow::Result<T> {
    text.parse().map_err(|_| anyhow!("{name} cannot be {text:?}"))
}

/// The members of an object that were not read yet. Numbers and flags may be written as texts, as tables have them, and
/// an empty text is nothing.
struct Payload(Map<String, Value>);

impl Payload {
    fn take(&mut self, name: &str) -> Option<Value> {
        let value = self.0.remove(name)?;
        (!value.is_null() && value != "").then_some(value)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    fn parsed<T: FromStr>(&mut self, name: &str) -> anyhow::Result<Option<T>> {
        let text = self.text(name);
        text.map(|text| parse(name, whole(&text))).transpose()
    }

    fn name<T: FromStr>(&mut self, name: &str) -> anyhow::Result<Option<T>> {
        let text = self.text(name);
        text.map(|text| parse(name, &text)).transpose()
    }

    fn required<T: FromStr>(&mut self, name: &str) -> anyhow::Result<T> {
        self.parsed(name)?.with_context(|| format!("{name} is missing"))
    }

    fn flag(&mut self, name: &str) -> anyhow::Result<bool> {
        match self.text(name).as_deref() {
            None | Some("0" | "0.0" | "false" | "False") => Ok(false),
            Some("1" | "1.0" | "true" | "True") => Ok(true),
            Some(other) => bail!("{name} cannot be {other:?}: it must be true or false"),
        }
    }

    /// The list, and the columns of a table that stand for its entries.
    fn post_processing(&mut self) -> anyhow::Result<Vec<PostProcessor>> {
        let mut steps = Vec::new();
        match self.take("post_processing") {
            None => {}
            Some(Value::Array(names)) => {
                for name in &names {
                    let name = name.as_str().context("post_processing must be a list of names")?;
                    steps.push(parse("post_processing", name)?);
                }
            }
            Some(_) => bail!("post_processing must be a list of names"),
        }
        let columns: Vec<String> = self
            .0
            .keys()
            .filter(|name| name.starts_with("pp_"))
            .cloned()
            .collect();
        for column in columns {
            if self.flag(&column)? {
                steps.push(parse("post_processing", column.trim_start_matches("pp_"))?);
            }
        }
        Ok(steps)
    }

    /// Whatever is left was misspelt, except for the price that a table has in its last column.
    fn finish(mut self) -> anyhow::Result<()> {
        self.0.remove("kudos");
        match self.0.keys().next() {
            Some(unknown) => bail!("{unknown} is not known here"),
            None => Ok(()),
        }
    }
}

/// `20.0` as `20`: tables are written by programs that do not tell the two apart.
fn whole(text: &str) -> &str {
    text.strip_suffix(".0").unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The price as it is printed.
    fn price(kind: Kind, line: &str) -> Result<String, String> {
        let priced = kind.price(line, &ImagePricing::bundled());
        priced
            .map(|price| price.to_string())
            .map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn pictures_are_priced_however_they_are_written() {
        let plain = r#"{"width": 512, "height": 512, "steps": 50, "sampler_name": "k_euler", "karras": 1, "cfg_scale": 7.5}"#;
        let table = r#"{"width": "512", "height": "512.0", "steps": "50", "sampler_name": "ddim", "karras": "True",
            "cfg_scale": "7.5", "control_type": "", "source_image": "0", "source_processing": "txt2img", "pp_GFPGAN": "0", "kudos": "11"}"#;
        let price_of_plain = price(Kind::Image, plain).unwrap();
        assert_eq!(price(Kind::Image, table).unwrap(), price_of_plain);
        let job = ImageJob {
            steps: 50,
            sampler: Sampler::KEuler,
            cfg_scale: 7.5,
            ..ImageJob::default()
        };
        assert_eq!(
            price_of_plain,
            ImagePricing::bundled().base_price(&job).to_string()
        );
        let listed = plain.replace('}', r#", "post_processing": ["GFPGAN"]}"#);
        let column = plain.replace('}', r#", "pp_GFPGAN": 1}"#);
        assert_eq!(price(Kind::Image, &listed), price(Kind::Image, &column));
        assert_ne!(price(Kind::Image, &listed).unwrap(), price_of_plain);
    }

    #[test]
    fn texts_and_forms_are_priced() {
        let reward = r#"{"max_length": 80, "prompt_chars": 2000, "generation_chars": 320, "model_parameters": 13000000000, "backend_validated": 1}"#;
        assert_eq!(price(Kind::Text, reward), Ok("10.44".to_owned()));
        let estimate = r#"{"kind": "dry_run", "max_length": 80, "max_context_length": 2048, "n": 1, "model_state": "none"}"#;
        assert_eq!(price(Kind::Text, estimate), Ok("37.36".to_owned()));
        let form =
            r#"{"form": "RealESRGAN_x4plus", "image_width": 513, "image_height": 512, "slow_workers": 0}"#;
        assert_eq!(price(Kind::Alchemy, form), Ok("6".to_owned()));
        assert_eq!(price(Kind::Alchemy, r#"{"form": "caption"}"#), Ok("1".to_owned()));
    }

    #[test]
    fn what_has_no_price_says_why() {
        for (kind, line, why) in [
            (Kind::Image, "[]", "no JSON object"),
            (Kind::Image, r#"{"stepps": 3}"#, "stepps is not known"),
            (Kind::Image, r#"{"steps": "many"}"#, "steps cannot be \"many\""),
            (Kind::Image, r#"{"karras": 2}"#, "karras cannot be \"2\""),
            (Kind::Image, r#"{"post_processing": "GFPGAN"}"#, "must be a list"),
            (Kind::Text, r#"{"model_state": "known"}"#, "model_parameters"),
            (Kind::Alchemy, r#"{"form": "dance"}"#, "form cannot be \"dance\""),
        ] {
            let told = price(kind, line).unwrap_err();
            assert!(told.contains(why), "{line}: {told}");
        }
    }
}
