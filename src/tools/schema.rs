//! The JSON schemas of a tool: small, closed in themselves, and what the code really takes.

use std::sync::{Arc, LazyLock};

use rmcp::model::JsonObject;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use crate::zoho::{CrmText, Module, agenda, notes::NoteParent};

/// What a tool takes.
pub(super) fn of_input<T: JsonSchema>() -> Arc<JsonObject> {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12().for_deserialize());
    trim(&mut schema, &[]);
    omit_least_length(&mut schema);
    object(schema)
}

/// What a tool answers.
pub(super) fn of_output<T: JsonSchema>() -> Arc<JsonObject> {
    let mut schema = generate::<T>(SchemaSettings::draft2020_12().for_serialize());
    trim(&mut schema, &RANGES);
    omit_required(&mut schema);
    omit_evident_types(&mut schema);
    object(schema)
}

/// A text that is given is not empty: nobody needs to be told.
fn omit_least_length(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            object.retain(|key, value| key != "minLength" || *value != 1);
            object.values_mut().for_each(omit_least_length);
        }
        Value::Array(values) => values.iter_mut().for_each(omit_least_length),
        _ => {}
    }
}

/// Inside an answer: what has properties is an object, and what has items is a list.
fn omit_evident_types(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let evident = match object.get("type").and_then(Value::as_str) {
                Some("object") => object.get("properties").is_some_and(Value::is_object),
                Some("array") => object.contains_key("items"),
                _ => false,
            };
            if evident {
                object.remove("type");
            }
            object.values_mut().for_each(omit_evident_types);
        }
        Value::Array(values) => values.iter_mut().for_each(omit_evident_types),
        _ => {}
    }
}

/// Which properties an answer always has. Nobody fills in an answer, and the names stand above.
fn omit_required(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            // A property may be called so; its value is an object then.
            object.retain(|key, value| key != "required" || value.is_object());
            object.values_mut().for_each(omit_required);
        }
        Value::Array(values) => values.iter_mut().for_each(omit_required),
        _ => {}
    }
}

/// Some clients cannot follow `$ref`, so that everything stands where it is used.
fn generate<T: JsonSchema>(settings: SchemaSettings) -> Value {
    let settings = settings.with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

fn object(schema: Value) -> Arc<JsonObject> {
    match schema {
        Value::Object(mut object) => {
            object.remove("description");
            object.insert("type".into(), "object".into());
            // Some clients take an object without properties for a mistake.
            object
                .entry("properties")
                .or_insert_with(|| Value::Object(JsonObject::new()));
            Arc::new(object)
        }
        _ => Arc::default(),
    }
}

/// Takes out what a model does not need: titles, Rust's number formats, texts for readers of the
/// code, and the `null` that an optional property may be but need not (it is still accepted).
fn trim(schema: &mut Value, besides: &[&str]) {
    match schema {
        Value::Object(object) => {
            object.retain(|key, value| {
                // A property may be called as a keyword is; its value is an object then.
                let noise = NOISE.contains(&key.as_str()) || besides.contains(&key.as_str());
                value.is_object() || !(noise || key == "description" && is_for_coders(value))
            });
            object.values_mut().for_each(|value| trim(value, besides));
            let required: Vec<Value> = object
                .get("required")
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default();
            if let Some(Value::Object(properties)) = object.get_mut("properties") {
                for (name, property) in properties {
                    if !required.iter().any(|known| known == name) {
                        take_null_out(property);
                    }
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| trim(value, besides)),
        _ => {}
    }
}

/// The texts on types of other rooms, which say nothing to a model.
fn is_for_coders(description: &Value) -> bool {
    static TEXTS: LazyLock<[Option<Value>; 4]> = LazyLock::new(|| {
        [
            text_of::<CrmText>(),
            text_of::<NoteParent>(),
            text_of::<Module>(),
            text_of::<agenda::Kind>(),
        ]
    });
    TEXTS.iter().any(|text| text.as_ref() == Some(description))
}

fn text_of<T: JsonSchema>() -> Option<Value> {
    generate::<T>(SchemaSettings::draft2020_12())
        .get("description")
        .cloned()
}

fn take_null_out(property: &mut Value) {
    let Value::Object(property) = property else {
        return;
    };
    if let Some(Value::Array(variants)) = property.get_mut("enum") {
        variants.retain(|variant| !variant.is_null());
    }
    if let Some(kind) = property.get_mut("type")
        && let Value::Array(kinds) = kind
    {
        kinds.retain(|kind| kind != "null");
        if let [one] = kinds.as_slice() {
            *kind = one.clone();
        }
    }
    let alternatives = property.get("anyOf").and_then(Value::as_array);
    let others: Vec<Value> = alternatives
        .into_iter()
        .flatten()
        .filter(|alternative| alternative.get("type").is_none_or(|kind| kind != "null"))
        .cloned()
        .collect();
    if let [Value::Object(only)] = others.as_slice() {
        property.remove("anyOf");
        for (key, value) in only {
            property.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// What an answer keeps to anyway, and a reader of answers need not check.
const RANGES: [&str; 2] = ["pattern", "minimum"];
const NOISE: [&str; 7] = [
    "$schema",
    "title",
    "format",
    "default",
    "writeOnly",
    "readOnly",
    "$defs",
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[derive(serde::Deserialize, serde::Serialize, JsonSchema)]
    struct Sample {
        /// Its title.
        title: Option<String>,
        #[schemars(range(min = 1, max = 9))]
        size: u32,
        inner: Option<Inner>,
    }

    #[derive(serde::Deserialize, serde::Serialize, JsonSchema)]
    struct Inner {
        kind: Option<Kind>,
    }

    #[derive(serde::Deserialize, serde::Serialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Small,
        Large,
    }

    #[test]
    fn a_schema_is_flat_and_without_noise() {
        assert_eq!(
            Value::Object(of_input::<Sample>().as_ref().clone()),
            json!({
                "type": "object",
                "properties": {
                    "title": { "type": "string", "description": "Its title." },
                    "size": { "type": "integer", "minimum": 1, "maximum": 9 },
                    "inner": {
                        "type": "object",
                        "properties": { "kind": { "type": "string", "enum": ["small", "large"] } },
                    },
                },
                "required": ["size"],
            })
        );
    }
}
