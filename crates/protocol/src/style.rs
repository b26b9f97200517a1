//! Styles and collections from outside.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};
use uuid::Uuid;

use crate::{SharedKeyDetails, WorkKind, image, text};

/// What a style may say about how pictures are made: the `params` of a request, without what belongs to a single
/// one. No defaults are filled in.
#[derive(Clone, Copy, Debug)]
pub struct ImageStyleParams;

/// What a style may say about how texts are made: the `params` of a request, without what belongs to a single one.
#[derive(Clone, Copy, Debug)]
pub struct TextStyleParams;

impl ImageStyleParams {
    /// What belongs to a single request. A style may carry it all the same, for it is kept as it is sent.
    const OF_REQUESTS: [&str; 7] = [
        "n",
        "seed",
        "seed_variation",
        "control_type",
        "image_is_control",
        "return_control_map",
        "extra_texts",
    ];

    /// Parameters as they are shown: what is declared, with the defaults of `LoRAs` and textual inversions.
    pub fn shown(params: &Value) -> Map<String, Value> {
        let declared = declared::<Self>(params);
        let params: image::Params = serde_json::from_value(declared.into()).unwrap_or_default();
        object(&params)
    }
}

impl TextStyleParams {
    /// See [`ImageStyleParams`].
    const OF_REQUESTS: [&str; 3] = ["n", "max_length", "max_context_length"];

    /// Parameters as they are shown: what is declared, with the values that every payload states.
    pub fn shown(params: &Value) -> Map<String, Value> {
        let declared = declared::<Self>(params);
        let params: text::Params = serde_json::from_value(declared.into()).unwrap_or_default();
        let mut shown = object(&params.with_fillers());
        shown.retain(|name, _| !Self::OF_REQUESTS.contains(&name.as_str()));
        shown
    }
}

