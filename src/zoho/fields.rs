//! What a module's records are made of, as the organisation has set it up. Kept for an hour.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Deserializer};
use tokio::time::Instant;

use super::{
    Crm, CrmText, Module, Scope, ZohoError, kept::Kept, row::number, scope::Scoped, stages::Closing,
};

/// One field of a module.
#[derive(Clone, Debug, Deserialize)]
pub struct Field {
    /// What queries call it.
    #[serde(rename = "api_name")]
    pub name: CrmText,
    /// What people call it.
    #[serde(rename = "field_label")]
    pub label: Option<CrmText>,
    /// As Zoho names it: `text`, `picklist`, `currency`, …
    pub data_type: Option<CrmText>,
    /// Whether a record cannot be without it.
    #[serde(default, rename = "system_mandatory")]
    pub required: Option<bool>,
    /// Whether nobody can write it.
    #[serde(default)]
    pub read_only: Option<bool>,
    /// Whether the organisation added it.
    #[serde(default)]
    pub custom_field: Option<bool>,
    /// How many characters fit.
    #[serde(default, deserialize_with = "number")]
    pub length: Option<f64>,
    #[serde(default)]
    lookup: Option<Lookup>,
    /// What it can be, where that is a list.
    #[serde(default, rename = "pick_list_values")]
    pub choices: Vec<Choice>,
}

/// One value of a list.
#[derive(Clone, Debug, Deserialize)]
pub struct Choice {
    /// What queries and records have.
    pub actual_value: Option<CrmText>,
    /// What people see.
    pub display_value: Option<CrmText>,
    /// Its place in the list.
    #[serde(default, deserialize_with = "number")]
    pub sequence_number: Option<f64>,
    /// Percent; of a deal's stage.
    #[serde(default, deserialize_with = "number")]
    pub probability: Option<f64>,
    /// Of a deal's stage: `Pipeline`, `Closed`, `Omitted` or what the organisation has besides.
    #[serde(default, deserialize_with = "named")]
    pub forecast_category: Option<CrmText>,
    /// Of a deal's stage: `Open`, `Closed Won` or `Closed Lost`.
    #[serde(default, deserialize_with = "named")]
    pub forecast_type: Option<CrmText>,
    /// `unused` for what is no longer offered.
    #[serde(default, rename = "type")]
    usage: Option<CrmText>,
}

#[derive(Clone, Debug, Deserialize)]
struct Lookup {
    module: Option<LookedUp>,
}

#[derive(Clone, Debug, Deserialize)]
struct LookedUp {
    api_name: Option<CrmText>,
}

impl Field {
    /// The module that it leads to, of a lookup.
    pub fn leads_to(&self) -> Option<&CrmText> {
        self.lookup.as_ref()?.module.as_ref()?.api_name.as_ref()
    }
}

impl Choice {
    /// What records hold of the one that is called so: by them, or else by people. Whatever the case
    /// of the letters.
    pub fn find<'a>(choices: &'a [Self], name: &str) -> Option<&'a CrmText> {
        let name = name.to_lowercase();
        let is = |own: &Option<CrmText>| {
            let own = own.as_ref().map(|own| own.as_str().to_lowercase());
            own.as_ref() == Some(&name)
        };
        let actual = choices.iter().find(|choice| is(&choice.actual_value));
        let shown = || choices.iter().find(|choice| is(&choice.display_value));
        actual.or_else(shown)?.actual_value.as_ref()
    }

    /// What records hold of those that people alone know by a name which begins so. Whatever the case
    /// of the letters.
    pub fn shown_as<'a>(choices: &'a [Self], start: &str) -> impl Iterator<Item = &'a CrmText> {
        let start = start.to_lowercase();
        let begins = move |name: &CrmText| name.as_str().to_lowercase().starts_with(&start);
        choices.iter().filter_map(move |choice| {
            let held = choice.actual_value.as_ref().filter(|held| !begins(held))?;
            choice
                .display_value
                .as_ref()
                .is_some_and(&begins)
                .then_some(held)
        })
    }

    /// Whether it is still offered.
    pub fn is_used(&self) -> bool {
        let usage = self.usage.as_ref();
        usage.is_none_or(|usage| usage.as_str() != "unused")
    }
}

