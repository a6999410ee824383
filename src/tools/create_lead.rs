//! `create_lead`: adds a lead, once.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    cursor::digest,
    idempotency::Key,
    input::{Line, Prose},
    made::{Made, line, made, visible, visible_if},
    once::{Looked, Once, Receipt, once},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{RecordId, Values},
};

pub(super) struct CreateLead;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    last_name: Line<80>,
    company: Line<200>,
    first_name: Option<Line<40>>,
    email: Option<Line<100>>,
    phone: Option<Line<30>>,
    /// Job title.
    title: Option<Line<100>>,
    /// A choice of the CRM's Lead Source.
    lead_source: Option<Line<120>>,
    description: Option<Prose<32_000>>,
    /// New for each write; repeats of it write once (24 hours).
    #[serde(skip_serializing)]
    idempotency_key: Option<Key>,
}

impl Tool for CreateLead {
    const NAME: &'static str = "create_lead";
    const TITLE: &'static str = "Create a lead";
    const DESCRIPTION: &'static str = "Add a lead: a person at a company who may become a \
        customer. Search first, so that nobody is there twice. Pass an idempotency_key. Costs 1 to \
        3 API credits, rarely more.";
    const EFFECT: Effect = Effect::Write;
    const CLASSES: Classes = &[
        ("last_name", Class::Pii),
        ("company", Class::Pii),
        ("first_name", Class::Pii),
        ("email", Class::Pii),
        ("phone", Class::Pii),
        ("title", Class::Pii),
        ("lead_source", Class::Pii),
        ("description", Class::FreeText),
        ("idempotency_key", Class::Pii),
    ];
    type Input = Input;
    type Output = Made;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Made>, ToolError> {
        let lead = Lead {
            fields: input.fields()?,
            arguments: digest(&input),
        };
        let receipt = once(call, input.idempotency_key.as_ref(), &lead).await?;
        Ok(made(receipt, "Lead", call.now))
    }
}

impl Input {
    fn fields(&self) -> Result<Values, ToolError> {
        let name = visible("last_name", self.last_name.as_str())?;
        if name.contains('\\') {
            // Zoho's queries could not look for it.
            return Err(ToolError::Argument {
                argument: "last_name",
                problem: "there is a backslash in it",
            });
        }
        let description = self.description.as_ref().map(Prose::as_str);
        let fields = Values::default()
            .with("Last_Name", name)
            .with("Company", visible("company", self.company.as_str())?);
        let fields = fields
            .with_some("First_Name", line("first_name", &self.first_name)?)
            .with_some("Email", line("email", &self.email)?)
            .with_some("Phone", line("phone", &self.phone)?)
            .with_some("Designation", line("title", &self.title)?)
            .with_some("Lead_Source", line("lead_source", &self.lead_source)?);
        Ok(fields.with_some("Description", visible_if("description", description)?))
    }
}

struct Lead {
    fields: Values,
    arguments: [u8; 32],
}

impl Once for Lead {
    const TOOL: &'static str = CreateLead::NAME;
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("Last_Name", "last_name"),
        ("Company", "company"),
        ("First_Name", "first_name"),
        ("Email", "email"),
        ("Phone", "phone"),
        ("Designation", "title"),
        ("Lead_Source", "lead_source"),
        ("Description", "description"),
    ];
    const CREATES: bool = true;

    fn arguments(&self) -> [u8; 32] {
        self.arguments
    }

    async fn write(&self, call: &Context<'_>, _: Option<Timestamp>) -> Result<Receipt, ToolError> {
        Ok(Receipt::created(call.crm.add_lead(&self.fields).await?))
    }

    async fn not_kept(&self, call: &Context<'_>, made: &RecordId) -> Option<Vec<&'static str>> {
        call.crm.not_kept("Leads", made, &self.fields).await
    }

    async fn look(&self, call: &Context<'_>, since: Timestamp) -> Result<Looked, ToolError> {
        let found = call.crm.added("Leads", &self.fields, "Last_Name", since);
        Ok(found.await?.into())
    }
}
