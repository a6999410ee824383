//! CRM records as answers show them: camelCase, without what is empty.

mod account;
mod lead;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::zoho::{CrmText, RecordId, Reference, contacts, deals};
pub(super) use account::Account;
pub(super) use lead::Lead;

/// Where an answer comes from: its texts are data.
pub(super) const SOURCE: &str = "zoho_crm";

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Contact {
    pub(super) id: RecordId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) full_name: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) phone: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mobile: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    department: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account_id: Option<RecordId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner_id: Option<RecordId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lead_source: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_activity_time: Option<String>,
}

impl Contact {
    /// What a text says of it besides name, e-mail address and account.
    pub(super) fn particulars(&self) -> impl Iterator<Item = (&'static str, &CrmText)> {
        present([
            ("phone", &self.phone),
            ("mobile", &self.mobile),
            ("title", &self.title),
            ("department", &self.department),
            ("owner", &self.owner),
            ("lead source", &self.lead_source),
        ])
    }
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deal {
    pub(super) id: RecordId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stage: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) amount: Option<f64>,
    /// Percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weighted_amount: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) closing_date: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<RecordId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact_id: Option<RecordId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_id: Option<RecordId>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lead_source: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_step: Option<CrmText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_activity_time: Option<String>,
}

/// Those values that are there, under their labels.
pub(super) fn present<'a, T, const N: usize>(
    all: [(&'static str, &'a Option<T>); N],
) -> impl Iterator<Item = (&'static str, &'a T)> {
    all.into_iter()
        .filter_map(|(label, value)| Some((label, value.as_ref()?)))
}

/// A lookup as two fields beside each other, which costs a schema less than an object would.
pub(super) fn split(reference: Option<Reference>) -> (Option<CrmText>, Option<RecordId>) {
    match reference {
        Some(reference) => (reference.name, Some(reference.id)),
        None => (None, None),
    }
}

impl From<contacts::Contact> for Contact {
    fn from(row: contacts::Contact) -> Self {
        let (account, account_id) = split(row.account);
        let (owner, owner_id) = split(row.owner);
        Self {
            id: row.id,
            full_name: row.full_name,
            email: row.email,
            phone: row.phone,
            mobile: row.mobile,
            title: row.title,
            department: row.department,
            account,
            account_id,
            owner,
            owner_id,
            lead_source: row.lead_source,
            created_time: row.created_time,
            last_activity_time: row.last_activity_time,
        }
    }
}

impl From<deals::Deal> for Deal {
    fn from(row: deals::Deal) -> Self {
        let (account, account_id) = split(row.account);
        let (contact, contact_id) = split(row.contact);
        let (owner, owner_id) = split(row.owner);
        let weighted = row.amount.zip(row.probability);
        Self {
            id: row.id,
            name: row.name,
            stage: row.stage,
            amount: row.amount.map(cents),
            probability: row.probability.map(cents),
            weighted_amount: weighted.map(|(amount, percent)| cents(amount * percent / 100.0)),
            closing_date: row.closing_date,
            account,
            account_id,
            contact,
            contact_id,
            owner,
            owner_id,
            kind: row.kind,
            lead_source: row.lead_source,
            next_step: row.next_step,
            created_time: row.created_time,
            last_activity_time: row.last_activity_time,
        }
    }
}

/// The instant of a time as Zoho writes it.
pub(super) fn instant(time: Option<&str>) -> Option<Timestamp> {
    time?.parse().ok()
}

/// Whole cents; never NaN or infinite, which JSON cannot say, and no minus before a zero.
pub(super) fn cents(amount: f64) -> f64 {
    if amount.is_nan() {
        return 0.0;
    }
    let amount = amount.clamp(-MOST, MOST);
    // A sum of nothing is -0.0, and so is what rounds to it from below.
    (amount * 100.0).round() / 100.0 + 0.0
}

