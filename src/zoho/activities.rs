//! What happened around a contact: tasks, calls, events, e-mails, deals.

use jiff::civil::Date;
use serde::{Deserialize, Deserializer};

use super::{
    Crm, CrmText, Listed, Module, Page, RecordId, Reference, ZohoError,
    coql::{Comparison, Condition, Literal},
    deals::{self, Deal},
    row::{lookup, moment},
    scope::Scoped,
};

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Task {
    #[serde(rename = "id")]
    pub id: RecordId,
    pub subject: Option<CrmText>,
    pub status: Option<CrmText>,
    pub priority: Option<CrmText>,
    #[serde(rename = "Due_Date", default, deserialize_with = "moment")]
    pub due_date: Option<String>,
    #[serde(rename = "Closed_Time", default, deserialize_with = "moment")]
    pub closed_time: Option<String>,
    pub description: Option<CrmText>,
    #[serde(default, deserialize_with = "lookup")]
    pub owner: Option<Reference>,
    #[serde(rename = "Created_Time", default, deserialize_with = "moment")]
    pub created_time: Option<String>,
    #[serde(rename = "Modified_Time", default, deserialize_with = "moment")]
    pub modified_time: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Call {
    #[serde(rename = "id")]
    pub id: RecordId,
    pub subject: Option<CrmText>,
    #[serde(rename = "Call_Type")]
    pub direction: Option<CrmText>,
    #[serde(rename = "Call_Start_Time", default, deserialize_with = "moment")]
    pub start_time: Option<String>,
    #[serde(rename = "Call_Result")]
    pub result: Option<CrmText>,
    pub description: Option<CrmText>,
    #[serde(default, deserialize_with = "lookup")]
    pub owner: Option<Reference>,
    #[serde(rename = "Created_Time", default, deserialize_with = "moment")]
    pub created_time: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Event {
    #[serde(rename = "id")]
    pub id: RecordId,
    #[serde(rename = "Event_Title")]
    pub title: Option<CrmText>,
    #[serde(rename = "Start_DateTime", default, deserialize_with = "moment")]
    pub start_time: Option<String>,
    #[serde(rename = "End_DateTime", default, deserialize_with = "moment")]
    pub end_time: Option<String>,
    pub venue: Option<CrmText>,
    pub description: Option<CrmText>,
    #[serde(default, deserialize_with = "lookup")]
    pub owner: Option<Reference>,
    #[serde(rename = "Created_Time", default, deserialize_with = "moment")]
    pub created_time: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Email {
    #[serde(rename = "message_id")]
    pub id: CrmText,
    pub subject: Option<CrmText>,
    #[serde(default, deserialize_with = "sender")]
    pub from: Option<CrmText>,
    #[serde(default, deserialize_with = "moment")]
    pub time: Option<String>,
    pub sent: Option<bool>,
}

impl Crm {
    /// Tasks of a contact, what was made last first.
    pub async fn tasks_of_contact(
        &self,
        id: &RecordId,
        page: Page,
    ) -> Result<Listed<Task>, ZohoError> {
        let list = self
            .of_contact("Contacts/{id}/Tasks", id, "Tasks", Some(TASK_FIELDS))
            .await?;
        self.page_of::<Task, Task>(Module::Tasks, &list, page).await
    }

    /// Calls of a contact, in the same order.
    pub async fn calls_of_contact(
        &self,
        id: &RecordId,
        page: Page,
    ) -> Result<Listed<Call>, ZohoError> {
        let list = self
            .of_contact("Contacts/{id}/Calls", id, "Calls", Some(CALL_FIELDS))
            .await?;
        self.page_of::<Call, Call>(Module::Calls, &list, page).await
    }

    /// Meetings of a contact, in the same order.
    pub async fn events_of_contact(
        &self,
        id: &RecordId,
        page: Page,
    ) -> Result<Listed<Event>, ZohoError> {
        let list = self
            .of_contact("Contacts/{id}/Events", id, "Events", Some(EVENT_FIELDS))
            .await?;
        self.page_of::<Event, Event>(Module::Events, &list, page)
            .await
    }

    /// Deals of a contact, in the same order.
    pub async fn deals_of_contact(
        &self,
        id: &RecordId,
        page: Page,
    ) -> Result<Listed<Deal>, ZohoError> {
        let list = self
            .of_contact("Contacts/{id}/Deals", id, "Deals", Some(deals::FIELDS))
            .await?;
        self.page_of::<deals::Row, Deal>(Module::Deals, &list, page)
            .await
    }

    /// E-mails of a contact without bodies, ten at a time: the last ones, or what comes after those
    /// of an earlier page. Who sees a part of the CRM gets those of the last ten.
    pub async fn emails_of_contact(
        &self,
        id: &RecordId,
        index: Option<&str>,
    ) -> Result<Listed<Email>, ZohoError> {
        let list = self
            .of_contact("Contacts/{id}/Emails", id, "Emails", None)
            .await?;
        self.read_on::<Email, Email>(&list, index).await
    }

    /// Tasks that are not completed and were due before `today`.
    pub async fn count_overdue_tasks(&self, today: Date) -> Result<u64, ZohoError> {
        let completed = Literal::Text("Completed".into());
        let filter = vec![
            Condition::compare("Status", Comparison::NotEqual, completed),
            Condition::compare("Due_Date", Comparison::Less, Literal::Day(today)),
        ];
        self.count("Tasks", filter).await
    }

    async fn of_contact(
        &self,
        route: &'static str,
        id: &RecordId,
        list: &'static str,
        fields: Option<&str>,
    ) -> Result<Scoped, ZohoError> {
        let listed = self.related(route, ("Contacts", id), list, fields).await?;
        // E-mails have an order of their own.
        Ok(match fields {
            Some(_) => listed.newest_first(),
            None => listed,
        })
    }
}

/// The address, or else the name.
fn sender<'de, D: Deserializer<'de>>(from: D) -> Result<Option<CrmText>, D::Error> {
    #[derive(Deserialize)]
    struct Sender {
        email: Option<CrmText>,
        user_name: Option<CrmText>,
    }
    let sender = Option::<Sender>::deserialize(from)?;
    Ok(sender.and_then(|sender| sender.email.or(sender.user_name)))
}

const TASK_FIELDS: &str = "id,Subject,Status,Priority,Due_Date,Closed_Time,Description,Owner,\
    Created_Time,Modified_Time";
const CALL_FIELDS: &str =
    "id,Subject,Call_Type,Call_Start_Time,Call_Result,Description,Owner,Created_Time";
const EVENT_FIELDS: &str = "id,Event_Title,Start_DateTime,End_DateTime,Venue,Description,Owner,\
    Created_Time";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use crate::zoho::{
        Scope,
        scripted::{Scripted, say},
    };

    const BO: &str = r#"{"users":[{"id":"9","full_name":"Bo","email":"bo@example.com","status":"active"}],
        "info":{"more_records":false}}"#;

    /// Of a page, as Zoho gives them.
    const EMAILS: usize = 10;

    /// Nine e-mails of one owner, and one of Bo's, from a place on.
    fn emails(owner: u8, next: Option<&str>) -> String {
        let row = |owner| format!(r#"{{"message_id":"m","owner":{{"id":"{owner}"}}}}"#);
        let mut rows = vec![row(owner); EMAILS - 1];
        rows.push(row(9));
        let (rows, more) = (rows.join(","), next.is_some());
        let next = next.map_or("null".to_owned(), |next| format!("\"{next}\""));
        format!(r#"{{"Emails":[{rows}],"info":{{"next_index":{next},"more_records":{more}}}}}"#)
    }

    #[tokio::test]
    async fn emails_go_on_where_zoho_says_and_not_for_whom_that_would_show_others() {
        let server = Scripted::start(|seen, _| {
            let target = &seen.target;
            match target.split_once("/Emails") {
                _ if target.contains("/users") => say(200, BO),
                None => say(200, r#"{"data":[{"id":"1","Owner":{"id":"9"}}]}"#),
                Some((_, "")) => say(200, &emails(10, Some("a+b"))),
                Some((_, "?index=a%2Bb")) => say(200, &emails(9, None)),
                Some(_) => say(400, "{}"),
            }
        })
        .await;
        let zoho = server.zoho();
        let deadline = Instant::now() + Duration::from_secs(10);
        let id = "1".parse().unwrap();
        let all = zoho.view(&Scope::Org, deadline);
        let first = all.emails_of_contact(&id, None).await.unwrap();
        assert_eq!(
            (first.rows.len(), first.index.as_deref()),
            (EMAILS, Some("a+b"))
        );
        let last = all.emails_of_contact(&id, Some("a+b")).await.unwrap();
        assert_eq!((last.rows.len(), last.more), (EMAILS, false));
        let own = zoho.view(&Scope::Owner("bo@example.com".into()), deadline);
        for index in [None, Some("a+b")] {
            let seen = own.emails_of_contact(&id, index).await.unwrap();
            assert_eq!((seen.rows.len(), seen.more), (1, false));
            assert_eq!(seen.index, None);
        }
    }
}
