//! Notes.

use super::{Crm, CrmText, Listed, Page, RecordId, Reference, ZohoError};

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Note {
    pub id: RecordId,
    pub title: Option<CrmText>,
    pub content: Option<CrmText>,
    pub owner: Option<Reference>,
    pub created_time: Option<String>,
    pub modified_time: Option<String>,
}

/// The modules whose records can carry a note.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub enum NoteParent {
    #[default]
    Contacts,
    Accounts,
    Leads,
    Deals,
}

/// A note to be written.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct NewNote {
    pub title: Option<String>,
    pub content: String,
}

/// What Zoho says of a record it made.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Created {
    pub id: RecordId,
    pub created_time: Option<String>,
}

impl Crm {
    /// Notes of a record, newest first.
    pub async fn notes_of(
        &self,
        _parent: NoteParent,
        _id: &RecordId,
        _page: Page,
    ) -> Result<Listed<Note>, ZohoError> {
        todo!()
    }

    /// Writes a note, once: never retried. A broken connection is [`ZohoError::Ambiguous`].
    pub async fn create_note(
        &self,
        _parent: NoteParent,
        _id: &RecordId,
        _note: &NewNote,
    ) -> Result<Created, ZohoError> {
        todo!()
    }
}
