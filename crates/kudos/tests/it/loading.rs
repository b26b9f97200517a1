//! Reading weights: a file in an operator's layout, and files that can't be used.

use std::io::{Cursor, Write};

use muster_kudos::image::{
    ImageJob, ImagePricing, LoadError, PricingNetwork, features::FEATURES, features::encode, price_of_seconds,
};
use muster_protocol::image::{PostProcessor, Sampler};
use npyz::{AutoSerialize, WriterBuilder};
use proptest::prelude::*;
use zip::{ZipWriter, write::SimpleFileOptions};

/// An archive under construction.
struct Archive(ZipWriter<Cursor<Vec<u8>>>);

impl Archive {
    fn new() -> Self {
        Self(ZipWriter::new(Cursor::new(Vec::new())))
    }

    fn with<T: AutoSerialize + Copy>(self, name: &str, shape: &[u64], values: &[T]) -> Self {
        let mut bytes = Vec::new();
        let options = npyz::WriteOptions::new().default_dtype().shape(shape);
        let mut array = options.writer(&mut bytes).begin_nd().unwrap();
        array.extend(values.iter().copied()).unwrap();
        array.finish().unwrap();
        self.with_bytes(name, &bytes)
    }

    fn with_bytes(mut self, name: &str, bytes: &[u8]) -> Self {
        self.0
            .start_file(format!("{name}.npy"), SimpleFileOptions::default())
            .unwrap();
        self.0.write_all(bytes).unwrap();
        self
    }

    fn load(self) -> Result<PricingNetwork, LoadError> {
        let bytes = self.0.finish().unwrap().into_inner();
        PricingNetwork::from_npz(Cursor::new(bytes))
    }

    fn error(self) -> String {
        self.load().expect_err("the archive is invalid").to_string()
    }
}

/// Reproducible numbers between -1 and 1.
fn noise(seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    })
}

/// Weights of one layer, row by row, and its biases.
type Dense = (Vec<Vec<f32>>, Vec<f32>);

fn random_layers(sizes: &[usize]) -> Vec<Dense> {
    let mut noise = noise(7);
    let mut take = |count: usize| -> Vec<f32> { noise.by_ref().take(count).map(|x| x * 0.3).collect() };
    let mut layers: Vec<Dense> = sizes
        .windows(2)
        .map(|pair| ((0..pair[1]).map(|_| take(pair[0])).collect(), take(pair[1])))
        .collect();
    // Keeps the result positive, as seconds are.
    layers.last_mut().unwrap().1[0] += 30.0;
    layers
}

fn archive_of(layers: &[Dense]) -> Archive {
    layers
        .iter()
        .enumerate()
        .fold(Archive::new(), |archive, (index, (rows, biases))| {
            let shape = [rows.len() as u64, rows[0].len() as u64];
            archive.with(&format!("w{index}"), &shape, &rows.concat()).with(
                &format!("b{index}"),
                &shape[..1],
                biases,
            )
        })
}

/// Plain double-precision evaluation.
fn seconds(layers: &[Dense], inputs: &[f32; FEATURES]) -> f64 {
    let mut values: Vec<f64> = inputs.iter().copied().map(f64::from).collect();
    for (index, (rows, biases)) in layers.iter().enumerate() {
        let is_last = index + 1 == layers.len();
        values = rows
            .iter()
            .zip(biases)
            .map(|(row, &bias)| {
                let sum: f64 = row
                    .iter()
                    .zip(&values)
                    .map(|(&weight, value)| f64::from(weight) * value)
                    .sum();
                let output = sum + f64::from(bias);
                if is_last { output } else { output.max(0.0) }
            })
            .collect();
    }
    values[0]
}

fn jobs() -> [ImageJob; 3] {
    [
        ImageJob::default(),
        ImageJob {
            width: 1024,
            height: 1536,
            sampler: Sampler::KHeun,
            ..ImageJob::default()
        },
        ImageJob {
            post_processing: vec![PostProcessor::GFPGAN],
            karras: false,
            ..ImageJob::default()
        },
    ]
}

#[test]
fn the_layout_of_an_existing_file() {
    let layers = random_layers(&[47, 79, 101, 104, 1]);
    let network = archive_of(&layers).load().unwrap();
    let pricing = ImagePricing::new(network.clone());
    for job in jobs() {
        let inputs = encode(&job);
        let expected = seconds(&layers, &inputs);
        let found = f64::from(network.seconds(&inputs));
        assert!(
            (found - expected).abs() < 1e-4 * expected.abs().max(1.0),
            "{found}, not {expected}"
        );
        // The two may fall on either side of a hundredth of a second.
        let price = pricing.base_price(&job);
        assert!(
            (price - price_of_seconds(expected).max(1.0)).abs() < 0.03,
            "{price} for {expected} s"
        );
    }
}

