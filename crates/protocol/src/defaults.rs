//! Default values and schemas that derive macros want as functions.

use utoipa::openapi::schema::{Array, ArrayBuilder, ObjectBuilder, Type};

pub(crate) fn yes() -> bool {
    true
}

pub(crate) fn one() -> f64 {
    1.0
}

pub(crate) fn one_u32() -> u32 {
    1
}

pub(crate) fn agent() -> String {
    crate::UNKNOWN_AGENT.to_owned()
}

/// The schema of the models that a request names.
pub(crate) fn requested_models() -> Array {
    ArrayBuilder::new().items(model_name()).build()
}

/// The schema of the models that a worker serves.
pub(crate) fn served_models() -> Array {
    ArrayBuilder::new()
        .items(model_name().min_length(Some(3)))
        .build()
}

fn model_name() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(255))
}
