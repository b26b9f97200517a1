//! One description of every body: the schemas that are published are the ones that are enforced.

use std::{collections::BTreeMap, sync::LazyLock};

use jsonschema::{Validator, error::ValidationErrorKind};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::{
    AddTimeoutIpInput, AddWorkerTimeout, CollectionInput, CreateTeamInput, DeleteTimeoutIpInput,
    ExampleInput, ExamplePatch, ImageStyleInput, ImageStylePatch, ModifyTeamInput, ModifyUserInput,
    ModifyWorkerInput, PatchExistingFilter, PutNewFilter, RequestValidationError, TestUserInput,
    TextStyleInput, TextStylePatch, WorkerMessageInput, alchemy, image, text,
};

/// A request body that is checked against its published schema before it is read.
pub trait Body: DeserializeOwned + 'static {
    /// The compiled schema.
    fn validator() -> &'static Validator;

    /// Checks `body` against the schema, reports every offending member, and reads it.
    ///
    /// As everywhere in the API, unknown members are allowed, `null` is not a value of any declared
    /// member, and a whole number may be written with a fraction of zero (`512.0`).
    ///
    /// # Errors
    /// One text for each member that does not fit.
    fn parse(mut body: Value) -> Result<Self, RequestValidationError> {
        let errors: BTreeMap<String, String> = Self::validator()
            .iter_errors(&body)
            .flat_map(|error| {
                let base = dotted(error.instance_path().as_str());
                match error.kind() {
                    ValidationErrorKind::Required { property } => {
                        let name = property.as_str().unwrap_or_default();
                        vec![(join(&base, name), format!("'{name}' is a required property"))]
                    }
                    _ => vec![(base, shorten(&error.to_string()))],
                }
            })
            .collect();
        if !errors.is_empty() {
            return Err(RequestValidationError::new(errors));
        }
        whole_numbers(&mut body);
        // What the schema lets through may still be too large for its type: a seed of 1e30.
        serde_path_to_error::deserialize(body).map_err(|error| {
            let path = error.path().to_string().replace('[', ".").replace(']', "");
            RequestValidationError::single(path.trim_start_matches('.'), shorten(&error.inner().to_string()))
        })
    }
}

macro_rules! bodies {
    ($($body:ty),* $(,)?) => {
        $(impl Body for $body {
            fn validator() -> &'static Validator {
                static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| compile::<$body>());
                &VALIDATOR
            }
        })*
    };
}

bodies!(
    image::RequestInput,
    image::PopInput,
    image::RatingInput,
    image::SubmitInput,
    text::RequestInput,
    text::PopInput,
    text::SubmitInput,
    alchemy::RequestInput,
    alchemy::PopInput,
    TestUserInput,
    ModifyUserInput,
    ModifyWorkerInput,
    WorkerMessageInput,
    CreateTeamInput,
    ModifyTeamInput,
    ImageStyleInput,
    ImageStylePatch,
    TextStyleInput,
    TextStylePatch,
    ExampleInput,
    ExamplePatch,
    CollectionInput,
    PutNewFilter,
    PatchExistingFilter,
    AddTimeoutIpInput,
    DeleteTimeoutIpInput,
    AddWorkerTimeout,
);

/// The schema of a body together with all that it refers to, by name, as it is published and
/// enforced: members that may be left out may still not be `null`.
#[allow(clippy::missing_panics_doc)] // a schema always is plain data
pub fn request_schemas<T: ToSchema>() -> Map<String, Value> {
    let mut schemas = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut schemas);
    schemas
        .into_iter()
        .map(|(name, schema)| {
            let mut schema = serde_json::to_value(schema).expect("a schema is plain data");
            if name != TestUserInput::name() {
                forbid_null(&mut schema);
            }
            (name, schema)
        })
        .collect()
}

fn compile<T: ToSchema>() -> Validator {
    let document = json!({
        "$ref": format!("#/components/schemas/{}", T::name()),
        "components": { "schemas": request_schemas::<T>() },
    });
    jsonschema::draft202012::new(&document).expect("the published schema is valid")
}

/// Removes `null` from the alternatives of every schema below `value`.
fn forbid_null(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(forbid_null),
        Value::Object(members) => {
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    members.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(alternatives)) = members.get_mut("oneOf") {
                alternatives.retain(|schema| schema.get("type") != Some(&json!("null")));
                if let [Value::Object(only)] = alternatives.as_slice() {
                    let only = only.clone();
                    members.remove("oneOf");
                    for (name, member) in only {
                        members.entry(name).or_insert(member);
                    }
                }
            }
            members.values_mut().for_each(forbid_null);
        }
        _ => {}
    }
}

/// Members whose values nobody but client and worker understands.
const FREE_FORM: [&str; 2] = ["special", "payload"];

/// Writes `512.0` as `512`, so that typed integers can be read. Free-form members stay untouched.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64()
                && number.is_f64()
                && float.fract() == 0.0
                && float.abs() < 9e15
            {
                *number = (float as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(members) => {
            for (_, member) in members
                .iter_mut()
                .filter(|(name, _)| !FREE_FORM.contains(&name.as_str()))
            {
                whole_numbers(member);
            }
        }
        _ => {}
    }
}

