//! `create_note`: leaves a note on a record, once.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    cursor::digest,
    idempotency::Key,
    input::{Line, Prose},
    made::{RECORD, lost},
    once::{Looked, Once, Outcome, Receipt, once},
    record::instant,
    text::Text,
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{
        CrmText, Page, RecordId,
        notes::{NewNote, Note, NoteParent},
        same_text,
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
    /// New for each write; repeats of it write once (24 hours).
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_kept: Vec<&'static str>,
    /// Markup or a mention in the text was made harmless.
    neutralised: bool,
    as_of: String,
}

impl Tool for CreateNote {
    const NAME: &'static str = "create_note";
    const TITLE: &'static str = "Create a note";
    const DESCRIPTION: &'static str = "Add a note to a contact, account, lead or deal; nothing is \
        overwritten. Get record_id from a search first. Pass an idempotency_key. \
        Costs 1 to 4 API credits, rarely more.";
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
        let receipt = once(call, input.idempotency_key.as_ref(), &draft).await?;
        let is_unchecked = receipt.is_unchecked;
        let output = draft.output(receipt, call.now);
        Ok(Answer {
            text: tell(&output, is_unchecked),
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

    fn is_this(&self, note: &Note, since: Timestamp) -> bool {
        let recent = instant(note.created_time.as_deref()).is_some_and(|created| created >= since);
        let title = self.note.title.as_deref().unwrap_or_default();
        let theirs = |text: &Option<CrmText>| text.clone().unwrap_or_default();
        recent
            && same_text(title, theirs(&note.title).as_str())
            && same_text(&self.note.content, theirs(&note.content).as_str())
    }

    /// Whether what would tell it from this one is not shown: Zoho hides fields, and passes over what it
    /// is sent for them.
    fn may_be_this(&self, note: &Note, since: Timestamp) -> bool {
        let times = [&note.created_time, &note.modified_time];
        let is_older = times
            .into_iter()
            .filter_map(|time| instant(time.as_deref()))
            .any(|time| time < since);
        let title = self.note.title.as_deref().unwrap_or_default();
        let may_be = |ours: &str, theirs: &Option<CrmText>| {
            let shown = theirs.as_ref().map(CrmText::as_str);
            let shown = shown.filter(|text| !text.is_empty());
            shown.is_none_or(|theirs| same_text(ours, theirs))
        };
        !is_older && may_be(title, &note.title) && may_be(&self.note.content, &note.content)
    }

    fn output(&self, receipt: Receipt, now: Timestamp) -> Output {
        Output {
            note_id: receipt.id,
            module: self.module,
            record_id: self.record.clone(),
            created_time: receipt.time,
            outcome: receipt.outcome,
            not_kept: receipt.not_kept,
            neutralised: self.neutralised,
            as_of: now.to_string(),
        }
    }
}

impl Once for Draft {
    const TOOL: &'static str = CreateNote::NAME;
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("Parent_Id", RECORD),
        ("Note_Title", "title"),
        ("Note_Content", CONTENT),
    ];
    const CREATES: bool = true;

    fn arguments(&self) -> [u8; 32] {
        self.arguments
    }

    async fn write(&self, call: &Context<'_>, _: Option<Timestamp>) -> Result<Receipt, ToolError> {
        let created = call
            .crm
            .create_note(self.module, &self.record, &self.note)
            .await?;
        Ok(Receipt::created(created))
    }

    async fn not_kept(&self, call: &Context<'_>, made: &RecordId) -> Option<Vec<&'static str>> {
        let about = (self.module, &self.record);
        call.crm.note_not_kept(about, made, &self.note).await
    }

    async fn look(&self, call: &Context<'_>, since: Timestamp) -> Result<Looked, ToolError> {
        let newest = Page {
            number: 1,
            size: 200,
        };
        let notes = call.crm.notes_of(self.module, &self.record, newest).await?;
        let (ours, others): (Vec<_>, Vec<_>) = notes
            .rows
            .into_iter()
            .partition(|note| self.is_this(note, since));
        let found = |note: Note| Receipt::new(note.id, note.created_time, Outcome::Found);
        Ok(Looked {
            these: ours.into_iter().map(found).collect(),
            or_another: others.iter().any(|note| self.may_be_this(note, since)),
        })
    }
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

fn tell(output: &Output, is_unchecked: bool) -> String {
    let (note, record) = (&output.note_id, &output.record_id);
    let module = output.module;
    let mut text = Text::new(match output.outcome {
        Outcome::Created | Outcome::Updated | Outcome::Unchanged => {
            format!("Note {note} created on {module:?} {record}.")
        }
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
    if output.not_kept.contains(&CONTENT) {
        text.line(
            "It stands there without its text, or its text is not shown: the same call again would \
             make another one like it.",
        );
    }
    lost(&mut text, &output.not_kept, is_unchecked);
    if output.neutralised {
        text.line("Markup, mentions or hidden characters in it were made harmless (< as &lt;, crm[ as crm [).");
    }
    text.finish()
}

const CONTENT: &str = "content";
const MAX_TITLE: usize = 120;
/// Zoho takes 65,535.
const MAX_CONTENT: usize = 65_000;

#[cfg(test)]
mod tests;
