use proptest::prelude::*;

use super::*;

const CLASSES: Classes = &[
    ("query", Class::Pii),
    ("contact_id", Class::Id),
    ("period", Class::Public),
    ("content", Class::FreeText),
    ("token", Class::Secret),
];

fn redact(arguments: &str) -> String {
    let arguments = serde_json::from_str(arguments).unwrap();
    Redactor::new(&vec![7; 32].into())
        .redact(CLASSES, &arguments, true)
        .0
        .into()
}

#[test]
fn each_class_is_written_in_its_own_way() {
    let json = redact(
        r#"{"query":"Anna@x.example","contact_id":"57257","period":"2026-Q3","content":"héllo","token":"t","more":1}"#,
    );
    let pseudonym = "\"query\":\"hmac:";
    assert!(json.contains(pseudonym) && !json.contains("Anna"), "{json}");
    assert!(json.ends_with(
        r#""contact_id":"57257","period":"2026-Q3","content":{"chars":5},"token":"secret","unknownArgs":1}"#
    ), "{json}");
}

#[test]
fn the_fields_of_an_object_are_written_by_their_own_classes() {
    const NESTED: Classes = &[("filters", Class::Object(CLASSES))];
    let redact = |arguments: &str, valid| {
        let arguments = serde_json::from_str(arguments).unwrap();
        Redactor::new(&vec![7; 32].into())
            .redact(NESTED, &arguments, valid)
            .0
    };
    let filters = r#"{"filters":{"query":"anna","contact_id":"57257","more":1}}"#;
    let pseudonym = Redactor::new(&vec![7; 32].into()).pseudonym_of("Anna");
    let shown = |id: &str| {
        format!(r#"{{"filters":{{"query":"{pseudonym}","contact_id":{id},"unknownArgs":1}}}}"#)
    };
    assert_eq!(*redact(filters, true), shown("\"57257\""));
    assert_eq!(*redact(filters, false), shown("{\"chars\":5}"));
    let misfit = redact(r#"{"filters":"anna"}"#, false);
    assert_eq!(*misfit, *r#"{"filters":{"chars":4}}"#);
}

#[test]
fn in_a_call_that_does_not_fit_nothing_is_shown() {
    let arguments = serde_json::from_str(
        r#"{"query":"anna","contact_id":"anna","period":["anna",49151,true],"content":"x"}"#,
    )
    .unwrap();
    let json = Redactor::random().redact(CLASSES, &arguments, false).0;
    let shown = r#""contact_id":{"chars":4},"period":[{"chars":4},{"chars":5},{"chars":4}],"content":{"chars":1}}"#;
    assert!(json.ends_with(shown), "{json}");
    assert!(!json.contains("anna") && json.contains("hmac:"), "{json}");
}

#[test]
fn a_person_is_named_only_by_what_names_nobody() {
    const ID: &str = "5f7c8ec7c33c6c004bbafe82";
    let redactor = Redactor::random();
    let is_shown = |subject: &str| redactor.person(subject) == subject;
    for shown in [
        ID.to_owned(),
        format!("auth0|{ID}"),
        format!("google-oauth2|{ID}"),
    ] {
        assert!(is_shown(&shown), "{shown}");
    }
    // What stands before the id is chosen by somebody else, who may write anything there.
    for hidden in [
        "anna.miller",
        "hmac:0123456789abcdef01234567",
        "session",
        "|",
        "AUTH0",
    ] {
        assert!(!is_shown(&format!("{hidden}|{ID}")), "{hidden}");
    }
}

#[test]
fn a_pseudonym_is_the_same_however_the_value_is_typed() {
    assert_eq!(
        redact(r#"{"query":" ANNA "}"#),
        redact(r#"{"query":"anna"}"#)
    );
    assert_ne!(redact(r#"{"query":"anna"}"#), redact(r#"{"query":"anne"}"#));
}

#[test]
fn personal_data_in_the_wrong_place_is_not_written() {
    for name in ["contact_id", "period"] {
        for value in [
            "anna@x.example",
            "Änne",
            "line\\nbreak",
            "[\"anna@x.example\"]",
        ] {
            let value = if value.starts_with('[') {
                value.into()
            } else {
                format!("\"{value}\"")
            };
            let json = redact(&format!("{{\"{name}\":{value}}}"));
            assert!(!json.contains("anna") && !json.contains("nne"), "{json}");
        }
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,30}|[\\x00-\\x1f\u{2028}\"\\\\]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..30).prop_map(Value::from),
            proptest::collection::hash_map("[a-z]{1,5}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_comes_in_one_short_object_goes_out(values in proptest::collection::vec(json(), 5)) {
        let names = CLASSES.iter().map(|(name, _)| (*name).to_owned());
        let arguments: Map<String, Value> = names.zip(values).collect();
        let out = redact(&Value::Object(arguments).to_string());
        let one_line = out.len() < 8 << 10 && !out.contains(['\n', '\u{2028}', '\0']);
        prop_assert!(one_line, "{}", out);
        prop_assert!(serde_json::from_str::<Map<String, Value>>(&out).is_ok(), "{}", out);
    }
}
