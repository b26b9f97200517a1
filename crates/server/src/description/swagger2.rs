//! The same description as Swagger 2.0 has it, which existing generators and workers read.

use serde_json::{Map, Value, json};

/// Where Swagger 2.0 keeps its schemas.
const DEFINITIONS: &str = "#/definitions/";
const SCHEMAS: &str = "#/components/schemas/";

/// An `OpenAPI` 3.1 document of ours as Swagger 2.0. Only what we use is known here.
pub(super) fn converted(document: &Value) -> Value {
    let converter = Converter(&document["components"]["schemas"]);
    let paths = members(&document["paths"]);
    let schemas = members(&document["components"]["schemas"]);
    json!({
        "swagger": "2.0",
        "info": document["info"],
        "basePath": document["servers"][0]["url"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "tags": document["tags"],
        "paths": paths.map(|(path, methods)| (path.clone(), converter.path_item(methods))).collect::<Map<_, _>>(),
        "definitions": schemas.map(|(name, schema)| (name.clone(), converter.schema(schema))).collect::<Map<_, _>>(),
    })
}

/// Converts with regard to all schemas by name.
struct Converter<'a>(&'a Value);

impl Converter<'_> {
    fn path_item(&self, methods: &Value) -> Value {
        let methods = members(methods).map(|(method, operation)| (method.clone(), self.operation(operation)));
        Value::Object(methods.collect())
    }

    fn operation(&self, operation: &Value) -> Value {
        let mut converted = Map::new();
        for name in ["tags", "summary", "description", "operationId", "deprecated"] {
            if let Some(value) = operation.get(name) {
                converted.insert(name.to_owned(), value.clone());
            }
        }
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let mut parameters: Vec<Value> = parameters.map(|one| self.parameter(one)).collect();
        if let Some(body) = operation.get("requestBody") {
            parameters.push(json!({
                "name": "payload",
                "in": "body",
                "required": body["required"].as_bool().unwrap_or(true),
                "schema": content(body).map_or_else(|| json!({}), |schema| self.schema(schema)),
            }));
        }
        converted.insert("parameters".to_owned(), parameters.into());
        let responses = members(&operation["responses"]).map(|(status, response)| {
            let mut converted = json!({"description": response["description"]});
            if let Some(schema) = content(response) {
                converted["schema"] = self.schema(schema);
            }
            (status.clone(), converted)
        });
        converted.insert("responses".to_owned(), Value::Object(responses.collect()));
        converted.into()
    }

    /// A parameter, whose schema is part of it.
    fn parameter(&self, parameter: &Value) -> Value {
        let mut converted = Map::new();
        for name in ["name", "in", "description"] {
            if let Some(value) = parameter.get(name) {
                converted.insert(name.to_owned(), value.clone());
            }
        }
        let required = parameter["required"].as_bool().unwrap_or(false);
        converted.insert("required".to_owned(), required.into());
        if let Value::Object(schema) = self.schema(&parameter["schema"]) {
            converted.extend(schema);
        }
        converted.into()
    }

    /// A schema. What may be null is said by an extension, for Swagger 2.0 knows no null.
    fn schema(&self, schema: &Value) -> Value {
        let Some(schema) = schema.as_object() else {
            // True and false.
            return json!({});
        };
        let mut converted = Map::new();
        for (name, value) in schema {
            match name.as_str() {
                "$ref" => converted.extend(self.reference(value.as_str().unwrap_or_default())),
                // Nothing is no default.
                "default" if value.is_null() => {}
                "type" => converted.extend(of_type(value)),
                "oneOf" | "anyOf" => converted.extend(self.one_of(value)),
                "allOf" => {
                    let all: Vec<Value> = value
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|one| self.schema(one))
                        .collect();
                    converted.insert(name.clone(), all.into());
                }
                "properties" => {
                    let properties = members(value).map(|(name, schema)| (name.clone(), self.schema(schema)));
                    converted.insert(name.clone(), Value::Object(properties.collect()));
                }
                "items" | "additionalProperties" => {
                    converted.insert(name.clone(), self.schema(value));
                }
                "const" => {
                    converted.insert("enum".to_owned(), json!([value]));
                }
                "examples" => {
                    if let Some(first) = value.as_array().and_then(|examples| examples.first()) {
                        converted.insert("example".to_owned(), first.clone());
                    }
                }
                "propertyNames" | "prefixItems" => {}
                _ => {
                    converted.insert(name.clone(), value.clone());
                }
            }
        }
        converted.into()
    }

    /// One of several schemas: the only one that is not null, or anything.
    fn one_of(&self, value: &Value) -> Map<String, Value> {
        let schemas: Vec<&Value> = value.as_array().into_iter().flatten().collect();
        let named: Vec<&&Value> = schemas.iter().filter(|schema| schema["type"] != "null").collect();
        let mut converted = Map::new();
        if let [only] = named.as_slice()
            && let Value::Object(schema) = self.schema(only)
        {
            converted.extend(schema);
        }
        if named.len() < schemas.len() {
            converted.insert("x-nullable".to_owned(), true.into());
        }
        converted
    }

    /// What a reference stands for. Generators of the older version expect words and numbers where they are used, not by
    /// names of their own.
    fn reference(&self, target: &str) -> Map<String, Value> {
        let name = target.strip_prefix(SCHEMAS).unwrap_or(target);
        let schema = &self.0[name];
        let is_plain =
            schema["type"] != "object" && schema.get("allOf").is_none() && schema.get("type").is_some();
        match self.schema(schema) {
            Value::Object(plain) if is_plain => plain,
            _ => Map::from_iter([("$ref".to_owned(), format!("{DEFINITIONS}{name}").into())]),
        }
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// The schema of a body.
fn content(body: &Value) -> Option<&Value> {
    members(&body["content"])
        .next()
        .map(|(_, content)| &content["schema"])
}

/// A type, of which null is no part.
fn of_type(value: &Value) -> Map<String, Value> {
    let mut converted = Map::new();
    match value {
        Value::Array(types) => {
            let named: Vec<&Value> = types.iter().filter(|kind| *kind != "null").collect();
            if let [only] = named.as_slice() {
                converted.insert("type".to_owned(), (*only).clone());
            }
            if named.len() < types.len() {
                converted.insert("x-nullable".to_owned(), true.into());
            }
        }
        kind => {
            converted.insert("type".to_owned(), kind.clone());
        }
    }
    converted
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    fn converter() -> Converter<'static> {
        static SCHEMAS: LazyLock<Value> = LazyLock::new(
            || json!({"A": {"type": "object"}, "Word": {"type": "string", "enum": ["a", "b"]}}),
        );
        Converter(&SCHEMAS)
    }

    #[test]
    fn schemas_lose_what_swagger_does_not_know() {
        for (schema, expected) in [
            (
                json!({"type": ["string", "null"], "maxLength": 5}),
                json!({"type": "string", "x-nullable": true, "maxLength": 5}),
            ),
            (
                json!({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/A", "description": "d"}]}),
                json!({"$ref": "#/definitions/A", "description": "d", "x-nullable": true}),
            ),
            (
                json!({"oneOf": [{"type": "string"}, {"type": "integer"}]}),
                json!({}),
            ),
            (
                json!({"type": "object", "properties": {"a": {"const": 1}}, "propertyNames": {"type": "string"}}),
                json!({"type": "object", "properties": {"a": {"enum": [1]}}}),
            ),
            (
                json!({"type": "array", "items": {"$ref": "#/components/schemas/A"}}),
                json!({"type": "array", "items": {"$ref": "#/definitions/A"}}),
            ),
            (
                json!({"$ref": "#/components/schemas/Word"}),
                json!({"type": "string", "enum": ["a", "b"]}),
            ),
            (
                json!({"type": "string", "default": null}),
                json!({"type": "string"}),
            ),
            (json!(true), json!({})),
        ] {
            assert_eq!(converter().schema(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn bodies_become_parameters() {
        let operation = json!({
            "operationId": "x",
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}],
            "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}, "required": true},
            "responses": {"200": {"description": "Fine", "content": {"application/json": {"schema": {"type": "string"}}}}},
        });
        assert_eq!(
            converter().operation(&operation),
            json!({
                "operationId": "x",
                "parameters": [
                    {"name": "id", "in": "path", "required": true, "type": "string"},
                    {"name": "payload", "in": "body", "required": true, "schema": {"$ref": "#/definitions/A"}},
                ],
                "responses": {"200": {"description": "Fine", "schema": {"type": "string"}}},
            })
        );
    }
}