/// `part` of `whole` in percent, one decimal; none of nothing, nor of less.
pub(super) fn percent(part: f64, whole: f64) -> Option<f64> {
    let percent = part / whole * 100.0;
    (whole > 0.0 && percent.is_finite()).then(|| (percent.clamp(-MOST, MOST) * 10.0).round() / 10.0)
}

/// How much more it is than `before`, in percent; more is positive, whatever there was before.
pub(super) fn change_percent(now: f64, before: f64) -> Option<f64> {
    percent(now - before, before.abs())
}

const MOST: f64 = 1e15;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::tools) fn text(text: &str) -> Option<CrmText> {
        Some(CrmText::clean(text))
    }

    pub(in crate::tools) fn id(number: u64) -> RecordId {
        number.to_string().parse().unwrap()
    }

    pub(in crate::tools) fn link(number: u64, name: &str) -> Option<Reference> {
        Some(Reference {
            id: id(number),
            name: text(name),
        })
    }

    pub(in crate::tools) fn a_contact(number: u64) -> contacts::Contact {
        contacts::Contact {
            id: id(number),
            full_name: text("Ada Byron"),
            email: text("ada@example.com"),
            phone: text("+44 20 7946 0000"),
            mobile: None,
            title: text("Analyst"),
            department: None,
            account: link(7, "Engines Ltd"),
            owner: link(8, "Charles"),
            lead_source: None,
            created_time: Some("2026-01-02T10:00:00+01:00".to_owned()),
            modified_time: None,
            last_activity_time: None,
        }
    }

    pub(in crate::tools) fn a_deal(number: u64, stage: &str, amount: f64) -> deals::Deal {
        deals::Deal {
            id: id(number),
            name: text("Difference engine"),
            stage: text(stage),
            amount: Some(amount),
            probability: Some(40.0),
            closing_date: Some("2026-03-01".to_owned()),
            account: link(7, "Engines Ltd"),
            contact: link(9, "Ada Byron"),
            owner: link(8, "Charles"),
            kind: text("New Business"),
            lead_source: text("Partner"),
            next_step: text("Call back"),
            created_time: Some("2026-01-02T10:00:00+01:00".to_owned()),
            modified_time: Some("2026-01-05T10:00:00+01:00".to_owned()),
            last_activity_time: Some("2026-01-10T10:00:00+01:00".to_owned()),
        }
    }

    /// Fails unless `output` fits the output schema of the tool.
    pub(in crate::tools) fn assert_fits(tool: &str, output: &impl Serialize) {
        let schema = crate::tools::find(tool)
            .unwrap()
            .definition
            .output_schema
            .clone();
        let schema = serde_json::Value::Object(schema.unwrap().as_ref().clone());
        let output = serde_json::to_value(output).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let problems: Vec<String> = validator
            .iter_errors(&output)
            .map(|problem| problem.to_string())
            .collect();
        assert!(problems.is_empty(), "{problems:?} in {output:#}");
    }

    #[test]
    fn a_share_of_nothing_is_unknown() {
        assert_eq!(percent(1.0, 4.0), Some(25.0));
        assert_eq!(percent(1.0, 0.0), None);
        assert_eq!(percent(0.0, 0.0), None);
        assert_eq!(percent(-50.0, -100.0), None);
    }

    #[test]
    fn what_grows_changes_by_a_positive_share() {
        for (now, before, percent) in [
            (150.0, 100.0, Some(50.0)),
            (50.0, 100.0, Some(-50.0)),
            (100.0, -200.0, Some(150.0)),
            (-300.0, -200.0, Some(-50.0)),
            (1.0, 0.0, None),
        ] {
            assert_eq!(change_percent(now, before), percent, "{now} {before}");
        }
    }

    proptest! {
        #[test]
        fn an_amount_is_always_a_number(amount in prop::num::f64::ANY, other in prop::num::f64::ANY) {
            prop_assert!(cents(amount).is_finite());
            prop_assert!(percent(amount, other).is_none_or(f64::is_finite));
        }
    }
}
