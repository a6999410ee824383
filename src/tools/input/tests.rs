use super::*;
use serde_json::json;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code)]
struct Sample {
    /// Who.
    name: Line<10>,
    text: Option<Prose<20>>,
    limit: Option<Limit>,
    nested: Option<Nested>,
    #[schemars(length(max = 3))]
    kinds: Option<Vec<Kind>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code)]
struct Nested {
    from: Option<Day>,
    least: Option<Amount>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Red,
    Blue,
}

fn refusal(arguments: Value) -> String {
    let Value::Object(arguments) = arguments else {
        panic!("not an object")
    };
    read::<Sample>(arguments).unwrap_err().to_string()
}

#[test]
fn where_no_argument_is_known_none_is_named() {
    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    let arguments = Map::from_iter([("zzz".to_owned(), json!(1))]);
    let told = read::<Nothing>(arguments).unwrap_err().to_string();
    assert_eq!(
        told,
        "There is an unknown argument; there are no known ones"
    );
}

#[test]
fn a_refusal_names_the_argument_and_the_remedy() {
    for (arguments, told) in [
        (
            json!({}),
            "Argument `name` is missing; it must be text of 1 to 10 characters without control characters (Who)",
        ),
        (
            json!({"name": "x", "limit": 0}),
            "Argument `limit` must be a whole number from 1 to 200",
        ),
        (
            json!({"name": "x", "limit": "many"}),
            "Argument `limit` must be a whole number from 1 to 200",
        ),
        (
            json!({"name": "x", "kinds": ["red", "green"]}),
            "Argument `kinds[1]` must be one of red, blue",
        ),
        (
            json!({"name": "x", "nested": {"from": "2026-02-30"}}),
            "Argument `nested.from` names a date that does not exist",
        ),
        (
            json!({"name": "x", "nested": {"least": -1}}),
            "Argument `nested.least` must be a number from 0 to 1000000000000",
        ),
        (
            json!({"name": "x", "nested": {"zzz": 1}}),
            "There is an unknown argument in `nested`; known are: from, least",
        ),
        (
            json!({"name": "x", "nested": 7}),
            "Argument `nested` must be an object",
        ),
    ] {
        assert_eq!(refusal(arguments), told);
    }
}

#[test]
fn a_refusal_echoes_neither_values_nor_made_up_names() {
    for arguments in [
        json!({"name": "SECRETSECRET"}),
        json!({"name": {"SECRET": 1}}),
        json!({"name": "x", "SECRET": "SECRET"}),
        json!({"name": "x", "kinds": ["SECRET"]}),
        json!({"name": "x", "nested": {"SECRET": 1}}),
        json!({"name": "x", "nested": "SECRET"}),
    ] {
        assert!(!refusal(arguments).contains("SECRET"));
    }
}

#[test]
fn control_characters_are_refused() {
    for name in ["a\0b", "a\nb", "a\u{1b}b", "a\u{85}b", "   ", ""] {
        assert!(
            refusal(json!({"name": name})).contains("`name`"),
            "{name:?}"
        );
    }
    assert!(refusal(json!({"name": "x", "text": "a\0b"})).contains("`text`"));
    let fine = json!({"name": "x", "text": "a\nb\tc"});
    assert!(read::<Sample>(fine.as_object().cloned().unwrap()).is_ok());
}

#[test]
fn null_is_as_good_as_missing() {
    let sparse = json!({"name": " x ", "text": null, "limit": null, "nested": null});
    let read = read::<Sample>(sparse.as_object().cloned().unwrap()).unwrap();
    assert_eq!(read.name.as_str(), "x");
    assert_eq!(read.limit, None);
}

#[test]
fn a_whole_number_is_one_however_it_is_written() {
    let limit = |limit: Value| {
        let arguments = json!({"name": "x", "limit": limit});
        read::<Sample>(arguments.as_object().cloned().unwrap()).map(|read| read.limit)
    };
    assert_eq!(limit(json!(1.0)).unwrap(), Some(Limit(1)));
    assert_eq!(limit(json!(200)).unwrap(), Some(Limit(200)));
    for wrong in [json!(1.5), json!(0.0), json!(201), json!(-1), json!(1e300)] {
        assert!(limit(wrong.clone()).is_err(), "{wrong}");
    }
}
