//! What happened around a contact: tasks, calls, events, e-mails, deals.

use jiff::civil::Date;
use serde::Deserialize;

use super::{
    Crm, CrmText, Listed, Page, RecordId, Reference, ZohoError,
    coql::{Comparison, Condition, Literal},
    deals::{self, Deal},
    row::{lookup, moment, number},
    scope::Scoped,
};

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Task {
    pub id: RecordId,
    pub subject: Option<CrmText>,
    pub status: Option<CrmText>,
    pub priority: Option<CrmText>,
    pub due_date: Option<String>,
    pub closed_time: Option<String>,
    pub description: Option<CrmText>,
    pub owner: Option<Reference>,
    pub created_time: Option<String>,
    pub modified_time: Option<String>,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Call {
    pub id: RecordId,
    pub subject: Option<CrmText>,
    pub direction: Option<CrmText>,
    pub start_time: Option<String>,
    pub duration_seconds: Option<u64>,
    pub result: Option<CrmText>,
    pub description: Option<CrmText>,
    pub owner: Option<Reference>,
    pub created_time: Option<String>,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Event {
    pub id: RecordId,
    pub title: Option<CrmText>,
    pub start_time: Option<String>,
    pub end_time: Option<String>,
    pub venue: Option<CrmText>,
    pub description: Option<CrmText>,
    pub owner: Option<Reference>,
    pub created_time: Option<String>,
}

#[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub struct Email {
    pub id: CrmText,
    pub subject: Option<CrmText>,
    pub from: Option<CrmText>,
    pub time: Option<String>,
    pub sent: Option<bool>,
}

impl Crm {
    /// Tasks of a contact.
    pub async fn tasks_of_contact(
        &self,
        id: &RecordId,
        page: Page,
    ) -> Result<Listed<Task>, ZohoError> {
        let list = self
            .of_contact("Contacts/{id}/Tasks", id, "Tasks", Some(TASK_FIELDS))
            .await?;
        self.page::<TaskRow, Task>(&list, page).await
    }

    /// Calls of a contact.
    pub async fn calls_of_contact(
        &self,
        id: &RecordId,
        page: Page,
    ) -> Result<Listed<Call>, ZohoError> {
        let list = self
            .of_contact("Contacts/{id}/Calls", id, "Calls", Some(CALL_FIELDS))
            .await?;
        self.page::<CallRow, Call>(&list, page).await
    }

    /// Meetings of a contact.
    pub async fn events_of_contact(
        &self,
        id: &RecordId,
        page: Page,
    ) -> Result<Listed<Event>, ZohoError> {
        let list = self
            .of_contact("Contacts/{id}/Events", id, "Events", Some(EVENT_FIELDS))
            .await?;
        self.page::<EventRow, Event>(&list, page).await
    }

    /// Deals of a contact.
    pub async fn deals_of_contact(
        &self,
        id: &RecordId,
        page: Page,
    ) -> Result<Listed<Deal>, ZohoError> {
        let list = self
            .of_contact("Contacts/{id}/Deals", id, "Deals", Some(deals::FIELDS))
            .await?;
        self.page::<deals::Row, Deal>(&list, page).await
    }

    /// The last e-mails of a contact (Zoho gives ten at a time), without bodies.
    pub async fn emails_of_contact(&self, id: &RecordId) -> Result<Listed<Email>, ZohoError> {
        let list = self
            .of_contact("Contacts/{id}/Emails", id, "Emails", None)
            .await?;
        self.list::<EmailRow, Email>(&list).await
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
        self.related(route, ("Contacts", id), list, fields).await
    }
}

#[derive(Deserialize)]
struct TaskRow {
    id: RecordId,
    #[serde(rename = "Subject")]
    subject: Option<CrmText>,
    #[serde(rename = "Status")]
    status: Option<CrmText>,
    #[serde(rename = "Priority")]
    priority: Option<CrmText>,
    #[serde(rename = "Due_Date", default, deserialize_with = "moment")]
    due_date: Option<String>,
    #[serde(rename = "Closed_Time", default, deserialize_with = "moment")]
    closed_time: Option<String>,
    #[serde(rename = "Description")]
    description: Option<CrmText>,
    #[serde(rename = "Owner", default, deserialize_with = "lookup")]
    owner: Option<Reference>,
    #[serde(rename = "Created_Time", default, deserialize_with = "moment")]
    created_time: Option<String>,
    #[serde(rename = "Modified_Time", default, deserialize_with = "moment")]
    modified_time: Option<String>,
}

impl From<TaskRow> for Task {
    fn from(row: TaskRow) -> Self {
        Self {
            id: row.id,
            subject: row.subject,
            status: row.status,
            priority: row.priority,
            due_date: row.due_date,
            closed_time: row.closed_time,
            description: row.description,
            owner: row.owner,
            created_time: row.created_time,
            modified_time: row.modified_time,
        }
    }
}

#[derive(Deserialize)]
struct CallRow {
    id: RecordId,
    #[serde(rename = "Subject")]
    subject: Option<CrmText>,
    #[serde(rename = "Call_Type")]
    direction: Option<CrmText>,
    #[serde(rename = "Call_Start_Time", default, deserialize_with = "moment")]
    start_time: Option<String>,
    #[serde(
        rename = "Call_Duration_in_seconds",
        default,
        deserialize_with = "number"
    )]
    duration_seconds: Option<f64>,
    #[serde(rename = "Call_Result")]
    result: Option<CrmText>,
    #[serde(rename = "Description")]
    description: Option<CrmText>,
    #[serde(rename = "Owner", default, deserialize_with = "lookup")]
    owner: Option<Reference>,
    #[serde(rename = "Created_Time", default, deserialize_with = "moment")]
    created_time: Option<String>,
}

