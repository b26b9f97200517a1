//! What a worker sends and gets: `interrogate/pop` and `interrogate/submit`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Form, FormPayload, python, request::form_name};
use crate::{JobId, defaults};

/// The body of `POST /interrogate/pop`: who the worker is and what it can take.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = InterrogationPopInput)]
pub struct PopInput {
    /// The worker's unique name. Required, though not by the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Users (`alias#id`) whose requests come first.
    #[serde(default)]
    #[schema(default = json!([]))]
    pub priority_usernames: Vec<String>,
    /// The forms that the worker takes.
    #[serde(default)]
    #[schema(default = json!([]), schema_with = forms)]
    pub forms: Vec<Form>,
    /// How many forms to hand out at once, at most; less than one counts as one.
    #[serde(default = "one")]
    #[schema(default = 1)]
    pub amount: i64,
    /// `name:version:url` of the worker software.
    #[serde(default = "defaults::agent")]
    #[schema(default = "unknown:0:unknown", max_length = 1000)]
    pub bridge_agent: String,
    /// Forms that the worker works on at once.
    #[serde(default = "defaults::one_u32")]
    #[schema(default = 1, minimum = 1, maximum = 100)]
    pub threads: u32,
    /// The largest picture that it takes, in tiles of 512 x 512 pixels.
    #[serde(default = "default_max_tiles")]
    #[schema(default = 80, minimum = 1, maximum = 256)]
    pub max_tiles: u32,
}

fn one() -> i64 {
    1
}

fn default_max_tiles() -> u32 {
    80
}

fn forms() -> utoipa::openapi::schema::Array {
    utoipa::openapi::schema::ArrayBuilder::new()
        .items(form_name())
        .build()
}

/// The answer to `POST /interrogate/pop`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = InterrogationPopPayload)]
pub struct Popped {
    /// What to do; null when there is nothing.
    pub forms: Option<Vec<PoppedForm>>,
    /// Why requests were left in the queue; empty when there is a form.
    #[serde(default)]
    pub skipped: Skipped,
}

/// A form that a worker is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = InterrogationPopFormPayload)]
pub struct PoppedForm {
    /// Deliver the result under this id.
    pub id: JobId,
    /// What to do.
    #[schema(schema_with = form_name)]
    pub form: Form,
    /// What its client wants the worker to know, every value as text.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub payload: Map<String, Value>,
    /// Where the picture can be fetched.
    pub source_image: String,
    /// Where the result can be uploaded, if it is a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2_upload: Option<String>,
}

impl FormPayload {
    /// The payload as workers get it: every value as text, in the spelling of Python, without those that
    /// are null.
    pub fn as_text(&self) -> Map<String, Value> {
        let told = self.0.iter().filter(|(_, value)| !value.is_null());
        told.map(|(name, value)| (name.clone(), Value::String(python::text(value))))
            .collect()
    }
}

/// How many requests a worker could not be given, by reason. What counts nothing is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = NoValidInterrogationsFound)]
#[serde(default)]
pub struct Skipped {
    /// Ask for other workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<u64>,
    /// Ask for trusted workers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untrusted: Option<u64>,
    /// Need another worker software.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge_version: Option<u64>,
}

/// The body of `POST /interrogate/submit`: a result, or the news that there is none. It has no schema;
/// what is missing is told by whoever needs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = InterrogationSubmitInput)]
pub struct SubmitInput {
    /// The form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What came of it: an object, usually with one member that has the name of the form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub result: Option<Value>,
    /// `faulted` if nothing came of it; anything else counts as success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
}

impl SubmitInput {
    /// Reads a body as leniently as workers are used to: what is no object counts as an empty one, and
    /// an id may be a number.
    pub fn read(body: Option<Value>) -> Self {
        let Some(Value::Object(mut members)) = body else {
            return Self::default();
        };
        let text = |value: Value| match value {
            Value::Null => None,
            value => Some(python::text(&value)),
        };
        Self {
            id: members.remove("id").and_then(text),
            result: members.remove("result").filter(|result| !result.is_null()),
            state: members.remove("state").and_then(text),
        }
    }

    /// The result, if it is an object or a list of pairs.
    pub fn result_members(&self) -> Option<Map<String, Value>> {
        match self.result.as_ref()? {
            Value::Object(members) => Some(members.clone()),
            Value::Array(pairs) => pairs
                .iter()
                .map(|pair| match pair.as_array().map(Vec::as_slice) {
                    Some([Value::String(name), value]) => Some((name.clone(), value.clone())),
                    _ => None,
                })
                .collect(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Body as _;

    #[test]
    fn without_a_form_the_list_is_null() {
        assert_eq!(
            serde_json::to_value(Popped::default()).unwrap(),
            json!({"forms": null, "skipped": {}})
        );
    }

    #[test]
    fn payloads_are_told_as_text() {
        let payload = json!({"rank": true, "n": 3, "p": 0.5, "none": null, "list": ["a"], "text": "None"});
        let payload: FormPayload = serde_json::from_value(payload).unwrap();
        assert_eq!(
            Value::Object(payload.as_text()),
            json!({"rank": "True", "n": "3", "p": "0.5", "list": "['a']", "text": "None"})
        );
    }

    #[test]
    fn limits_of_a_pop() {
        let errors = |body| {
            PopInput::parse(body)
                .err()
                .map(|error| error.errors.into_keys().collect::<Vec<_>>())
        };
        let input = PopInput::parse(json!({"bridge_version": 2, "amount": -4})).unwrap();
        assert_eq!((input.amount, input.threads, input.max_tiles), (-4, 1, 80));
        assert_eq!(
            errors(
                json!({"forms": ["caption", "post_process"], "threads": 101, "max_tiles": 0, "amount": null})
            ),
            Some(
                ["amount", "forms.1", "max_tiles", "threads"]
                    .map(str::to_owned)
                    .to_vec()
            )
        );
    }

    #[test]
    fn submissions_are_read_leniently() {
        assert_eq!(SubmitInput::read(None), SubmitInput::default());
        assert_eq!(SubmitInput::read(Some(json!("text"))), SubmitInput::default());
        let input = SubmitInput::read(Some(json!({"id": 7, "result": null, "state": null})));
        assert_eq!(input.id.as_deref(), Some("7"));
        assert_eq!((input.result, input.state), (None, None));

        let members = |result: Value| SubmitInput::read(Some(json!({"result": result}))).result_members();
        assert_eq!(
            members(json!([["caption", "x"]])).map(Value::Object),
            Some(json!({"caption": "x"}))
        );
        for wrong in [json!("R2"), json!(1), json!(["a"]), json!([[1, 2]])] {
            assert_eq!(members(wrong), None);
        }
    }
}
