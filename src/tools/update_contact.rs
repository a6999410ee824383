//! `update_contact`: changes some fields of a contact, and no others.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    cursor::digest,
    idempotency::Key,
    input::{Line, Prose},
    made::{Made, change, line, made, visible_if},
    once::{Once, Receipt, once},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{RecordId, Values, records::Changed},
};

pub(super) struct UpdateContact;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    contact_id: RecordId,
    first_name: Option<Line<40>>,
    last_name: Option<Line<80>>,
    email: Option<Line<100>>,
    phone: Option<Line<30>>,
    mobile: Option<Line<30>>,
    title: Option<Line<100>>,
    department: Option<Line<30>>,
    description: Option<Prose<32_000>>,
    /// New for each write; repeats of it write once (24 hours).
    #[serde(skip_serializing)]
    idempotency_key: Option<Key>,
}

impl Tool for UpdateContact {
    const NAME: &'static str = "update_contact";
    const TITLE: &'static str = "Update a contact";
    const DESCRIPTION: &'static str = "Replace fields of a contact; those left out stay as they are, and \
        none is emptied. Fails when somebody else changes it at the same time. Costs 2 API credits.";
    const EFFECT: Effect = Effect::Write;
    const OVERWRITES: bool = true;
    const CLASSES: Classes = &[
        ("contact_id", Class::Id),
        ("first_name", Class::Pii),
        ("last_name", Class::Pii),
        ("email", Class::Pii),
        ("phone", Class::Pii),
        ("mobile", Class::Pii),
        ("title", Class::Pii),
        ("department", Class::Pii),
        ("description", Class::FreeText),
        ("idempotency_key", Class::Pii),
    ];
    type Input = Input;
    type Output = Made;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Made>, ToolError> {
        let update = Update {
            fields: input.fields()?,
            arguments: digest(&input),
            contact: input.contact_id,
        };
        let receipt = once(call, input.idempotency_key.as_ref(), &update).await?;
        Ok(made(receipt, "Contact", call.now))
    }
}

impl Input {
    fn fields(&self) -> Result<Values, ToolError> {
        let description = self.description.as_ref().map(Prose::as_str);
        let fields = Values::default()
            .with_some("First_Name", line("first_name", &self.first_name)?)
            .with_some("Last_Name", line("last_name", &self.last_name)?)
            .with_some("Email", line("email", &self.email)?)
            .with_some("Phone", line("phone", &self.phone)?)
            .with_some("Mobile", line("mobile", &self.mobile)?)
            .with_some("Title", line("title", &self.title)?)
            .with_some("Department", line("department", &self.department)?)
            .with_some("Description", visible_if("description", description)?);
        if fields.is_empty() {
            return Err(ToolError::Argument {
                argument: "contact_id",
                problem: "there is nothing to change; give at least one field with its new value",
            });
        }
        Ok(fields)
    }
}

struct Update {
    contact: RecordId,
    fields: Values,
    arguments: [u8; 32],
}

impl Once for Update {
    const TOOL: &'static str = UpdateContact::NAME;
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("First_Name", "first_name"),
        ("Last_Name", "last_name"),
        ("Email", "email"),
        ("Phone", "phone"),
        ("Mobile", "mobile"),
        ("Title", "title"),
        ("Department", "department"),
        ("Description", "description"),
    ];
    const CREATES: bool = false;

    fn arguments(&self) -> [u8; 32] {
        self.arguments
    }

    async fn write(
        &self,
        call: &Context<'_>,
        since: Option<Timestamp>,
    ) -> Result<Receipt, ToolError> {
        let contact = (Changed::Contacts, &self.contact);
        let names = self.fields.names();
        let before = call.crm.before(contact.0, contact.1, names).await?;
        change(call, contact, &self.fields, &before, since).await
    }
}