/// What is known of each module.
pub(super) struct Described {
    fields: [Kept<Vec<Field>>; Module::COUNT],
    pub(super) closing: Kept<Closing>,
}

impl Described {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            fields: std::array::from_fn(|_| Kept::new(now, AGE)),
            closing: Kept::new(now, CLOSING_AGE),
        }
    }

    fn of(&self, module: Module) -> Option<&Kept<Vec<Field>>> {
        self.fields.get(module as usize)
    }
}

impl Crm {
    /// The fields of a module. What a person's own Zoho user may see is asked anew for each call,
    /// since the rights to fields differ.
    pub async fn fields(&self, module: Module) -> Result<Arc<Vec<Field>>, ZohoError> {
        match (self.scope(), self.zoho.fields.of(module)) {
            (Scope::Org | Scope::Owner(_), Some(kept)) => {
                kept.get(self.deadline, self.fetch_fields(module)).await
            }
            _ => self.fetch_fields(module).await.map(Arc::new),
        }
    }

    /// The fields of a module that the daemon's own Zoho user has, whoever asks.
    pub(super) async fn own_fields(&self, module: Module) -> Result<Arc<Vec<Field>>, ZohoError> {
        let fetch = async {
            let asked = Scoped::own_fields(self, module.name());
            Ok(self.list::<Field, Field>(&asked).await?.rows)
        };
        match self.zoho.fields.of(module) {
            Some(kept) => kept.get(self.deadline, fetch).await,
            None => fetch.await.map(Arc::new),
        }
    }

    /// The fields of a module where they are kept: nobody is asked.
    pub(super) fn known_fields(&self, module: Module) -> Option<Arc<Vec<Field>>> {
        match self.scope() {
            Scope::Org | Scope::Owner(_) => self.zoho.fields.of(module)?.peek(),
            _ => None,
        }
    }

    /// The same as they are now, whatever is kept.
    pub(super) async fn fetch_fields(&self, module: Module) -> Result<Vec<Field>, ZohoError> {
        let asked = Scoped::fields(self, module.name()).await?;
        Ok(self.list::<Field, Field>(&asked).await?.rows)
    }
}

/// A name, or an object that has one.
fn named<'de, D: Deserializer<'de>>(from: D) -> Result<Option<CrmText>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Named {
        Name(String),
        Object { name: Option<String> },
    }
    let named = Option::<Named>::deserialize(from)?;
    let name = named.and_then(|named| match named {
        Named::Name(name) => Some(name),
        Named::Object { name } => name,
    });
    Ok(name.map(|name| CrmText::clean(&name)))
}

const AGE: Duration = Duration::from_secs(3600);
/// They are made of fields that are kept already. Where those may not be read, they are asked for
/// again after this time.
const CLOSING_AGE: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_read_however_zoho_writes_it() {
        let text = r#"{"api_name":"Stage","field_label":"Stage","data_type":"picklist","lookup":{},
            "pick_list_values":[
                {"actual_value":"Won","probability":100,"forecast_category":{"name":"Closed","id":"1"},"forecast_type":"Closed Won"},
                {"actual_value":"Old","probability":"5","forecast_category":"Pipeline","type":"unused"},
                {"actual_value":"-None-","forecast_category":null}]}"#;
        let stage: Field = serde_json::from_str(text).unwrap();
        let category = |at: usize| stage.choices[at].forecast_category.as_ref();
        assert_eq!(category(0).unwrap().as_str(), "Closed");
        assert_eq!(category(1).unwrap().as_str(), "Pipeline");
        let kind = |at: usize| stage.choices[at].forecast_type.as_ref();
        assert!(kind(1).is_none() && kind(0).unwrap().as_str() == "Closed Won");
        assert!(category(2).is_none() && stage.leads_to().is_none());
        assert_eq!(stage.choices[1].probability, Some(5.0));
        assert!(stage.choices[0].is_used() && !stage.choices[1].is_used());
        let lookup = r#"{"api_name":"A","lookup":{"module":{"api_name":"Accounts","id":"1"}}}"#;
        let lookup: Field = serde_json::from_str(lookup).unwrap();
        assert_eq!(lookup.leads_to().unwrap().as_str(), "Accounts");
    }
}
