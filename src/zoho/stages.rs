//! The stages that a deal can have.

use super::{Crm, CrmText, Module, ZohoError, fields::Choice};

/// A stage: what Zoho calls it, and what people see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// What a deal holds.
    pub actual: String,
    /// What people see.
    pub shown: CrmText,
}

impl Stage {
    fn of(choice: &Choice) -> Option<Self> {
        let actual = choice.actual_value.as_ref()?;
        Some(Self {
            actual: actual.as_str().to_owned(),
            shown: choice.display_value.as_ref().unwrap_or(actual).clone(),
        })
    }

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
    pub async fn stages(&self) -> Result<Vec<Stage>, ZohoError> {
        let fields = self.fields(Module::Deals).await?;
        let stage = fields.iter().find(|field| field.name.as_str() == "Stage");
        let choices = &stage.ok_or(ZohoError::NotFound)?.choices;
        let used = choices.iter().filter(|choice| choice.is_used());
        Ok(used.filter_map(Stage::of).collect())
    }
}
