//! The machine-readable description of the API, generated from the types and handlers themselves.

mod swagger2;

use std::sync::{Arc, OnceLock};

use axum::{
    extract::State,
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use muster_protocol::{
    AddTimeoutIpInput, AddWorkerTimeout, CollectionInput, CreateTeamInput, DeleteTimeoutIpInput,
    ExampleInput, ExamplePatch, ImageStyleInput, ImageStylePatch, ModifyTeamInput, ModifyUserInput,
    ModifyWorkerInput, PatchExistingFilter, PutNewFilter, RequestError, RequestValidationError,
    TextStyleInput, TextStylePatch, WorkerMessageInput, alchemy, image, request_schemas, text,
};
use serde_json::{Map, Value, json};
use utoipa::OpenApi;

use crate::{API_VERSION, AppState, http::json::CONTENT_TYPE_JSON, routes};

#[derive(OpenApi)]
#[openapi(
    paths(
        routes::generate::submit,
        routes::generate::check,
        routes::generate::status,
        routes::generate::cancel,
        routes::generate::pop,
        routes::generate::deliver,
        routes::generate::rate,
        routes::text::submit,
        routes::text::status,
        routes::text::cancel,
        routes::text::pop,
        routes::text::deliver,
        routes::interrogate::submit,
        routes::interrogate::status,
        routes::interrogate::cancel,
        routes::interrogate::pop,
        routes::interrogate::deliver,
        routes::users::find,
        routes::users::list,
        routes::users::get,
        routes::users::put,
        routes::users::delete,
        routes::workers::list,
        routes::workers::get,
        routes::workers::get_by_name,
        routes::workers::put,
        routes::workers::delete,
        routes::messages::list,
        routes::messages::post,
        routes::messages::get,
        routes::messages::delete,
        routes::teams::list,
        routes::teams::post,
        routes::teams::get,
        routes::teams::patch,
        routes::teams::delete,
        routes::filters::list,
        routes::filters::put,
        routes::filters::check,
        routes::filters::expressions,
        routes::filters::get,
        routes::filters::patch,
        routes::filters::delete,
        routes::operations::list,
        routes::operations::post,
        routes::operations::delete,
        routes::operations::get,
        routes::operations::block_worker,
        routes::operations::unblock_worker,
        routes::status::performance,
        routes::status::models,
        routes::status::model,
        routes::status::modes,
        routes::status::put_modes,
        routes::kudos::transfer,
        routes::kudos::award,
        routes::kudos::history,
        routes::shared_keys::put,
        routes::shared_keys::get,
        routes::shared_keys::patch,
        routes::shared_keys::delete,
        routes::styles::list_image,
        routes::styles::post_image,
        routes::styles::get_image,
        routes::styles::get_image_by_name,
        routes::styles::patch_image,
        routes::styles::delete_image,
        routes::styles::list_text,
        routes::styles::post_text,
        routes::styles::get_text,
        routes::styles::get_text_by_name,
        routes::styles::patch_text,
        routes::styles::delete_text,
        routes::styles::post_example,
        routes::styles::patch_example,
        routes::styles::delete_example,
        routes::collections::list,
        routes::collections::post,
        routes::collections::get,
        routes::collections::get_by_name,
        routes::collections::patch,
        routes::collections::delete,
        routes::documents::terms,
        routes::documents::privacy,
        routes::documents::sponsors,
        routes::status::news,
        routes::stats::image_totals,
        routes::stats::image_models,
        routes::stats::text_totals,
        routes::stats::text_models,
        routes::status::heartbeat,
        routes::dev::test_user,
    ),
    components(schemas(RequestError, RequestValidationError)),
    tags((name = "v2", description = "AI Horde API, version 2"), (name = "dev", description = "For automated tests")),
)]
struct Operations;

/// The description of a horde in both forms. Each is written when somebody asks for it first, and shared from then on by
/// all who do, however slowly they read.
#[derive(Clone, Debug)]
pub(crate) struct Description(Arc<Forms>);

#[derive(Debug)]
struct Forms {
    title: String,
    /// As Swagger 2.0.
    swagger: OnceLock<Bytes>,
    /// As `OpenAPI` 3.1.
    openapi: OnceLock<Bytes>,
}

impl Description {
    /// The description of a horde with a title.
    pub(crate) fn new(title: &str) -> Self {
        Self(Arc::new(Forms {
            title: title.to_owned(),
            swagger: OnceLock::new(),
            openapi: OnceLock::new(),
        }))
    }

    fn titled(&self) -> Value {
        let mut document = describe();
        document["info"]["title"] = self.0.title.as_str().into();
        document
    }

    fn swagger(&self) -> Bytes {
        let write = || swagger2::converted(&self.titled()).to_string().into();
        self.0.swagger.get_or_init(write).clone()
    }

