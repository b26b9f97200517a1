//! The bundled weights on measured prices that the fit did not see.
//!
//! `tests/data/held-out.csv` is written by `tools/fit-image-pricing`; its last column is what the
//! fitting program itself computed from the same weights.

use muster_kudos::image::{Control, ImageJob, ImagePricing, PricingNetwork, SourceImage, features};
use muster_protocol::image::PostProcessor;

use crate::table::{Row, Table};

const ROWS: &str = include_str!("../data/held-out.csv");

struct Measured {
    job: ImageJob,
    price: f64,
    fitted_seconds: f64,
}

fn post_processing(row: &Row<'_>) -> Vec<PostProcessor> {
    let requested = |(column, value): (&str, &str)| {
        let name = column.strip_prefix("pp_").filter(|_| value == "1")?;
        Some(name.parse().unwrap())
    };
    row.cells().filter_map(requested).collect()
}

fn job(row: &Row<'_>) -> ImageJob {
    let source = row.flag("source_image").then(|| SourceImage {
        processing: row.get("source_processing").parse().unwrap(),
        mask: row.flag("source_mask"),
    });
    let control = row.get("control_type").parse().ok().map(|kind| Control {
        strength: row.optional("control_strength"),
        ..Control::new(kind)
    });
    ImageJob {
        width: row.number("width"),
        height: row.number("height"),
        steps: row.number("steps"),
        cfg_scale: row.number("cfg_scale"),
        sampler: row.get("sampler_name").parse().unwrap(),
        karras: row.flag("karras"),
        hires_fix: row.flag("hires_fix"),
        source,
        denoising_strength: row.optional("denoising_strength"),
        control,
        post_processing: post_processing(row),
        ..ImageJob::default()
    }
}

fn measured() -> Vec<Measured> {
    let measured = |row: &Row<'_>| Measured {
        job: job(row),
        price: row.number("kudos"),
        fitted_seconds: row.number("fitted_seconds"),
    };
    Table::of(ROWS).rows().iter().map(measured).collect()
}

/// Sorted relative errors.
fn errors<'a>(rows: impl Iterator<Item = &'a Measured>) -> Vec<f64> {
    let pricing = ImagePricing::bundled();
    let mut errors: Vec<f64> = rows
        .map(|row| (pricing.base_price(&row.job) - row.price).abs() / row.price)
        .collect();
    errors.sort_by(f64::total_cmp);
    errors
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[sorted.len() * percent / 100]
}

#[test]
fn prices_are_those_measured() {
    let rows = measured();
    assert_eq!(rows.len(), 2000);
    let errors = errors(rows.iter());
    let (median, p99) = (percentile(&errors, 50), percentile(&errors, 99));
    assert!(median <= 0.005 && p99 <= 0.03, "median {median}, 99 % {p99}");
}

#[test]
fn plain_images_are_priced_more_closely_still() {
    let rows = measured();
    let plain = |row: &&Measured| {
        row.job.source.is_none() && row.job.control.is_none() && row.job.post_processing.is_empty()
    };
    let errors = errors(rows.iter().filter(plain));
    assert!(errors.len() > 500);
    let (median, p99) = (percentile(&errors, 50), percentile(&errors, 99));
    assert!(median <= 0.003 && p99 <= 0.02, "median {median}, 99 % {p99}");
}

#[test]
fn the_network_is_evaluated_as_it_was_fitted() {
    let network = PricingNetwork::bundled();
    for row in measured() {
        let seconds = f64::from(network.seconds(&features::encode(&row.job)));
        let tolerance = 0.001 + 1e-5 * row.fitted_seconds;
        assert!(
            (seconds - row.fitted_seconds).abs() <= tolerance,
            "{seconds} instead of {} for {:?}",
            row.fitted_seconds,
            row.job
        );
    }
}
