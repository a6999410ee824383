//! What may be written of an argument, by the class that its tool declares for it.

use std::io::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use serde_json::{Map, Value};
use sha2::Sha256;
use unicode_normalization::UnicodeNormalization as _;

use super::{chain::hex, event::string};

/// The class of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Written as it is.
    Public,
    /// An identifier: written as it is.
    Id,
    /// Personal data: written as a keyed pseudonym, `hmac:…`.
    Pii,
    /// Written as its length.
    FreeText,
    /// Never written.
    Secret,
    /// An object, written with its fields by their own classes.
    Object(Classes),
}

impl Class {
    /// What becomes of a class where the arguments are not what they should be.
    const fn of_misfits(self) -> Self {
        match self {
            Self::Public | Self::Id => Self::FreeText,
            Self::Pii | Self::FreeText | Self::Secret | Self::Object(_) => self,
        }
    }
}

/// The classes of a tool's arguments by name; what is not named is counted, not written.
pub type Classes = &'static [(&'static str, Class)];

/// Arguments after redaction: JSON text that may stand in a log line.
#[derive(Clone, Debug)]
pub struct Redacted(Box<str>);

impl Redacted {
    pub(super) fn json(&self) -> &str {
        &self.0
    }
}

/// Redacts arguments with one pseudonym key.
#[derive(Clone)]
pub struct Redactor {
    hmac: Hmac<Sha256>,
}

impl Redactor {
    /// The same key gives the same pseudonyms.
    pub fn new(key: &SecretSlice<u8>) -> Self {
        // HMAC takes keys of any length.
        let hmac = Hmac::new_from_slice(key.expose_secret())
            .unwrap_or_else(|_| Hmac::new(&Default::default()));
        Self { hmac }
    }

    /// Pseudonyms that hold for as long as the process lives.
    pub fn random() -> Self {
        let mut key = [0; 32];
        for part in key.chunks_mut(16) {
            part.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        }
        Self::new(&key.to_vec().into())
    }

    /// Arguments of a tool as the log may have them. `valid` says whether they fit the tool's
    /// schema: in a call that does not fit, anything may stand anywhere, so that even what its
    /// class would show is written as its length.
    pub fn redact(
        &self,
        classes: Classes,
        arguments: &Map<String, Value>,
        valid: bool,
    ) -> Redacted {
        let mut out = Vec::with_capacity(256);
        self.fields(&mut out, classes, arguments, valid);
        Redacted(String::from_utf8(out).unwrap_or_default().into())
    }