    fn openapi(&self) -> Bytes {
        let write = || self.titled().to_string().into();
        self.0.openapi.get_or_init(write).clone()
    }
}

/// `GET /api/swagger.json`
pub(crate) async fn swagger(State(state): State<AppState>) -> Response {
    ([(CONTENT_TYPE, CONTENT_TYPE_JSON)], state.description.swagger()).into_response()
}

/// `GET /api/openapi.json`
pub(crate) async fn openapi(State(state): State<AppState>) -> Response {
    ([(CONTENT_TYPE, CONTENT_TYPE_JSON)], state.description.openapi()).into_response()
}

/// The description with the request bodies as they are enforced.
fn describe() -> Value {
    let mut document = serde_json::to_value(Operations::openapi()).expect("a description is plain data");
    document["info"] = json!({
        "title": "AI Horde",
        "version": API_VERSION,
        "description": "Every operation takes the header `Client-Agent`, with which a program names itself \
                        (`name:version:contact`), and `X-Fields`, with which it asks for some members of an answer only \
                        (`id,generations{id,img}`).",
        "license": { "name": "AGPL-3.0-or-later" },
    });
    document["servers"] = json!([{ "url": "/api" }]);
    if let Some(Value::Object(schemas)) = document.pointer_mut("/components/schemas") {
        schemas.extend(enforced());
    }
    // What is not said has no default.
    drop_null_defaults(&mut document);
    document
}

fn drop_null_defaults(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(drop_null_defaults),
        Value::Object(members) => {
            if members.get("default").is_some_and(Value::is_null) {
                members.remove("default");
            }
            members.values_mut().for_each(drop_null_defaults);
        }
        _ => {}
    }
}

fn enforced() -> Map<String, Value> {
    let mut schemas = request_schemas::<image::RequestInput>();
    schemas.extend(request_schemas::<image::PopInput>());
    schemas.extend(request_schemas::<image::SubmitInput>());
    schemas.extend(request_schemas::<image::RatingInput>());
    schemas.extend(request_schemas::<text::RequestInput>());
    schemas.extend(request_schemas::<text::PopInput>());
    schemas.extend(request_schemas::<text::SubmitInput>());
    schemas.extend(request_schemas::<alchemy::RequestInput>());
    schemas.extend(request_schemas::<alchemy::PopInput>());
    schemas.extend(request_schemas::<ModifyUserInput>());
    schemas.extend(request_schemas::<ModifyWorkerInput>());
    schemas.extend(request_schemas::<WorkerMessageInput>());
    schemas.extend(request_schemas::<CreateTeamInput>());
    schemas.extend(request_schemas::<ModifyTeamInput>());
    schemas.extend(request_schemas::<ImageStyleInput>());
    schemas.extend(request_schemas::<ImageStylePatch>());
    schemas.extend(request_schemas::<TextStyleInput>());
    schemas.extend(request_schemas::<TextStylePatch>());
    schemas.extend(request_schemas::<ExampleInput>());
    schemas.extend(request_schemas::<ExamplePatch>());
    schemas.extend(request_schemas::<CollectionInput>());
    schemas.extend(request_schemas::<PutNewFilter>());
    schemas.extend(request_schemas::<PatchExistingFilter>());
    schemas.extend(request_schemas::<AddTimeoutIpInput>());
    schemas.extend(request_schemas::<DeleteTimeoutIpInput>());
    schemas.extend(request_schemas::<AddWorkerTimeout>());
    schemas
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All `$ref`s below a value.
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Object(members) => {
                if let Some(Value::String(target)) = members.get("$ref") {
                    found.push(target.clone());
                }
                members.values().for_each(|member| references(member, found));
            }
            _ => {}
        }
    }

    #[test]
    fn every_reference_resolves() {
        for document in [describe(), swagger2::converted(&describe())] {
            let mut found = Vec::new();
            references(&document, &mut found);
            assert!(found.len() > 20);
            for target in found {
                let pointer = target.strip_prefix('#').expect("a local reference");
                assert!(document.pointer(pointer).is_some(), "{target}");
            }
        }
    }

    #[test]
    fn what_workers_look_for_is_there() {
        let document = swagger2::converted(&describe());
        let kinds = document.pointer("/definitions/GenerationMetadataStable/properties/type");
        assert!(kinds.is_some());
        let forms = document.pointer("/definitions/ModelInterrogationFormStable/properties/name/enum");
        assert_eq!(forms.and_then(Value::as_array).map(Vec::len), Some(23));
        assert!(
            document
                .pointer("/definitions/PopInputStable/properties/max_pixels")
                .is_some()
        );
        assert!(document.pointer("/paths/~1v2~1generate~1pop/post").is_some());
    }
}
