//! Records that are added and changed, and looked at before and afterwards.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::time::{Duration, Instant, timeout_at};

use super::{
    Code, Crm, CrmText, RecordId, Values, ZohoError,
    coql::{Column, Comparison, Condition, Direction, Literal, Select},
    notes::NoteParent,
    refused,
    row::moment,
    scope::Scoped,
    values,
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

    /// The first of these fields that Zoho does not show to whoever asked: of one that it hides it
    /// says nothing.
    fn hides(&self, fields: &Values) -> Option<&'static str> {
        fields.names().find(|name| !self.values.contains_key(*name))
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
    /// [`ZohoError::Conflict`] where somebody did; [`ZohoError::Hidden`], without asking, where
    /// a field is hidden from Zoho's user; otherwise as [`Crm::add_activity`].
    pub async fn change(
        &self,
        module: Changed,
        id: &RecordId,
        fields: &Values,
        before: &Before,
    ) -> Result<Written, ZohoError> {
        if let Some(name) = before.hides(fields) {
            let field = Code::new(name);
            return Err(ZohoError::Hidden { field });
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

    /// Which of these fields a record that was just added does not hold: the user behind the token
    /// may not write them, and Zoho passes over what it is sent for them. `None` where that cannot be
    /// looked up soon: the record is there whatever comes of this. What was seen to be kept within the
    /// hour is not looked at again.
    pub async fn not_kept(
        &self,
        module: &'static str,
        id: &RecordId,
        fields: &Values,
    ) -> Option<Vec<&'static str>> {
        self.looked_at_soon(self.lost(module, id, fields)).await
    }

    /// What a look at a record that was just added says, where there is time and a credit for it.
    pub(super) async fn looked_at_soon(
        &self,
        look: impl Future<Output = Result<Vec<&'static str>, ZohoError>>,
    ) -> Option<Vec<&'static str>> {
        let now = Instant::now();
        if self.zoho.breaker.holds(now) || self.zoho.allowance.is_spent() {
            return None;
        }
        let until = self.deadline.min(now + LONGEST_LOOK);
        timeout_at(until, look).await.ok()?.ok()
    }

    async fn lost(
        &self,
        module: &'static str,
        id: &RecordId,
        fields: &Values,
    ) -> Result<Vec<&'static str>, ZohoError> {
        let mut record = self.columns_of(module, id, fields).await?;
        record.ask = record.ask.once();
        let (tokens, now) = (record.tokens.clone(), Instant::now());
        if fields.names().all(|name| tokens.keeps((module, name), now)) {
            return Ok(Vec::new());
        }
        let row = self.one::<Before, Before>(&record).await?;
        let holds = |name: &str| {
            let value = row.values.get(name);
            value.is_some_and(|value| !values::is_empty(value))
        };
        Ok(tokens.lost(module, fields.names(), holds, now))
    }

    async fn columns_of(
        &self,
        module: &'static str,
        id: &RecordId,
        fields: &Values,
    ) -> Result<Scoped, ZohoError> {
        let names: Vec<_> = fields.names().collect();
        let columns = format!("id,Owner,Created_Time,{}", names.join(","));
        self.record("{module}/{id}", module, id, &columns).await
    }

    /// Looks for a record with these fields that was added from `since` on. Those of which there may be
    /// many are told apart by `key`, one of the fields, or one that is empty.
    ///
    /// # Errors
    /// Zoho cannot be asked; [`ZohoError::Hidden`] where the key is hidden.
    pub async fn added(
        &self,
        module: &'static str,
        fields: &Values,
        key: &'static str,
        since: Timestamp,
    ) -> Result<Looked, ZohoError> {
        let zone = &self.org().await?.time_zone;
        let since = Literal::Moment(since.to_zoned(zone.clone()));
        let columns = ["id", "Owner", "Created_Time"].into_iter();
        let columns = columns.chain(fields.names()).map(Column::Field);
        let mut query = Select {
            columns: columns.collect(),
            from: module,
            filter: vec![
                Condition::compare("Created_Time", Comparison::AtLeast, since),
                match fields.get(key) {
                    Some(value) => Condition::compare(key, Comparison::Equal, literal(value, key)?),
                    None => Condition::Empty(key.into()),
                },
            ],
            group: &[],
            order: Some(("Created_Time", Direction::Ascending)),
            offset: 0,
            limit: 200,
        };
        let asked = self.query(query.clone()).await?;
        let (rows, are_all) = match self.list::<Row, Row>(&asked).await {
            Ok(listed) => (listed.rows, true),
            // No query may name a field that is hidden from whoever asks.
            Err(ZohoError::Input { .. } | ZohoError::Hidden { .. }) => {
                let own = ["id", "Owner", "Created_Time"];
                query.columns = own.into_iter().map(Column::Field).collect();
                self.rows_one_by_one(module, query, fields).await?
            }
            Err(error) => return Err(error),
        };
        let may_be = rows.into_iter().filter(|row| fields.may_be(&row.values));
        let (these, others): (Vec<_>, Vec<_>) = may_be.partition(|row| fields.are_in(&row.values));
        Ok(Looked {
            these: these.into_iter().map(|row| row.written).collect(),
            or_another: !others.is_empty() || !are_all,
        })
    }

    /// What a query finds, with the fields that are shown, and whether that is all.
    async fn rows_one_by_one(
        &self,
        module: &'static str,
        query: Select,
        fields: &Values,
    ) -> Result<(Vec<Row>, bool), ZohoError> {
        let asked = self.query(query).await?;
        let found = self.list::<Row, Row>(&asked).await?.rows;
        let (mut rows, are_all) = (Vec::new(), found.len() <= MOST_LOOKED_AT);
        for row in found.into_iter().take(MOST_LOOKED_AT) {
            let record = self.columns_of(module, &row.written.id, fields).await?;
            rows.push(self.one::<Row, Row>(&record).await?);
        }
        Ok((rows, are_all))
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

/// What a look for a record finds that may have been added.
pub struct Looked {
    /// Those that hold all that was to be written, oldest first.
    pub these: Vec<Written>,
    /// Another one may be it: what would tell it from others is hidden, or Zoho may have passed over it.
    pub or_another: bool,
}

/// A record that may be the one that is looked for.
#[derive(Deserialize)]
struct Row {
    #[serde(flatten)]
    written: Written,
    #[serde(flatten)]
    values: Map<String, Value>,
}

#[derive(Serialize)]
struct Body {
    data: [Values; 1],
}

fn literal(value: &Value, key: &'static str) -> Result<Literal, ZohoError> {
    let id = value.get("id").and_then(Value::as_str);
    match (id, value.as_str()) {
        (Some(id), _) => id.parse().map(Literal::Id).map_err(|_| refused(key)),
        (None, Some(text)) => Ok(Literal::Text(text.to_owned())),
        (None, None) => Err(refused(key)),
    }
}

/// Each costs a credit; there is hardly more than one.
const MOST_LOOKED_AT: usize = 5;
/// Whoever wrote waits for it.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoho::{
        Zoho,
        scripted::{ONE, Say, Scripted, call, contact, credentials, say},
    };

    /// What is looked up of the contact.
    async fn look(zoho: &Zoho) -> Option<Vec<&'static str>> {
        let id = "5725767000000411001".parse().unwrap();
        let fields = Values::default().with("Email", "a@example.com");
        let fields = fields.with("Mobile", "1");
        call(zoho).not_kept("Contacts", &id, &fields).await
    }

    #[tokio::test]
    async fn what_a_record_does_not_hold_is_looked_up() {
        let server = Scripted::start(|_, _| say(200, ONE)).await;
        assert_eq!(look(&server.zoho()).await.unwrap(), ["Mobile"]);
    }

    #[tokio::test]
    async fn whoever_wrote_waits_for_no_second_look_and_for_none_that_is_slow() {
        for script in [
            (|| say(503, "")) as fn() -> Say,
            || Say::HangUp,
            || Say::Stall("HTTP/1.1 200"),
        ] {
            let server = Scripted::start(move |_, _| script()).await;
            let began = Instant::now();
            assert!(look(&server.zoho()).await.is_none());
            let took = began.elapsed();
            assert!(took < LONGEST_LOOK * 3, "{took:?}");
            assert_eq!(server.asked().len(), 1);
        }
    }

    #[tokio::test]
    async fn a_zoho_that_is_away_and_spent_credits_are_not_tried_for_a_look() {
        let server = Scripted::start(|_, _| say(200, ONE)).await;
        let away = server.zoho();
        for _ in 0..10 {
            away.inner.silent(Duration::ZERO);
        }
        assert!(look(&away).await.is_none());
        assert_eq!(server.asked().len(), 0);
        let mut config = server.config();
        config.daily_credits = std::num::NonZeroU32::MIN;
        let spent = Zoho::new(&config, credentials()).unwrap();
        assert!(contact(&call(&spent)).await.is_ok());
        assert!(look(&spent).await.is_none());
        assert_eq!(server.asked().len(), 1);
    }
}