#[test]
fn any_number_of_layers() {
    for sizes in [&[47, 1][..], &[47, 1, 1], &[47, 8, 9, 10, 11, 12, 1]] {
        let layers = random_layers(sizes);
        let network = archive_of(&layers).load().unwrap();
        let inputs = encode(&ImageJob::default());
        let expected = seconds(&layers, &inputs);
        assert!(
            (f64::from(network.seconds(&inputs)) - expected).abs() < 1e-4,
            "{sizes:?}"
        );
    }
}

#[test]
fn no_estimate_makes_an_image_free() {
    for seconds in [-5.0_f32, 0.0, 0.3] {
        let constant = Archive::new()
            .with("w0", &[1, 47], &[0.0_f32; 47])
            .with("b0", &[1], &[seconds]);
        let pricing = ImagePricing::new(constant.load().unwrap());
        assert_eq!(pricing.base_price(&ImageJob::default()), 1.0);
    }
}

#[test]
fn the_bundled_weights_load() {
    let network = PricingNetwork::bundled();
    assert!(network.seconds(&encode(&ImageJob::default())) > 1.0);
}

#[test]
fn something_else_than_an_archive() {
    let error = PricingNetwork::from_npz(Cursor::new(b"no zip at all")).unwrap_err();
    assert!(matches!(error, LoadError::NotAnArchive(_)), "{error:?}");
}

#[test]
fn missing_arrays() {
    assert_eq!(Archive::new().error(), "the weights lack the array `w0`");
    let without_bias = Archive::new().with("w0", &[1, 47], &[0.0_f32; 47]);
    assert_eq!(without_bias.error(), "the weights lack the array `b0`");
}

#[test]
fn wrong_shapes() {
    let narrow = Archive::new().with("w0", &[2, 46], &[0.0_f32; 92]);
    assert_eq!(
        narrow.error(),
        "the array `w0` of the weights has shape [2, 46] where (outputs, 47) is needed"
    );
    let flat = Archive::new().with("w0", &[47], &[0.0_f32; 47]);
    assert!(flat.error().contains("shape [47] where (outputs, 47)"));
    let long_bias = Archive::new()
        .with("w0", &[1, 47], &[0.0_f32; 47])
        .with("b0", &[2], &[0.0_f32; 2]);
    assert_eq!(
        long_bias.error(),
        "the array `b0` of the weights has shape [2] where (1) is needed"
    );
    let wide = Archive::new().with("w0", &[2000, 47], &vec![0.0_f32; 94_000]);
    assert!(wide.error().contains("sides of 1 to 1024"));
    let open_end = Archive::new()
        .with("w0", &[2, 47], &[0.0_f32; 94])
        .with("b0", &[2], &[0.0_f32; 2]);
    assert!(
        open_end
            .error()
            .contains("`w0` of the weights has shape [2, 47] where one output")
    );
}

#[test]
fn wrong_types_and_values() {
    let double = Archive::new().with("w0", &[1, 47], &[0.0_f64; 47]);
    assert_eq!(
        double.error(),
        "the array `w0` of the weights must hold 32-bit floats, not `<f8`"
    );
    let mut values = [0.0_f32; 47];
    values[3] = f32::INFINITY;
    let infinite = Archive::new().with("w0", &[1, 47], &values);
    assert_eq!(
        infinite.error(),
        "the array `w0` of the weights holds a value that is not finite"
    );
}

#[test]
fn damaged_arrays() {
    let garbage = Archive::new().with_bytes("w0", b"not an array");
    assert!(matches!(garbage.load(), Err(LoadError::Unreadable { array, .. }) if array == "w0"));

    let text = "{'descr': '<f4', 'fortran_order': True, 'shape': (1, 47), }";
    let header = format!("{text:<117}\n");
    let mut bytes = b"\x93NUMPY\x01\x00\x76\x00".to_vec();
    bytes.extend(header.as_bytes());
    let fortran = bytes.clone();
    assert!(matches!(
        Archive::new().with_bytes("w0", &fortran).load(),
        Err(LoadError::WrongOrder { array }) if array == "w0"
    ));

    let truncated = String::from_utf8_lossy(&bytes[10..]).replace("True, ", "False,");
    bytes.truncate(10);
    bytes.extend(truncated.as_bytes());
    bytes.extend([0; 40]);
    assert!(matches!(
        Archive::new().with_bytes("w0", &bytes).load(),
        Err(LoadError::Unreadable { array, .. }) if array == "w0"
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_job_has_a_sensible_price(
        width in 1..=48_u32,
        height in 1..=48_u32,
        steps in 1..=500_u32,
        cfg_scale in 0.0..=100.0_f64,
        karras: bool,
        hires_fix: bool,
        loras in 0..=5_u32,
    ) {
        let pricing = ImagePricing::bundled();
        let (width, height) = (width * 64, height * 64);
        let job = ImageJob { width, height, steps, cfg_scale, karras, hires_fix, ..ImageJob::default() };
        let price = pricing.base_price(&job);
        prop_assert!(price.is_finite() && (1.0..2000.0).contains(&price), "{}", price);
        let with_loras = ImageJob { loras, ..job };
        prop_assert!(pricing.base_price(&with_loras) >= price);
    }
}