fn object(value: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// The members that the schema names.
fn declared<S: PartialSchema>(params: &Value) -> Map<String, Value> {
    let RefOr::T(Schema::Object(schema)) = S::schema() else {
        return Map::new();
    };
    let members = params.as_object().into_iter().flatten();
    members
        .filter(|(name, _)| schema.properties.contains_key(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The schema of a request's parameters without some.
fn without(schema: RefOr<Schema>, names: &[&str]) -> RefOr<Schema> {
    let RefOr::T(Schema::Object(mut object)) = schema else {
        return schema;
    };
    object
        .properties
        .retain(|name, _| !names.contains(&name.as_str()));
    RefOr::T(Schema::Object(object))
}

macro_rules! style_params {
    ($params:ident, $of:ty, $name:literal) => {
        impl PartialSchema for $params {
            fn schema() -> RefOr<Schema> {
                without(<$of>::schema(), &Self::OF_REQUESTS)
            }
        }

        impl ToSchema for $params {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                <$of as ToSchema>::schemas(schemas);
            }
        }
    };
}

style_params!(ImageStyleParams, image::Params, "ModelStyleInputParamsStable");
style_params!(TextStyleParams, text::Params, "ModelStyleInputParamsKobold");

macro_rules! style_bodies {
    ($create:ident as $create_name:ident, $patch:ident as $patch_name:ident, $params:ident, $prompt:ident,
     $about:literal) => {
        #[doc = concat!("The body of `POST /styles/", $about, "`.")]
        #[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
        #[schema(as = $create_name)]
        pub struct $create {
            /// Its name, unique among the styles of its owner, without `::`.
            #[schema(min_length = 1, max_length = 100)]
            pub name: String,
            /// What its owner says about it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(min_length = 10, max_length = 1000)]
            pub info: Option<String>,
            /// The template of prompts: `{p}` stands for the prompt of a request, `{np}` for its negative part.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(schema_with = $prompt)]
            pub prompt: Option<String>,
            /// The parameters of requests with the style.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<$params>)]
            pub params: Option<Map<String, Value>>,
            /// Whether it is listed.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(default = true)]
            pub public: Option<bool>,
            /// Whether its results are unsafe for work.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(default = false)]
            pub nsfw: Option<bool>,
            /// What it is about, ten at most.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(schema_with = tags)]
            pub tags: Option<Vec<String>>,
            /// The models of requests with the style, one to five.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(schema_with = models)]
            pub models: Option<Vec<String>>,
            /// A shared key of its owner that pays for requests with the style.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(min_length = 36, max_length = 36)]
            pub sharedkey: Option<String>,
        }

        #[doc = concat!("The body of `PATCH /styles/", $about, "/{style_id}`. What is absent stays.")]
        #[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
        #[schema(as = $patch_name)]
        #[serde(default)]
        pub struct $patch {
            /// A new name.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(min_length = 1, max_length = 100)]
            pub name: Option<String>,
            /// A new description.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(min_length = 1, max_length = 1000)]
            pub info: Option<String>,
            /// A new template.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(min_length = 7)]
            pub prompt: Option<String>,
            /// New parameters, in place of all old ones.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(value_type = Option<$params>)]
            pub params: Option<Map<String, Value>>,
            /// Whether it is listed.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub public: Option<bool>,
            /// Whether its results are unsafe for work.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub nsfw: Option<bool>,
            /// New tags; an empty list for none.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(schema_with = tags)]
            pub tags: Option<Vec<String>>,
            /// New models; an empty list changes nothing.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(schema_with = models)]
            pub models: Option<Vec<String>>,
            /// A shared key of its owner that pays for requests with the style.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[schema(min_length = 36, max_length = 36)]
            pub sharedkey: Option<String>,
        }
    };
}

style_bodies!(
    ImageStyleInput as ModelStyleInputStable,
    ImageStylePatch as ModelStylePatchStable,
    ImageStyleParams,
    image_template,
    "image"
);
style_bodies!(
    TextStyleInput as ModelStyleInputKobold,
    TextStylePatch as ModelStylePatchKobold,
    TextStyleParams,
    text_template,
    "text"
);

fn names(longest: Option<usize>) -> utoipa::openapi::schema::Array {
    use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(longest);
    ArrayBuilder::new().items(name).build()
}

fn template(shortest: usize) -> utoipa::openapi::schema::Object {
    utoipa::openapi::schema::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .min_length(Some(shortest))
        .default(Some("{p}{np}".into()))
        .description(Some(
            "The template of prompts: {p} stands for the prompt of a request, {np} for its negative part.",
        ))
        .build()
}

fn image_template() -> utoipa::openapi::schema::Object {
    template(7)
}

fn text_template() -> utoipa::openapi::schema::Object {
    template(3)
}

fn tags() -> utoipa::openapi::schema::Array {
    names(Some(25))
}

fn models() -> utoipa::openapi::schema::Array {
    names(None)
}

/// A style.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = StyleStable)]
pub struct StyleDetails {
    #[allow(missing_docs)]
    pub id: Uuid,
    /// Its name alone.
    pub name: String,
    /// What its owner says about it.
    pub info: String,
    /// The template.
    pub prompt: String,
    /// The parameters of requests with it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// Whether it is listed.
    pub public: bool,
    /// Whether its results are unsafe for work.
    pub nsfw: bool,
    /// What it is about.
    pub tags: Vec<String>,
    /// The models of requests with it.
    pub models: Vec<String>,
    /// How often it was used.
    pub use_count: i64,
    /// Who made it, `name#id`.
    pub creator: String,
    /// Pictures that were made with it; texts have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<Vec<StyleExampleDetails>>,
    /// The shared key that pays for requests with it, of image styles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_key: Option<SharedKeyDetails>,
}

/// A picture that was made with a style.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = StyleExample)]
#[allow(missing_docs)]
pub struct StyleExampleDetails {
    pub id: Uuid,
    pub url: String,
    /// The one to show.
    pub primary: bool,
}

/// The body of `POST /styles/image/{style_id}/example`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = InputStyleExamplePost)]
pub struct ExampleInput {
    /// Where the picture is; https.
    pub url: String,
    /// Whether it is the one to show.
    pub primary: bool,
}

/// The body of `PATCH /styles/image/{style_id}/example/{example_id}`. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = InputStyleExamplePatch)]
#[serde(default)]
pub struct ExamplePatch {
    /// Where the picture is; https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether it is the one to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary: Option<bool>,
}

/// A style, example or collection was made or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = StyleModify)]
pub struct StyleModify {
    /// Its id.
    pub id: Uuid,
    /// Always `OK`.
    pub message: String,
    /// What is odd about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<image::Warning>>,
}

/// A collection of styles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponseModelCollection)]
pub struct CollectionDetails {
    #[allow(missing_docs)]
    pub id: Uuid,
    #[allow(missing_docs)]
    pub name: String,
    /// The kind of its styles: `image` or `text`.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: WorkKind,
    /// What its owner says about it.
    pub info: Option<String>,
    /// Whether it is listed.
    pub public: bool,
    /// Its styles.
    pub styles: Vec<StyleInCollection>,
    /// How often it was used.
    pub use_count: i64,
}

/// A style of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ResponseModelStylesShort)]
pub struct StyleInCollection {
    /// Its full name, `owner#id::style::name`.
    pub name: String,
    #[allow(missing_docs)]
    pub id: Uuid,
}

/// The body of `POST /collections` (where `name` and `styles` are required) and `PATCH /collections/{id}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = InputModelCollection)]
#[serde(default)]
pub struct CollectionInput {
    /// Its name, unique among the collections of its owner, without `::`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// What its owner says about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 1000)]
    pub info: Option<String>,
    /// Whether it is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(default = true)]
    pub public: Option<bool>,
    /// Its styles of one kind, by id or name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = models)]
    pub styles: Option<Vec<String>>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Body as _;

    #[test]
    fn styles_declare_less_than_requests() {
        let too_many_steps = json!({"name": "a", "params": {"steps": 501}});
        let error = ImageStyleInput::parse(too_many_steps).unwrap_err();
        assert_eq!(error.errors.keys().collect::<Vec<_>>(), ["params.steps"]);
        // What belongs to a request is kept unseen.
        let undeclared = json!({"name": "a", "params": {"n": 999, "steps": 20.0}});
        let input = ImageStyleInput::parse(undeclared).unwrap();
        assert_eq!(Value::from(input.params.unwrap()), json!({"n": 999, "steps": 20}));
        let too_long = json!({"name": "a", "params": {"max_length": 100_000, "temperature": 9}});
        let error = TextStyleInput::parse(too_long).unwrap_err();
        assert_eq!(error.errors.keys().collect::<Vec<_>>(), ["params.temperature"]);
    }

    #[test]
    fn parameters_are_shown_with_their_defaults() {
        let stored = json!({"steps": 20, "n": 4, "loras": [{"name": "x"}], "tis": [{"name": "7"}], "odd": 1});
        assert_eq!(
            Value::from(ImageStyleParams::shown(&stored)),
            json!({"steps": 20, "loras": [{"name": "x", "model": 1.0, "clip": 1.0, "is_version": false}],
                "tis": [{"name": "7", "strength": 1.0}]})
        );
        let stored = json!({"temperature": 0.7, "max_length": 300});
        assert_eq!(
            Value::from(TextStyleParams::shown(&stored)),
            json!({"temperature": 0.7, "min_p": 0.0, "smoothing_factor": 0.0, "dynatemp_range": 0.0,
                "dynatemp_exponent": 1.0})
        );
    }
}
