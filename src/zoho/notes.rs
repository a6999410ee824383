//! Notes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{
    Crm, CrmText, Listed, Page, RecordId, Reference, ZohoError, refused,
    row::{lookup, moment},
    written::{Written, written},
};

#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Note {
    pub id: RecordId,
    #[serde(rename = "Note_Title")]
    pub title: Option<CrmText>,
    #[serde(rename = "Note_Content")]
    pub content: Option<CrmText>,
    #[serde(rename = "Owner", default, deserialize_with = "lookup")]
    pub owner: Option<Reference>,
    #[serde(rename = "Created_Time", default, deserialize_with = "moment")]
    pub created_time: Option<String>,
    #[serde(rename = "Modified_Time", default, deserialize_with = "moment")]
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

impl Crm {
    /// Notes of a record, newest first.
    pub async fn notes_of(
        &self,
        parent: NoteParent,
        id: &RecordId,
        page: Page,
    ) -> Result<Listed<Note>, ZohoError> {
        let list = self.notes_on((parent.module(), id), FIELDS).await?;
        self.page::<Note, Note>(&list, page).await
    }

    /// Writes a note, once: never retried. A broken connection is [`ZohoError::Ambiguous`].
    pub async fn create_note(
        &self,
        parent: NoteParent,
        id: &RecordId,
        note: &NewNote,
    ) -> Result<Written, ZohoError> {
        let body = Body::new(parent, id, note)?;
        let write = self.write_on("Notes", (parent.module(), id), &body).await?;
        let reply = self.write(&write).await?;
        written(&reply).map_err(|error| write.telling(error))
    }

    /// As [`Crm::not_kept`], of a note that was just written on a record.
    pub async fn note_not_kept(
        &self,
        parent: (NoteParent, &RecordId),
        id: &RecordId,
        note: &NewNote,
    ) -> Option<Vec<&'static str>> {
        self.looked_at_soon(self.lost_of_note(parent, id, note))
            .await
    }

    /// A note is seen by the record that it is on, whoever owns it.
    async fn lost_of_note(
        &self,
        (parent, about): (NoteParent, &RecordId),
        id: &RecordId,
        note: &NewNote,
    ) -> Result<Vec<&'static str>, ZohoError> {
        let mut list = self.notes_on((parent.module(), about), FIELDS).await?;
        list.ask = list.ask.once();
        let (tokens, now) = (list.tokens.clone(), Instant::now());
        let fields = note.fields();
        if fields.iter().all(|name| tokens.keeps(("Notes", name), now)) {
            return Ok(Vec::new());
        }
        let newest = self.page::<Note, Note>(&list, NEWEST).await?;
        let row = newest.rows.into_iter().find(|row| row.id == *id);
        let row = row.ok_or(ZohoError::NotFound)?;
        Ok(tokens.lost("Notes", fields.into_iter(), |name| row.shows(name), now))
    }
}

impl NewNote {
    /// Zoho's names of what it holds.
    fn fields(&self) -> Vec<&'static str> {
        let title = self.title.as_deref().filter(|title| !title.is_empty());
        let title = title.map(|_| TITLE);
        title.into_iter().chain([CONTENT]).collect()
    }
}

impl Note {
    fn shows(&self, name: &str) -> bool {
        let text = match name {
            TITLE => &self.title,
            _ => &self.content,
        };
        text.as_ref().is_some_and(|text| !text.as_str().is_empty())
    }
}

impl NoteParent {
    /// The module's name in paths.
    pub fn module(self) -> &'static str {
        match self {
            Self::Contacts => "Contacts",
            Self::Accounts => "Accounts",
            Self::Leads => "Leads",
            Self::Deals => "Deals",
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    data: [NewRow<'a>; 1],
}

#[derive(Serialize)]
struct NewRow<'a> {
    #[serde(rename = "Note_Title", skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(rename = "Note_Content")]
    content: Cow<'a, str>,
    #[serde(rename = "Parent_Id")]
    parent: Parent<'a>,
}

#[derive(Serialize)]
struct Parent<'a> {
    module: Module,
    id: &'a RecordId,
}

#[derive(Serialize)]
struct Module {
    api_name: &'static str,
}

impl<'a> Body<'a> {
    fn new(parent: NoteParent, id: &'a RecordId, note: &'a NewNote) -> Result<Self, ZohoError> {
        let title = note.title.as_deref().filter(|title| !title.is_empty());
        if title.is_some_and(|title| title.chars().count() > LONGEST_TITLE) {
            return Err(refused("Note_Title"));
        }
        let length = note.content.chars().count();
        if length > LONGEST_CONTENT || (length == 0 && title.is_none()) {
            return Err(refused("Note_Content"));
        }
        Ok(Self {
            data: [NewRow {
                title,
                content: without_mentions(&note.content),
                parent: Parent {
                    module: Module {
                        api_name: parent.module(),
                    },
                    id,
                },
            }],
        })
    }
}

/// Zoho's markup for mentions notifies people; a note of an agent is not to.
fn without_mentions(content: &str) -> Cow<'_, str> {
    if content.contains(MENTION) {
        content.replace(MENTION, "crm [user#").into()
    } else {
        content.into()
    }
}

const FIELDS: &str = "id,Note_Title,Note_Content,Owner,Created_Time,Modified_Time";
const TITLE: &str = "Note_Title";
const CONTENT: &str = "Note_Content";
/// A note that was just written is among these.
const NEWEST: Page = Page {
    number: 1,
    size: 10,
};
const MENTION: &str = "crm[user#";
const LONGEST_TITLE: usize = 120;
const LONGEST_CONTENT: usize = 65_535;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_names_its_parent_and_mentions_nobody() {
        let id: RecordId = "5725767000000411001".parse().unwrap();
        let note = NewNote {
            title: None,
            content: "see crm[user#12#34]crm".into(),
        };
        let body = Body::new(NoteParent::Deals, &id, &note).unwrap();
        assert_eq!(
            serde_json::to_string(&body).unwrap(),
            r#"{"data":[{"Note_Content":"see crm [user#12#34]crm","Parent_Id":{"module":{"api_name":"Deals"},"id":"5725767000000411001"}}]}"#
        );
        for (title, content) in [
            (None, String::new()),
            (Some("t".repeat(121)), "x".into()),
            (None, "x".repeat(65_536)),
        ] {
            assert!(Body::new(NoteParent::Deals, &id, &NewNote { title, content }).is_err());
        }
    }
}
