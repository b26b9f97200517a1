//! What a client sends and gets: `interrogate/async` and `interrogate/status`.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use strum::AsRefStr;
use utoipa::ToSchema;

use super::Form;
use crate::{RequestId, defaults};

/// The body of `POST /interrogate/async`: a picture and what is to be done with it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = ModelInterrogationInputStable)]
pub struct RequestInput {
    /// What is to be done; each is a job of its own.
    #[serde(default)]
    #[schema(default = json!([]))]
    pub forms: Vec<FormInput>,
    /// The picture: an address that begins with `http`, or base64. Required, though not by the schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_image: Option<String>,
    /// Only workers of trusted owners. Anything but nothing counts as yes, as clients know it.
    #[serde(default, deserialize_with = "truthy")]
    #[schema(ignore)]
    pub trusted_workers: bool,
    /// Slow workers may take the request too.
    #[serde(default = "defaults::yes")]
    #[schema(default = true)]
    pub slow_workers: bool,
    /// An `https` address that is called with each result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 10, max_length = 1024, example = "https://example.org/results")]
    pub webhook: Option<String>,
}

/// One thing that is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModelInterrogationFormStable)]
pub struct FormInput {
    #[allow(missing_docs)]
    #[schema(schema_with = form_name)]
    pub name: Form,
    /// What the worker should know about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<FormPayload>,
}

/// What a worker should know about a form: whatever the two sides have agreed on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = ModelInterrogationFormPayloadStable, value_type = Object)]
#[serde(transparent)]
pub struct FormPayload(pub Map<String, Value>);

/// The schema of a form's name, written out: workers read its values.
pub(super) fn form_name() -> utoipa::openapi::schema::Object {
    use strum::IntoEnumIterator as _;
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .enum_values(Some(Form::iter().map(|form| form.as_ref().to_owned())))
        .build()
}

/// Reads any value as a yes or no: `null`, `false`, 0 and what is empty are no.
fn truthy<'de, D: Deserializer<'de>>(source: D) -> Result<bool, D::Error> {
    Ok(match Value::deserialize(source)? {
        Value::Null => false,
        Value::Bool(yes) => yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    })
}

/// The answer to an accepted request (202). Some clients take any message for a failure, so there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RequestInterrogationResponse)]
pub struct RequestAccepted {
    /// Ask for the results with this id.
    pub id: RequestId,
}

/// How far a request is, and its results: `GET /interrogate/status/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = InterrogationStatus)]
pub struct Status {
    /// All of its forms taken together.
    pub state: State,
    /// Its forms, in the order in which they were asked for.
    pub forms: Vec<FormStatus>,
}

/// How far a form is, and its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = InterrogationFormStatus)]
pub struct FormStatus {
    /// What is to be done.
    #[schema(value_type = String)]
    pub form: Form,
    #[allow(missing_docs)]
    pub state: FormState,
    /// What came of it; absent if there is nothing.
    #[serde(default, skip_serializing_if = "FormResult::is_empty")]
    pub result: FormResult,
}

/// What came of a form, as its worker sent it: usually one member with the name of the form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = InterrogationFormResult, value_type = Object)]
#[serde(transparent)]
pub struct FormResult(pub Map<String, Value>);

impl FormResult {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Where a form is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, AsRefStr)]
#[schema(as = InterrogationFormState)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum FormState {
    /// No worker has it.
    Waiting,
    /// A worker has it.
    Processing,
    /// The result is there.
    Done,
    /// Its client does not want it any more.
    Cancelled,
    /// It failed too often.
    Faulted,
}

/// Where a request is: all of its forms taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = InterrogationState)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Every form failed.
    Faulted,
    /// Every form is done.
    Done,
    /// A worker has one of them.
    Processing,
    /// One of them waits.
    Waiting,
    /// Nothing more will come, and not everything came.
    Partial,
}

impl State {
    /// The state of a request with such forms. One without any counts as failed.
    ///
    /// ```
    /// # use muster_protocol::alchemy::{FormState, State};
    /// assert_eq!(State::of(&[]), State::Faulted);
    /// assert_eq!(State::of(&[FormState::Done, FormState::Faulted]), State::Partial);
    /// ```
    pub fn of(forms: &[FormState]) -> Self {
        let all = |state| forms.iter().all(|form| *form == state);
        if all(FormState::Faulted) {
            Self::Faulted
        } else if all(FormState::Done) {
            Self::Done
        } else if forms.contains(&FormState::Processing) {
            Self::Processing
        } else if forms.contains(&FormState::Waiting) {
            Self::Waiting
        } else {
            Self::Partial
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Body as _;

    #[test]
    fn the_state_of_a_request_is_that_of_its_forms() {
        use FormState::{Cancelled, Done, Faulted, Processing, Waiting};
        assert_eq!(State::of(&[Faulted, Faulted]), State::Faulted);
        assert_eq!(State::of(&[Done]), State::Done);
        assert_eq!(State::of(&[Done, Processing, Waiting]), State::Processing);
        assert_eq!(State::of(&[Done, Waiting, Faulted]), State::Waiting);
        assert_eq!(State::of(&[Cancelled]), State::Partial);
    }

    #[test]
    fn trust_is_read_as_leniently_as_clients_expect() {
        let trusted = |value: Value| {
            RequestInput::parse(json!({"trusted_workers": value}))
                .unwrap()
                .trusted_workers
        };
        for value in [json!(true), json!("false"), json!(1), json!([0]), json!({"a": 0})] {
            assert!(trusted(value.clone()), "{value}");
        }
        for value in [
            json!(false),
            json!(""),
            json!(0),
            json!([]),
            json!({}),
            json!(null),
        ] {
            assert!(!trusted(value.clone()), "{value}");
        }
    }

    #[test]
    fn forms_are_checked_and_their_payloads_are_not() {
        let errors = |body| {
            RequestInput::parse(body)
                .err()
                .map(|error| error.errors.into_keys().collect::<Vec<_>>())
        };
        let fine = json!({"forms": [{"name": "caption", "payload": {"*": 1, "x": null, "top_p": 1.0}}]});
        let input = RequestInput::parse(fine).unwrap();
        assert_eq!(
            serde_json::to_string(&input.forms[0].payload).unwrap(),
            r#"{"*":1,"top_p":1.0,"x":null}"#
        );
        assert!(input.slow_workers);
        assert_eq!(
            errors(
                json!({"forms": [{"name": "annotation"}, {"payload": {}}, {"name": "nsfw", "payload": []}],
                          "source_image": null, "slow_workers": "yes", "webhook": "https://"})
            ),
            Some(
                [
                    "forms.0.name",
                    "forms.1.name",
                    "forms.2.payload",
                    "slow_workers",
                    "source_image",
                    "webhook"
                ]
                .map(str::to_owned)
                .to_vec()
            )
        );
        assert_eq!(errors(json!({"forms": null})), Some(vec!["forms".to_owned()]));
    }
}
