//! Default values and schemas that derive macros want as functions.

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

/// The schema of the models that a worker serves.
pub(crate) fn model_names() -> utoipa::openapi::schema::Array {
    use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(3))
        .max_length(Some(255));
    ArrayBuilder::new().items(name).build()
}