impl From<CallRow> for Call {
    fn from(row: CallRow) -> Self {
        Self {
            id: row.id,
            subject: row.subject,
            direction: row.direction,
            start_time: row.start_time,
            // The cast saturates.
            duration_seconds: row.duration_seconds.map(|seconds| seconds as u64),
            result: row.result,
            description: row.description,
            owner: row.owner,
            created_time: row.created_time,
        }
    }
}

#[derive(Deserialize)]
struct EventRow {
    id: RecordId,
    #[serde(rename = "Event_Title")]
    title: Option<CrmText>,
    #[serde(rename = "Start_DateTime", default, deserialize_with = "moment")]
    start_time: Option<String>,
    #[serde(rename = "End_DateTime", default, deserialize_with = "moment")]
    end_time: Option<String>,
    #[serde(rename = "Venue")]
    venue: Option<CrmText>,
    #[serde(rename = "Description")]
    description: Option<CrmText>,
    #[serde(rename = "Owner", default, deserialize_with = "lookup")]
    owner: Option<Reference>,
    #[serde(rename = "Created_Time", default, deserialize_with = "moment")]
    created_time: Option<String>,
}

impl From<EventRow> for Event {
    fn from(row: EventRow) -> Self {
        Self {
            id: row.id,
            title: row.title,
            start_time: row.start_time,
            end_time: row.end_time,
            venue: row.venue,
            description: row.description,
            owner: row.owner,
            created_time: row.created_time,
        }
    }
}

#[derive(Deserialize)]
struct EmailRow {
    message_id: CrmText,
    subject: Option<CrmText>,
    from: Option<Sender>,
    #[serde(default, deserialize_with = "moment")]
    time: Option<String>,
    sent: Option<bool>,
}

#[derive(Deserialize)]
struct Sender {
    email: Option<CrmText>,
    user_name: Option<CrmText>,
}

impl From<EmailRow> for Email {
    fn from(row: EmailRow) -> Self {
        Self {
            id: row.message_id,
            subject: row.subject,
            from: row.from.and_then(|from| from.email.or(from.user_name)),
            time: row.time,
            sent: row.sent,
        }
    }
}

const TASK_FIELDS: &str = "id,Subject,Status,Priority,Due_Date,Closed_Time,Description,Owner,\
    Created_Time,Modified_Time";
const CALL_FIELDS: &str = "id,Subject,Call_Type,Call_Start_Time,Call_Duration_in_seconds,\
    Call_Result,Description,Owner,Created_Time";
const EVENT_FIELDS: &str = "id,Event_Title,Start_DateTime,End_DateTime,Venue,Description,Owner,\
    Created_Time";
