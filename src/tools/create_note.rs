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
        ("idempotency_key", Class::Id),
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
            .begin(call.client, CreateNote::NAME, key, self.arguments, call.now)
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
mod tests {
    use super::*;
    use crate::tools::{
        input,
        record::tests::{assert_fits, id, text},
    };
    use crate::zoho::error::Problem;
    use proptest::prelude::*;
    use serde_json::json;

    fn draft(arguments: serde_json::Value) -> Result<Draft, ToolError> {
        Draft::new(&input::read::<Input>(arguments.as_object().cloned())?)
    }

    fn note(title: Option<&str>, content: &str, created: &str) -> Note {
        Note {
            id: id(5),
            title: title.and_then(text),
            content: text(content),
            owner: None,
            created_time: Some(created.to_owned()),
            modified_time: None,
        }
    }

    #[test]
    fn markup_and_mentions_reach_zoho_as_text() {
        let draft = draft(json!({
            "record_id": "1",
            "title": "<b>Hi</b>",
            "content": "<img src=x> CRM[user#1#Ann]crm\nnext",
        }))
        .unwrap();
        assert_eq!(draft.note.title.as_deref(), Some("&lt;b&gt;Hi&lt;/b&gt;"));
        assert_eq!(
            draft.note.content,
            "&lt;img src=x&gt; CRM [user#1#Ann]crm\nnext"
        );
        assert!(draft.neutralised);
        assert_eq!(draft.module, NoteParent::Contacts);
    }

    #[test]
    fn plain_text_is_written_as_it_came() {
        let draft =
            draft(json!({"record_id": "1", "content": "R&D called. Élan [a] 5 % 日本"})).unwrap();
        assert_eq!(draft.note.content, "R&D called. Élan [a] 5 % 日本");
        assert!(!draft.neutralised);
    }

    #[test]
    fn a_note_that_zoho_would_refuse_is_refused_here() {
        let refused = |arguments| draft(arguments).err().unwrap().to_string();
        assert!(refused(json!({"record_id": "1", "content": ""})).contains("1 to 32000"));
        assert!(
            refused(json!({"record_id": "1", "content": "x".repeat(32_001)})).contains("`content`")
        );
        assert!(
            refused(json!({"record_id": "1", "content": "<".repeat(32_000)})).contains("markup")
        );
        assert!(
            refused(json!({"record_id": "1", "content": "x", "title": "<".repeat(40)}))
                .contains("`title`")
        );
        assert!(refused(json!({"record_id": "../1", "content": "x"})).contains("`record_id`"));
        assert!(
            refused(json!({"record_id": "1", "content": "x", "module": "Users"}))
                .contains("Contacts")
        );
    }

    #[test]
    fn a_note_written_before_is_found_again() {
        let draft = draft(json!({"record_id": "1", "title": "T", "content": "a <b>\n c"})).unwrap();
        let since: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let now = "2026-01-01T13:00:01+01:00";
        assert!(draft.is_this(&note(Some("T"), "a <b> c", now), since));
        assert!(draft.is_this(&note(Some("T"), "a &lt;b&gt;\n c", now), since));
        assert!(!draft.is_this(&note(Some("U"), "a <b> c", now), since));
        assert!(!draft.is_this(&note(Some("T"), "a <b> d", now), since));
        assert!(!draft.is_this(&note(Some("T"), "a <b> c", "2026-01-01T11:00:00Z"), since));
    }

    #[test]
    fn other_arguments_have_another_digest() {
        let digest = |arguments| draft(arguments).unwrap().arguments;
        let one = digest(json!({"record_id": "1", "content": "x"}));
        assert_eq!(
            one,
            digest(
                json!({"content": "x", "module": "Contacts", "record_id": "1", "idempotency_key": "k"})
            )
        );
        assert_ne!(one, digest(json!({"record_id": "2", "content": "x"})));
        assert_ne!(
            one,
            digest(json!({"record_id": "1", "content": "x", "module": "Deals"}))
        );
        assert_ne!(
            one,
            digest(json!({"record_id": "1", "content": "x", "title": "x"}))
        );
    }

    #[test]
    fn only_a_failure_that_surely_wrote_nothing_frees_the_key() {
        assert!(is_clean(&ZohoError::NotFound));
        assert!(is_clean(&ZohoError::Unavailable {
            problem: Problem::Connect
        }));
        assert!(!is_clean(&ZohoError::Ambiguous {
            problem: Problem::Broken
        }));
        assert!(!is_clean(&ZohoError::DeadlineExceeded));
    }

    #[test]
    fn an_answer_fits_its_schema_and_can_be_replayed() {
        let draft = draft(json!({"record_id": "1", "content": "<"})).unwrap();
        let output = draft.output(id(9), None, Outcome::Created, Timestamp::UNIX_EPOCH);
        assert_fits("create_note", &output);
        let kept = serde_json::to_value(&output).unwrap();
        assert_eq!(serde_json::from_value::<Output>(kept).unwrap(), output);
        assert!(tell(&output).starts_with("Note 9 created on Contacts 1."));
        let replayed = Output {
            outcome: Outcome::Replayed,
            ..output
        };
        assert!(tell(&replayed).contains("Nothing was written now"));
    }

    proptest! {
        #[test]
        fn nothing_that_zoho_renders_is_left(given in "([<>\\[\\]&a]|crm|CRM|\\PC){0,40}") {
            let neutral = neutral(&given);
            prop_assert!(!neutral.contains(['<', '>']));
            prop_assert!(!neutral.to_ascii_lowercase().contains("crm["));
        }
    }
}