/// `/params/loras/0/name` → `params.loras.0.name`.
fn dotted(pointer: &str) -> String {
    pointer
        .trim_start_matches('/')
        .replace('/', ".")
        .replace("~1", "/")
        .replace("~0", "~")
}

fn join(base: &str, name: &str) -> String {
    if base.is_empty() {
        name.to_owned()
    } else {
        format!("{base}.{name}")
    }
}

/// Error texts quote the offending value, which may be a whole picture.
fn shorten(text: &str) -> String {
    const LIMIT: usize = 300;
    match text.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{PopInput, RequestInput, SubmitInput};

    fn errors<T: Body>(body: Value) -> Vec<String> {
        T::parse(body)
            .err()
            .map(|error| error.errors.into_keys().collect())
            .unwrap_or_default()
    }

    #[test]
    fn every_offending_member_is_reported_by_its_path() {
        let body = json!({
            "params": {"width": "wide", "height": 100, "loras": [{"model": 9}], "steps": 0},
            "nsfw": "yes",
        });
        assert_eq!(
            errors::<RequestInput>(body),
            [
                "nsfw",
                "params.height",
                "params.loras.0.model",
                "params.loras.0.name",
                "params.steps",
                "params.width",
                "prompt"
            ]
        );
    }

    #[test]
    fn null_is_no_value_and_a_body_must_be_an_object() {
        assert_eq!(
            errors::<RequestInput>(json!({"prompt": "x", "source_image": null})),
            ["source_image"]
        );
        assert_eq!(
            errors::<RequestInput>(json!({"prompt": "x", "params": {"sampler_name": null, "width": null}})),
            ["params.sampler_name", "params.width"]
        );
        assert_eq!(errors::<RequestInput>(json!([])), [""]);
        assert_eq!(errors::<RequestInput>(json!("text")), [""]);
    }

    #[test]
    fn booleans_are_not_integers_and_integers_not_strings() {
        assert_eq!(
            errors::<RequestInput>(json!({"prompt": "x", "params": {"steps": true}})),
            ["params.steps"]
        );
        assert_eq!(
            errors::<RequestInput>(json!({"prompt": "x", "params": {"seed": 5}})),
            ["params.seed"]
        );
        assert_eq!(
            errors::<RequestInput>(json!({"prompt": "x", "params": {"steps": 5.5}})),
            ["params.steps"]
        );
    }

    #[test]
    fn whole_floats_pass_as_integers_and_unknown_members_are_ignored() {
        let body = json!({
            "prompt": "x",
            "misspelt": 1,
            "params": {"width": 512.0, "seed": "", "gui_settings": {}, "cfg_scale": 7, "special": {"weight": 1.0}},
        });
        let input = RequestInput::parse(body).unwrap();
        assert_eq!(input.params.width, Some(512));
        assert_eq!(input.params.cfg_scale, Some(7.0));
        assert_eq!(input.params.special.unwrap()["weight"].to_string(), "1.0");
        assert!(input.nsfw && input.censor_nsfw && input.r2);
        assert_eq!(input.models, ["stable_diffusion"]);
    }

    #[test]
    fn enumerations_and_uniqueness_are_enforced() {
        let params = |params: Value| errors::<RequestInput>(json!({"prompt": "x", "params": params}));
        assert_eq!(
            params(json!({"sampler_name": "k_magic"})),
            ["params.sampler_name"]
        );
        assert_eq!(
            params(json!({"post_processing": ["GFPGAN", "GFPGAN"]})),
            ["params.post_processing"]
        );
        assert_eq!(
            params(json!({"post_processing": ["none"]})),
            ["params.post_processing.0"]
        );
        assert_eq!(errors::<RequestInput>(json!({"prompt": ""})), ["prompt"]);
    }

    #[test]
    fn worker_bodies() {
        assert_eq!(
            errors::<PopInput>(json!({"name": "w", "models": ["ab"], "threads": 0})),
            ["models.0", "threads"]
        );
        assert_eq!(errors::<PopInput>(json!({})), [""; 0]);
        assert_eq!(errors::<SubmitInput>(json!({"generation": "R2"})), ["id", "seed"]);
        let metadata = json!({"id": "x", "generation": "R2", "seed": 1, "gen_metadata": [{"type": "generation", "value": "faulted"}]});
        assert_eq!(
            errors::<SubmitInput>(metadata),
            ["gen_metadata.0.type", "gen_metadata.0.value"]
        );
    }

    #[test]
    fn a_test_user_may_have_null_kudos() {
        assert_eq!(TestUserInput::parse(json!({"kudos": null})).unwrap().kudos, None);
        assert_eq!(errors::<TestUserInput>(json!({"kudos": true})), ["kudos"]);
        assert_eq!(TestUserInput::parse(json!({})).unwrap().kudos, Some(10_000));
    }
}
