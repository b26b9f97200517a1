//! Reading a pricing network's weights from an `.npz` archive.
//!
//! The archive holds, for every layer *i* counted from 0, a matrix `w<i>` of shape (outputs,
//! inputs) and a vector `b<i>` of length outputs, as 32-bit floats in C order. The first layer
//! takes the [`FEATURES`](super::features::FEATURES), each takes what the one before gives, and the
//! last gives a single number.

use std::io::{self, Read, Seek};

use npyz::{NpyFile, Order, TypeStr};
use thiserror::Error;
use zip::{ZipArchive, result::ZipError};

use super::features::FEATURES;

/// The widest layer that is accepted; evaluation keeps its intermediate values on the stack.
pub(crate) const MAX_WIDTH: usize = 1024;

/// Why a file of weights can't be used.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file as a whole can't be read as a zip archive.
    #[error("the weights are not a readable .npz (zip) archive")]
    NotAnArchive(#[source] io::Error),
    /// An array that must be there is not.
    #[error("the weights lack the array `{array}`")]
    Missing {
        /// Name of the array.
        array: String,
    },
    /// An array is there but damaged.
    #[error("the array `{array}` of the weights can't be read")]
    Unreadable {
        /// Name of the array.
        array: String,
        /// What went wrong.
        source: io::Error,
    },
    /// An array holds something other than 32-bit floats.
    #[error("the array `{array}` of the weights must hold 32-bit floats, not `{found}`")]
    WrongType {
        /// Name of the array.
        array: String,
        /// Its element type, as numpy writes it.
        found: String,
    },
    /// A matrix is stored column by column.
    #[error("the array `{array}` of the weights must be stored in C order, not in Fortran order")]
    WrongOrder {
        /// Name of the array.
        array: String,
    },
    /// An array's shape does not fit the layers around it.
    #[error("the array `{array}` of the weights has shape {found:?} where {expected} is needed")]
    WrongShape {
        /// Name of the array.
        array: String,
        /// Its shape.
        found: Vec<u64>,
        /// What would fit.
        expected: String,
    },
    /// A weight is infinite or not a number.
    #[error("the array `{array}` of the weights holds a value that is not finite")]
    NotFinite {
        /// Name of the array.
        array: String,
    },
}

/// One layer as it stands in the archive.
pub(crate) struct RawLayer {
    /// Row-major, a row of `inputs` weights for every output.
    pub(crate) weights: Vec<f32>,
    /// One for every output.
    pub(crate) biases: Vec<f32>,
    /// Number of inputs.
    pub(crate) inputs: usize,
}

/// Reads all layers and checks that they chain from the features to one output.
pub(crate) fn read_layers(reader: impl Read + Seek) -> Result<Vec<RawLayer>, LoadError> {
    let mut archive = ZipArchive::new(reader).map_err(|error| LoadError::NotAnArchive(error.into()))?;
    let mut layers: Vec<RawLayer> = Vec::new();
    let mut inputs = FEATURES;
    loop {
        let index = layers.len();
        let is_first = index == 0;
        let Some(matrix) = Array::read(&mut archive, format!("w{index}"))? else {
            if is_first {
                return Err(LoadError::Missing {
                    array: "w0".to_owned(),
                });
            }
            break;
        };
        let outputs = matrix.rows(inputs)?;
        let bias_name = format!("b{index}");
        let biases = Array::read(&mut archive, bias_name.clone())?
            .ok_or(LoadError::Missing { array: bias_name })?
            .vector(outputs)?;
        layers.push(RawLayer {
            weights: matrix.values,
            biases,
            inputs,
        });
        inputs = outputs;
    }
    if inputs != 1 {
        let last = layers.len() - 1;
        return Err(LoadError::WrongShape {
            array: format!("w{last}"),
            found: vec![inputs as u64, layers[last].inputs as u64],
            expected: format!("one output, or a further layer `w{}`,", last + 1),
        });
    }
    Ok(layers)
}

/// An array of finite 32-bit floats in C order.
struct Array {
    name: String,
    shape: Vec<u64>,
    values: Vec<f32>,
}

impl Array {
    fn read<R: Read + Seek>(archive: &mut ZipArchive<R>, name: String) -> Result<Option<Self>, LoadError> {
        let entry = match archive.by_name(&format!("{name}.npy")) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(source) => {
                return Err(LoadError::Unreadable {
                    array: name,
                    source: source.into(),
                });
            }
        };
        let file = match NpyFile::new(entry) {
            Ok(file) => file,
            Err(source) => return Err(LoadError::Unreadable { array: name, source }),
        };
        let dtype = file.dtype();
        let float32: [TypeStr; 2] = ["<f4", ">f4"].map(|text| text.parse().expect("a numpy type name"));
        if !float32
            .into_iter()
            .any(|float| dtype == npyz::DType::Plain(float))
        {
            return Err(LoadError::WrongType {
                array: name,
                found: dtype.descr().replace('\'', ""),
            });
        }
        let shape = file.shape().to_vec();
        if shape.len() > 1 && file.order() != Order::C {
            return Err(LoadError::WrongOrder { array: name });
        }
        // Checked before anything is allocated: the sizes come from the file.
        if shape.len() > 2 || shape.iter().any(|&side| side == 0 || side > MAX_WIDTH as u64) {
            let expected = format!("a vector or matrix with sides of 1 to {MAX_WIDTH}");
            return Err(LoadError::WrongShape {
                array: name,
                found: shape,
                expected,
            });
        }
        let values: Vec<f32> = match file.into_vec() {
            Ok(values) => values,
            Err(source) => return Err(LoadError::Unreadable { array: name, source }),
        };
        if values.iter().any(|value| !value.is_finite()) {
            return Err(LoadError::NotFinite { array: name });
        }
        Ok(Some(Self { name, shape, values }))
    }

    /// The number of rows of a matrix that must have `columns` columns.
    fn rows(&self, columns: usize) -> Result<usize, LoadError> {
        match self.shape[..] {
            [rows, found] if found == columns as u64 => Ok(rows as usize),
            _ => Err(self.misshapen(format!("(outputs, {columns})"))),
        }
    }

    /// The values of a vector that must have `length` elements.
    fn vector(self, length: usize) -> Result<Vec<f32>, LoadError> {
        if self.shape == [length as u64] {
            Ok(self.values)
        } else {
            Err(self.misshapen(format!("({length})")))
        }
    }

    fn misshapen(&self, expected: String) -> LoadError {
        LoadError::WrongShape {
            array: self.name.clone(),
            found: self.shape.clone(),
            expected,
        }
    }
}
