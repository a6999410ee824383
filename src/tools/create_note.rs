//! `create_note`: leaves a note on a record, once.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    cursor::digest,
    idempotency::{Begun, Claim, Key},
    input::{Line, Prose},
    record::instant,
    text::Text,
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{
        CrmText, Page, RecordId, ZohoError,
        notes::{NewNote, Note, NoteParent},
    },
};

pub(super) struct CreateNote;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The record that gets the note.
    record_id: RecordId,
    /// The record's module, by default Contacts.
    module: Option<NoteParent>,
    title: Option<Line<120>>,
    /// Plain text; markup and mentions are made harmless.
    content: Prose<32_000>,
    /// Any unique text: a repeated call with the same key writes once (24 hours).
    idempotency_key: Option<Key>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    note_id: RecordId,
    #[schemars(with = "String")]
    module: NoteParent,
    record_id: RecordId,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<String>,
    outcome: Outcome,
    /// Markup or a mention in the text was made harmless.
    neutralised: bool,
    as_of: String,
}

/// replayed and found: an earlier call with the key wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Created,
    Replayed,
    Found,
}

impl Tool for CreateNote {
    const NAME: &'static str = "create_note";
    const TITLE: &'static str = "Create a note";
    const DESCRIPTION: &'static str = "Add a note to a contact, account, lead or deal; nothing is \
        overwritten. Get record_id from a search first. Pass an idempotency_key, so that a retry \
        cannot write twice. Costs 1 API credit.";
    const EFFECT: Effect = Effect::Write;
    const CLASSES: Classes = &[
        ("record_id", Class::Id),
        ("module", Class::Public),
        ("title", Class::FreeText),
        ("content", Class::FreeText),
        // Agents make keys out of what they write, names included.
        ("idempotency_key", Class::Pii),
    ];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Output>, ToolError> {
        let draft = Draft::new(&input)?;
        let output = match &input.idempotency_key {
            None => {
                let created = call
                    .crm
                    .create_note(draft.module, &draft.record, &draft.note)
                    .await?;
                draft.output(created.id, created.created_time, Outcome::Created, call.now)
            }
            Some(key) => draft.write_once(call, key).await?,
        };
        Ok(Answer {
            text: tell(&output),
            output,
            records: 1,
        })
    }
}

/// A note that may go to Zoho as it is.
struct Draft {
    module: NoteParent,
    record: RecordId,
    note: NewNote,
    neutralised: bool,
    /// Of the arguments as they came.
    arguments: [u8; 32],
}

impl Draft {
    fn new(input: &Input) -> Result<Self, ToolError> {
        let module = input.module.unwrap_or_default();
        let given = (
            input.title.as_ref().map(Line::as_str),
            input.content.as_str(),
        );
        let title = given.0.map(neutral);
        let content = neutral(given.1);
        if title
            .as_ref()
            .is_some_and(|title| title.chars().count() > MAX_TITLE)
        {
            return Err(ToolError::Argument {
                argument: "title",
                problem: "with < and > escaped it exceeds 120 characters; shorten it",
            });
        }
        if content.chars().count() > MAX_CONTENT {
            return Err(ToolError::Argument {
                argument: "content",
                problem: "with < and > escaped it exceeds what Zoho takes; use less markup",
            });
        }
        if content.trim().is_empty() {
            return Err(ToolError::Argument {
                argument: "content",
                problem: "nothing visible is in it",
            });
        }
        Ok(Self {
            module,
            record: input.record_id.clone(),
            neutralised: title.as_deref() != given.0 || content != given.1,
            arguments: digest(&(module, &input.record_id, given)),
            note: NewNote { title, content },
        })
    }

    async fn write_once(&self, call: &Context<'_>, key: &Key) -> Result<Output, ToolError> {
        let memory = call.idempotency;
        match memory
            .begin(
                (call.client, call.crm.scope()),
                CreateNote::NAME,
                key,
                self.arguments,
                call.now,
            )
            .await?
        {
            Begun::New(claim) => self.write(call, claim, false).await,
            Begun::Done(result) => {
                let first: Output =
                    serde_json::from_value(result).map_err(|_| ToolError::Unwritable)?;
                Ok(Output {
                    outcome: Outcome::Replayed,
                    ..first
                })
            }
            // A failed look-up drops the claim, and the fate of the write stays unknown.
            Begun::Unknown(claim, since) => match self.look_up(call, since).await? {
                Some(note) => {
                    let found = self.output(note.id, note.created_time, Outcome::Found, call.now);
                    finish(claim, &found).await?;
                    Ok(found)
                }
                None => self.write(call, claim, true).await,
            },
        }
    }

