//! What may be written of an argument, by the class that its tool declares for it.

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
}

/// The classes of a tool's arguments by name; what is not named is counted, not written.
pub type Classes = &'static [(&'static str, Class)];

/// Arguments after redaction: JSON text that may stand in a log line.
#[derive(Clone, Debug)]
pub struct Redacted(Box<str>);

/// Redacts arguments with one pseudonym key.
pub struct Redactor {
    // the key
}

impl Redactor {
    pub fn new(_key: &secrecy::SecretSlice<u8>) -> Self {
        todo!()
    }

    /// Arguments as the log may have them. `arguments` is the raw JSON text of a tool's arguments.
    pub fn redact(
        &self,
        _classes: Classes,
        _arguments: Option<&serde_json::value::RawValue>,
    ) -> Redacted {
        todo!()
    }
}
