//! The stages that a deal can have, kept for an hour.

use std::sync::Arc;

use serde::Deserialize;

use super::{Crm, CrmText, ZohoError, scope::Scoped};

/// A stage: what Zoho calls it, and what people see.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Stage {
    /// What a deal holds.
    #[serde(rename = "actual_value")]
    pub actual: String,
    /// What people see.
    #[serde(rename = "display_value")]
    pub shown: CrmText,
    #[serde(rename = "type", default)]
    kind: Option<String>,
}

impl Stage {
    /// Whether it is called so, whatever the case of the letters.
    pub fn is(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        [self.actual.as_str(), self.shown.as_str()]
            .iter()
            .any(|own| own.to_lowercase() == name)
    }
}

impl Crm {
    /// The stages in use, in their order.
    ///
    /// # Errors
    /// Zoho cannot be asked, or its user may not read settings.
    pub async fn stages(&self) -> Result<Arc<Vec<Stage>>, ZohoError> {
        self.zoho
            .stages
            .get(self.deadline, self.fetch_stages())
            .await
    }

    async fn fetch_stages(&self) -> Result<Vec<Stage>, ZohoError> {
        #[derive(Deserialize)]
        struct Field {
            api_name: String,
            #[serde(default)]
            pick_list_values: Vec<Stage>,
        }
        let asked = Scoped::fields_of(self, "Deals");
        let fields = self.list::<Field, Field>(&asked).await?.rows;
        let stage = fields.into_iter().find(|field| field.api_name == "Stage");
        let stages = stage.ok_or(ZohoError::NotFound)?.pick_list_values;
        let is_used = |stage: &Stage| stage.kind.as_deref() != Some("unused");
        Ok(stages.into_iter().filter(is_used).collect())
    }
}
