//! `get_contact`: one contact.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Answer, Context, Tool, ToolError,
    record::{Contact, SOURCE, present, split},
    text::{Text, brief, brief_or_dash, passage},
};
use crate::{
    audit::{Class, Classes},
    permit::Effect,
    zoho::{CrmText, RecordId, contacts},
};

pub(super) struct GetContact;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    contact_id: RecordId,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Output {
    #[serde(flatten)]
    contact: Contact,
    #[serde(skip_serializing_if = "Option::is_none")]
    secondary_email: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    home_phone: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_phone: Option<CrmText>,
    /// True: do not send marketing e-mails.
    #[serde(skip_serializing_if = "Option::is_none")]
    email_opt_out: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reports_to: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reports_to_id: Option<RecordId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    street: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    zip: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<CrmText>,
    /// First 2000 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified_time: Option<String>,
    as_of: String,
    source: &'static str,
}

impl Tool for GetContact {
    const NAME: &'static str = "get_contact";
    const TITLE: &'static str = "Contact";
    const DESCRIPTION: &'static str = "One contact: phones, addresses, account, owner, whom they \
        report to. For what happened with them use get_contact_history. Costs 1 API credit.";
    const EFFECT: Effect = Effect::Read;
    const CLASSES: Classes = &[("contact_id", Class::Id)];
    type Input = Input;
    type Output = Output;

    async fn run(call: &Context<'_>, input: Input) -> Result<Answer<Output>, ToolError> {
        let details = call.crm.contact_details(&input.contact_id).await?;
        let output = output(details, call.now);
        Ok(Answer {
            text: tell(&output),
            output,
            records: 1,
        })
    }
}

fn output(details: contacts::Details, now: jiff::Timestamp) -> Output {
    let contacts::Details { contact, more } = details;
    let (reports_to, reports_to_id) = split(more.reports_to);
    Output {
        modified_time: contact.modified_time.clone(),
        contact: contact.into(),
        secondary_email: more.secondary_email,
        home_phone: more.home_phone,
        other_phone: more.other_phone,
        email_opt_out: more.email_opt_out,
        reports_to,
        reports_to_id,
        street: more.street,
        city: more.city,
        state: more.state,
        zip: more.zip,
        country: more.country,
        description: more.description.as_ref().map(clip),
        as_of: now.to_string(),
        source: SOURCE,
    }
}

/// Its beginning; a description can be very long.
pub(super) fn clip(text: &CrmText) -> String {
    text.as_str().chars().take(DESCRIPTION_CHARACTERS).collect()
}

fn tell(output: &Output) -> String {
    let contact = &output.contact;
    let mut text = Text::to_read(format!(
        "{} ({}), {}, {}.",
        brief_or_dash(contact.full_name.as_ref()),
        contact.id,
        brief_or_dash(contact.email.as_ref()),
        brief_or_dash(contact.account.as_ref()),
    ));
    for (label, value) in contact.particulars().chain(output.particulars()) {
        text.line(format!("- {label}: {}", brief(value)));
    }
    let ids = present([
        ("account id", &contact.account_id),
        ("owner id", &contact.owner_id),
        ("reports to id", &output.reports_to_id),
    ]);
    for (label, id) in ids {
        text.line(format!("- {label}: {id}"));
    }
    let times = present([
        ("created", &contact.created_time),
        ("modified", &output.modified_time),
        ("last activity", &contact.last_activity_time),
    ]);
    for (label, time) in times {
        text.line(format!("- {label}: {time}"));
    }
    if output.email_opt_out == Some(true) {
        text.line("- wants no marketing e-mails");
    }
    if let Some(description) = &output.description {
        text.line(format!("- description: {}", passage(description)));
    }
    text.finish()
}

impl Output {
    fn particulars(&self) -> impl Iterator<Item = (&'static str, &CrmText)> {
        present([
            ("second e-mail", &self.secondary_email),
            ("home phone", &self.home_phone),
            ("other phone", &self.other_phone),
            ("reports to", &self.reports_to),
            ("street", &self.street),
            ("city", &self.city),
            ("state", &self.state),
            ("zip", &self.zip),
            ("country", &self.country),
        ])
    }
}

const DESCRIPTION_CHARACTERS: usize = 2000;
