//! Records that are added and changed, and looked at before and afterwards.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Code, Crm, CrmText, RecordId, Values, ZohoError,
    coql::{Column, Comparison, Condition, Literal, Select},
    notes::NoteParent,
    refused,
    row::moment,
    written::{Written, written},
};

/// A record as it was when it was read, as far as somebody wants to change it.
#[derive(Clone, Debug, Deserialize)]
pub struct Before {
    /// When it was last changed; what a later change is held against.
    #[serde(rename = "Modified_Time", default, deserialize_with = "moment")]
    pub modified_time: Option<String>,
    #[serde(flatten)]
    values: Map<String, Value>,
}

impl Before {
    /// Whether it holds all of that already.
    pub fn holds(&self, fields: &Values) -> bool {
        fields.are_in(&self.values)
    }

    /// Whether Zoho shows all of these fields to whoever asked: of one that it hides it says nothing.
    fn shows(&self, fields: &Values) -> bool {
        fields.names().all(|name| self.values.contains_key(name))
    }

    /// A field's text.
    pub fn text(&self, name: &str) -> Option<CrmText> {
        let text = self.values.get(name).and_then(Value::as_str);
        text.map(CrmText::clean)
    }
}

/// The modules whose records are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub enum Changed {
    Contacts,
    Deals,
    Tasks,
}

impl Changed {
    /// The module's name in paths, and the route without an id.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Contacts => ("Contacts", "Contacts/{id}"),
            Self::Deals => ("Deals", "Deals/{id}"),
            Self::Tasks => ("Tasks", "Tasks/{id}"),
        }
    }
}

impl Crm {
    /// Adds an activity that is about a record which is seen: sent once, never retried.
    ///
    /// # Errors
    /// [`ZohoError::Ambiguous`] where the connection broke and it may have been added.
    pub async fn add_activity(
        &self,
        module: &'static str,
        about: (NoteParent, &RecordId),
        fields: &Values,
    ) -> Result<Written, ZohoError> {
        let body = self.body(fields.clone().about(about.0, about.1)).await?;
        let parent = (about.0.module(), about.1);
        let write = self.write_on(module, parent, &body).await?;
        let reply = self.write(&write).await?;
        written(&reply).map_err(|error| write.telling(error))
    }

    /// Adds a lead: sent once, never retried.
    ///
    /// # Errors
    /// As [`Crm::add_activity`].
    pub async fn add_lead(&self, fields: &Values) -> Result<Written, ZohoError> {
        let body = self.body(fields.clone()).await?;
        let write = self.addition("Leads", &body).await?;
        let reply = self.write(&write).await?;
        written(&reply).map_err(|error| write.telling(error))
    }

    /// Reads what a change is about to replace.
    ///
    /// # Errors
    /// The record does not exist or is not seen.
    pub async fn before(
        &self,
        module: Changed,
        id: &RecordId,
        names: impl Iterator<Item = &'static str>,
    ) -> Result<Before, ZohoError> {
        let mut fields = "id,Owner,Modified_Time".to_owned();
        for name in names {
            fields.push(',');
            fields.push_str(name);
        }
        let (module, route) = module.names();
        let record = self.record(route, module, id, &fields).await?;
        self.one::<Before, Before>(&record).await
    }

    /// Changes a record, unless somebody else did after it was read: sent once, never retried.
    ///
    /// # Errors
    /// [`ZohoError::Conflict`] where somebody did; [`ZohoError::Forbidden`], without asking, where
    /// a field is hidden from Zoho's user; otherwise as [`Crm::add_activity`].
    pub async fn change(
        &self,
        module: Changed,
        id: &RecordId,
        fields: &Values,
        before: &Before,
    ) -> Result<Written, ZohoError> {
        if !before.shows(fields) {
            let code = Code::new("NO_PERMISSION");
            return Err(ZohoError::Forbidden { code });
        }
        let body = Body {
            data: [fields.clone()],
        };
        let (module, route) = module.names();
        let since = before.modified_time.as_deref();
        let write = self.change_of(route, (module, id), &body, since).await?;
        let reply = self.write(&write).await?;
        written(&reply).map_err(|error| write.telling(error))
    }

    /// Records that were added from `since` on and hold all of that, oldest first. Those of which
    /// there may be many are told apart by `key`, one of the fields.
    ///
    /// # Errors
    /// Zoho cannot be asked.
    pub async fn added(
        &self,
        module: &'static str,
        fields: &Values,
        key: &'static str,
        since: Timestamp,
    ) -> Result<Vec<Written>, ZohoError> {
        #[derive(Deserialize)]
        struct Row {
            #[serde(flatten)]
            written: Written,
            #[serde(flatten)]
            values: Map<String, Value>,
        }
        let zone = &self.org().await?.time_zone;
        let since = Literal::Moment(since.to_zoned(zone.clone()));
        let columns = ["id", "Owner", "Created_Time"].into_iter();
        let columns = columns.chain(fields.names()).map(Column::Field);
        let query = Select {
            columns: columns.collect(),
            from: module,
            filter: vec![
                Condition::compare("Created_Time", Comparison::AtLeast, since),
                Condition::compare(key, Comparison::Equal, literal(fields, key)?),
            ],
            group: None,
            order: None,
            offset: 0,
            limit: 200,
        };
        let asked = self.query(query).await?;
        let listed = self.list::<Row, Row>(&asked).await?;
        let rows = listed.rows.into_iter();
        let ours = rows.filter(|row| fields.are_in(&row.values));
        Ok(ours.map(|row| row.written).collect())
    }

    /// What a caller adds is theirs where they see only their own.
    async fn body(&self, fields: Values) -> Result<Body, ZohoError> {
        let owner = self.owner_of_additions().await?;
        let owner = owner.map(|id| serde_json::json!({ "id": id }));
        Ok(Body {
            data: [fields.with_some("Owner", owner)],
        })
    }
}

#[derive(Serialize)]
struct Body {
    data: [Values; 1],
}

fn literal(fields: &Values, key: &'static str) -> Result<Literal, ZohoError> {
    let value = fields.get(key).unwrap_or(&Value::Null);
    let id = value.get("id").and_then(Value::as_str);
    match (id, value.as_str()) {
        (Some(id), _) => id.parse().map(Literal::Id).map_err(|_| refused(key)),
        (None, Some(text)) => Ok(Literal::Text(text.to_owned())),
        (None, None) => Err(refused(key)),
    }
}
