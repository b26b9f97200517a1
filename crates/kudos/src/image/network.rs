//! [`PricingNetwork`]: a small neural network that estimates how long an image takes.

use std::io::{Cursor, Read, Seek};

use super::{
    archive::{self, LoadError, MAX_WIDTH, RawLayer},
    features::FEATURES,
};

/// Weights fitted to measured prices; see the `README.md` beside the file.
const BUNDLED: &[u8] = include_bytes!("../../data/image-pricing.npz");

/// A fully connected network from the 47 features of a job to the seconds it takes.
///
/// Every layer but the last is followed by a rectifier (`max(0, x)`). All arithmetic is single precision.
#[derive(Clone, Debug)]
pub struct PricingNetwork {
    layers: Vec<Layer>,
}

/// One layer, stored by column. So an input of zero costs nothing (most one-hot inputs and about half
/// of the hidden values are), and the sums over different outputs are independent of each other, which
/// lets the compiler vectorise them.
#[derive(Clone, Debug)]
struct Layer {
    columns: Vec<Column>,
    biases: Vec<f32>,
}

/// What one input contributes to the outputs from `first` on. Zeros at both ends are left out: a
/// network that joins several has many of them.
#[derive(Clone, Debug)]
struct Column {
    first: usize,
    weights: Vec<f32>,
}

impl PricingNetwork {
    /// The network that Muster ships.
    ///
    /// # Panics
    ///
    /// Never: the weights are part of the program, and a test loads them.
    pub fn bundled() -> Self {
        Self::from_npz(Cursor::new(BUNDLED)).expect("the bundled weights are valid")
    }

    /// Reads a network from an `.npz` archive of arrays `w0`, `b0`, `w1`, `b1` and so on: matrices
    /// of shape (outputs, inputs) and vectors, 32-bit floats in C order, leading from 47 inputs to
    /// one output in seconds.
    pub fn from_npz(reader: impl Read + Seek) -> Result<Self, LoadError> {
        let layers = archive::read_layers(reader)?;
        Ok(Self {
            layers: layers.into_iter().map(Layer::from_rows).collect(),
        })
    }

    /// The network's estimate in seconds.
    pub fn seconds(&self, features: &[f32; FEATURES]) -> f32 {
        let mut front = [0.0; MAX_WIDTH];
        let mut back = [0.0; MAX_WIDTH];
        front[..FEATURES].copy_from_slice(features);
        let (mut inputs, mut outputs) = (&mut front, &mut back);
        let mut width = FEATURES;
        for (index, layer) in self.layers.iter().enumerate() {
            let next = layer.biases.len();
            layer.apply(&inputs[..width], &mut outputs[..next]);
            if index + 1 < self.layers.len() {
                outputs[..next]
                    .iter_mut()
                    .for_each(|value| *value = value.max(0.0));
            }
            (inputs, outputs) = (outputs, inputs);
            width = next;
        }
        inputs[0]
    }
}

impl Layer {
    fn from_rows(raw: RawLayer) -> Self {
        let columns = (0..raw.inputs)
            .map(|input| raw.weights.iter().skip(input).step_by(raw.inputs).copied())
            .map(|column| Column::trimmed(&column.collect::<Vec<f32>>()))
            .collect();
        Self {
            columns,
            biases: raw.biases,
        }
    }

    fn apply(&self, inputs: &[f32], outputs: &mut [f32]) {
        outputs.copy_from_slice(&self.biases);
        for (&input, column) in inputs.iter().zip(&self.columns) {
            if input != 0.0 {
                for (output, weight) in outputs[column.first..].iter_mut().zip(&column.weights) {
                    *output += input * weight;
                }
            }
        }
    }
}

impl Column {
    fn trimmed(weights: &[f32]) -> Self {
        let is_used = |weight: &f32| *weight != 0.0;
        let first = weights.iter().position(is_used).unwrap_or(0);
        let end = weights.iter().rposition(is_used).map_or(first, |last| last + 1);
        Self {
            first,
            weights: weights[first..end].to_vec(),
        }
    }
}
