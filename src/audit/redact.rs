//! What may be written of an argument, by the class that its tool declares for it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretSlice};
use serde_json::{Map, Value};
use sha2::Sha256;
use unicode_normalization::UnicodeNormalization as _;

use super::{
    chain::hex,
    event::{number, string},
};

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
            out.extend_from_slice(b"\"unknownArgs\":");
            number(out, (of.len() - known) as u64);
            out.push(b',');
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
                // Writing to memory cannot fail.
                let _ = serde_json::to_writer(out, value);
            }
            (_, Value::String(text)) => length(out, text.chars().count()),
            (_, scalar) => length(out, scalar.to_string().len()),
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

/// In place of a text.
fn length(out: &mut Vec<u8>, chars: usize) {
    out.extend_from_slice(b"{\"chars\":");
    number(out, chars as u64);
    out.push(b'}');
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
mod tests;