    /// Writes under a claim. A clean failure frees the key, unless an earlier attempt may have
    /// come through: that stays unknown.
    async fn write(
        &self,
        call: &Context<'_>,
        claim: Claim,
        again: bool,
    ) -> Result<Output, ToolError> {
        match call
            .crm
            .create_note(self.module, &self.record, &self.note)
            .await
        {
            Ok(created) => {
                let output =
                    self.output(created.id, created.created_time, Outcome::Created, call.now);
                finish(claim, &output).await?;
                Ok(output)
            }
            Err(error) => {
                if !again && is_clean(&error) {
                    claim.forget().await;
                }
                Err(error.into())
            }
        }
    }

    async fn look_up(
        &self,
        call: &Context<'_>,
        since: Timestamp,
    ) -> Result<Option<Note>, ToolError> {
        let newest = Page {
            number: 1,
            size: 200,
        };
        let notes = call.crm.notes_of(self.module, &self.record, newest).await?;
        Ok(notes
            .rows
            .into_iter()
            .find(|note| self.is_this(note, since)))
    }

    fn is_this(&self, note: &Note, since: Timestamp) -> bool {
        // Zoho's clock is not ours.
        let recent = instant(note.created_time.as_deref())
            .is_none_or(|created| since.duration_since(created) < CLOCK_SKEW);
        let title = self.note.title.as_deref().unwrap_or_default();
        recent
            && same_text(title, note.title.as_ref())
            && same_text(&self.note.content, note.content.as_ref())
    }

    fn output(
        &self,
        note_id: RecordId,
        created_time: Option<String>,
        outcome: Outcome,
        now: Timestamp,
    ) -> Output {
        Output {
            note_id,
            module: self.module,
            record_id: self.record.clone(),
            created_time,
            outcome,
            neutralised: self.neutralised,
            as_of: now.to_string(),
        }
    }
}

async fn finish(claim: Claim, output: &Output) -> Result<(), ToolError> {
    let result = serde_json::to_value(output).map_err(|_| ToolError::Unwritable)?;
    claim.finish(result).await;
    Ok(())
}

/// Whether a failed write surely wrote nothing.
fn is_clean(error: &ZohoError) -> bool {
    !matches!(
        error,
        ZohoError::Ambiguous { .. } | ZohoError::DeadlineExceeded
    )
}

/// Text that Zoho shows as text: no tags, no `crm[user#…]crm` mention, and no characters that hide
/// or reorder what a later reader, human or model, would see.
fn neutral(text: &str) -> String {
    let clean = CrmText::clean(text);
    let escaped = clean.as_str().replace('<', "&lt;").replace('>', "&gt;");
    let mut neutral = String::with_capacity(escaped.len());
    for c in escaped.chars() {
        // A space takes the mention apart, and reads well with and without HTML.
        let mention = c == '['
            && neutral
                .len()
                .checked_sub(3)
                .and_then(|at| neutral.get(at..))
                .is_some_and(|end| end.eq_ignore_ascii_case("crm"));
        if mention {
            neutral.push(' ');
        }
        neutral.push(c);
    }
    neutral
}

/// Whether Zoho's text is ours, whatever it did to white space and escapes.
fn same_text(ours: &str, theirs: Option<&CrmText>) -> bool {
    let plain = |text: &str| -> String {
        let text = text
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    plain(ours) == plain(theirs.map(CrmText::as_str).unwrap_or_default())
}

fn tell(output: &Output) -> String {
    let (note, record) = (&output.note_id, &output.record_id);
    let module = output.module;
    let mut text = Text::new(match output.outcome {
        Outcome::Created => format!("Note {note} created on {module:?} {record}."),
        Outcome::Replayed | Outcome::Found => format!(
            "Note {note} is on {module:?} {record} already: an earlier call with this \
             idempotency_key wrote it. Nothing was written now."
        ),
    });
    if output.neutralised {
        text.line("Markup, mentions or hidden characters in it were made harmless (< as &lt;, crm[ as crm [).");
    }
    text.finish()
}

const MAX_TITLE: usize = 120;
/// Zoho takes 65,535.
const MAX_CONTENT: usize = 65_000;
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(2);

#[cfg(test)]
mod tests;
