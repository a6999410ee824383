//! `create_note`: leaves a note on a record, once.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError, Written,
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
    /// Any unique text: a repeated call with the same key writes once (24 hours; without Redis
    /// until the server restarts).
    idempotency_key: Option<Key>,
}

#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
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

/// replayed: an earlier call with the key wrote it. found: taken for that call's note, whose
/// answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Created,
    Replayed,
    Found,
}

impl Outcome {
    /// As the log and the answer have it.
    const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Replayed => "replayed",
            Self::Found => "found",
        }
    }
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
                call.idempotency.wrote(created.id.as_str(), call.now).await;
                draft.output(created.id, created.created_time, Outcome::Created, call.now)
            }
            Some(key) => draft.write_once(call, key).await?,
        };
        // A tool sets it once.
        let _ = call.written.set(Written {
            record: output.note_id.as_str().into(),
            outcome: output.outcome.name(),
        });
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
                let kept: Kept =
                    serde_json::from_value(result).map_err(|_| ToolError::Unwritable)?;
                Ok(self.output(kept.id, kept.created_time, Outcome::Replayed, call.now))
            }
            // A failed look-up drops the claim, and the fate of the write stays unknown.
            Begun::Unknown(claim, since) => match self.look_up(call, &claim, since).await? {
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

    /// The note that the earlier call wrote, if it did: never one that another call wrote.
    async fn look_up(
        &self,
        call: &Context<'_>,
        claim: &Claim,
        begun: Timestamp,
    ) -> Result<Option<Note>, ToolError> {
        let newest = Page {
            number: 1,
            size: 200,
        };
        let notes = call.crm.notes_of(self.module, &self.record, newest).await?;
        let since = earliest(begun, call.crm.clock_ahead());
        for note in notes.rows {
            if self.is_this(&note, since) && claim.take(note.id.as_str()).await? {
                return Ok(Some(note));
            }
        }
        Ok(None)
    }

    fn is_this(&self, note: &Note, since: Timestamp) -> bool {
        let recent = instant(note.created_time.as_deref()).is_some_and(|created| created >= since);
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

/// What is remembered of a note: no word of it.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: RecordId,
    created_time: Option<String>,
}

async fn finish(claim: Claim, output: &Output) -> Result<(), ToolError> {
    let kept = Kept {
        id: output.note_id.clone(),
        created_time: output.created_time.clone(),
    };
    let result = serde_json::to_value(kept).map_err(|_| ToolError::Unwritable)?;
    claim.finish(output.note_id.as_str(), result).await;
    Ok(())
}

/// When a note of a call that began then can have been created, by Zoho's clock at the earliest.
fn earliest(begun: Timestamp, ahead: Option<SignedDuration>) -> Timestamp {
    let (ahead, margin) = match ahead {
        Some(ahead) => (ahead, SECOND_HANDS),
        None => (SignedDuration::ZERO, CLOCK_SKEW),
    };
    begun
        .checked_add(ahead)
        .and_then(|begun| begun.checked_sub(margin))
        .unwrap_or(begun)
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
        Outcome::Replayed => format!(
            "Note {note} is on {module:?} {record} already: an earlier call with this \
             idempotency_key wrote it. Nothing was written now."
        ),
        Outcome::Found => format!(
            "Note {note} with this text is on {module:?} {record}. No other call through this \
             server wrote it, so it is taken for the note of the earlier call with this \
             idempotency_key, whose answer was lost. Nothing was written now."
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
/// Zoho's times are cut to the second, both that of the note and that of its clock.
const SECOND_HANDS: SignedDuration = SignedDuration::from_secs(2);
/// While Zoho has not said what time it is.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(2);

#[cfg(test)]
mod tests;