    fn fields(&self, out: &mut Vec<u8>, classes: Classes, of: &Map<String, Value>, valid: bool) {
        out.push(b'{');
        let mut known = 0;
        for (name, class) in classes {
            if let Some(value) = of.get(*name) {
                known += 1;
                out.push(b'"');
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\":");
                let class = if valid { *class } else { class.of_misfits() };
                match (class, value) {
                    (Class::Object(classes), Value::Object(of)) => {
                        self.fields(out, classes, of, valid);
                    }
                    _ => self.value(out, class, value),
                }
                out.push(b',');
            }
        }
        if of.len() > known {
            let _ = write!(out, "\"unknownArgs\":{},", of.len() - known);
        }
        if out.last() == Some(&b',') {
            out.pop();
        }
        out.push(b'}');
    }

    fn value(&self, out: &mut Vec<u8>, class: Class, value: &Value) {
        match (class, value) {
            (Class::Secret, _) => out.extend_from_slice(b"\"secret\""),
            (_, Value::Null) => out.extend_from_slice(b"null"),
            (_, Value::Object(_)) => out.extend_from_slice(b"\"object\""),
            (_, Value::Array(items)) => self.list(out, class, items),
            (Class::Pii, Value::String(text)) => self.pseudonym(out, &folded(text)),
            (Class::Pii, scalar) => self.pseudonym(out, &scalar.to_string()),
            (Class::Public, Value::String(text)) if is_word(text) => string(out, text, MAX_WORD),
            (Class::Id, Value::String(text)) if is_id(text) => string(out, text, MAX_WORD),
            (Class::Public | Class::Id, Value::Bool(_) | Value::Number(_)) => {
                let _ = write!(out, "{value}");
            }
            (_, Value::String(text)) => {
                let _ = write!(out, "{{\"chars\":{}}}", text.chars().count());
            }
            (_, scalar) => {
                let _ = write!(out, "{{\"chars\":{}}}", scalar.to_string().len());
            }
        }
    }

    fn list(&self, out: &mut Vec<u8>, class: Class, items: &[Value]) {
        out.push(b'[');
        for (n, item) in items.iter().take(MAX_ITEMS).enumerate() {
            if n > 0 {
                out.push(b',');
            }
            match item {
                Value::Array(_) => out.extend_from_slice(b"\"array\""),
                item => self.value(out, class, item),
            }
        }
        out.push(b']');
    }

    /// What logs call a person whom a token names. Many directories give out login names, so that the
    /// subject itself is written only if no person could have it for a name, a number or an address: a
    /// UUID, or as many hexadecimal digits, perhaps behind the name of a connection as in `auth0|…`.
    /// That name is one of those that issuers give, since any other may be a person's.
    pub fn person(&self, subject: &str) -> String {
        let (connection, id) = subject.rsplit_once('|').unwrap_or(("", subject));
        let is_connection = connection.is_empty() || CONNECTIONS.contains(&connection);
        match subject.len() <= MAX_WORD && is_connection && is_opaque(id) {
            true => subject.to_owned(),
            false => self.pseudonym_of(subject),
        }
    }

    /// The pseudonym of a value that somebody knows, to look for it in a log.
    pub fn pseudonym_of(&self, value: &str) -> String {
        let mut quoted = Vec::new();
        self.pseudonym(&mut quoted, &folded(value));
        String::from_utf8_lossy(&quoted).replace('"', "")
    }

    /// What tells the key from others, and nothing else of it: the pseudonym of a text that no value is
    /// after folding.
    pub fn key_id(&self) -> String {
        let mut quoted = Vec::new();
        self.pseudonym(&mut quoted, "KEY");
        let id = quoted.iter().skip("\"hmac:".len()).take(KEY_ID);
        id.copied().map(char::from).collect()
    }

    fn pseudonym(&self, out: &mut Vec<u8>, text: &str) {
        let mut hmac = self.hmac.clone();
        hmac.update(text.as_bytes());
        out.extend_from_slice(b"\"hmac:");
        let digest = hex(&hmac.finalize().into_bytes());
        out.extend(digest.iter().take(2 * PSEUDONYM));
        out.push(b'"');
    }
}

/// What issuers put before a subject to say where somebody signed in.
const CONNECTIONS: &[&str] = &[
    "ad",
    "adfs",
    "apple",
    "auth0",
    "email",
    "facebook",
    "github",
    "google-apps",
    "google-oauth2",
    "linkedin",
    "oauth2",
    "oidc",
    "okta",
    "passkey",
    "samlp",
    "sms",
    "waad",
    "windowslive",
];
/// Bytes of a digest that stand for a value.
const PSEUDONYM: usize = 12;
const KEY_ID: usize = 16;
const MAX_WORD: usize = 64;
/// Hexadecimal digits that are nobody's number.
const OPAQUE: usize = 16;
const MAX_ITEMS: usize = 20;

/// One form of a text, however it is typed: keyboards write an accent with its letter (NFC) or after
/// it (NFD).
fn folded(text: &str) -> String {
    let text = text.trim().to_lowercase();
    match text.is_ascii() {
        true => text,
        false => text.nfc().collect(),
    }
}

/// An agent may put anything anywhere: what does not look like a word is not written as one.
fn is_word(text: &str) -> bool {
    text.len() <= MAX_WORD
        && text
            .bytes()
            .all(|b| (b.is_ascii_graphic() || b == b' ') && b != b'@')
}

fn is_opaque(id: &str) -> bool {
    let is_hex = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
    let has_letters = id.bytes().any(|b| b.is_ascii_alphabetic());
    let is_uuid = id.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && id.split('-').all(is_hex);
    is_uuid || (id.len() >= OPAQUE && is_hex(id) && has_letters)
}

fn is_id(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-');
    (1..=MAX_WORD).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
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
}
