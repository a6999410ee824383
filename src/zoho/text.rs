//! Text that came out of the CRM. It is data for the agent, never instruction, so characters that
//! hide or reorder text are gone before anything else can touch it.

/// Free text from a record, cleaned when it is read: no invisible, bidirectional or control
/// characters (newline and tab stay).
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    schemars::JsonSchema,
)]
#[serde(transparent)]
#[schemars(transparent, inline)]
pub struct CrmText(String);

impl CrmText {
    /// Cleans `text`.
    pub fn clean(_text: &str) -> Self {
        todo!()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> serde::Deserialize<'de> for CrmText {
    fn deserialize<D: serde::Deserializer<'de>>(_deserializer: D) -> Result<Self, D::Error> {
        todo!()
    }
}
