//! The stages that a deal can have, as deals hold them.

use super::{
    Crm, CrmText, Module, ZohoError,
    fields::{Choice, Field},
};

/// The stages in use, in their order.
#[derive(Clone, Debug, Default)]
pub struct Stages(Vec<Choice>);

impl Stages {
    fn of(fields: &[Field]) -> Option<Self> {
        let stage = fields.iter().find(|field| field.name.as_str() == "Stage")?;
        let used = stage.choices.iter().filter(|choice| choice.is_used());
        Some(Self(used.cloned().collect()))
    }

    /// What deals hold for the stage of that name: theirs, or the one that people see.
    pub fn named(&self, name: &str) -> Option<&CrmText> {
        Choice::find(&self.0, name)
    }

    /// All of them.
    pub fn names(&self) -> impl Iterator<Item = &CrmText> {
        self.0
            .iter()
            .filter_map(|stage| stage.actual_value.as_ref())
    }
}

impl Crm {
    /// The stages in use.
    ///
    /// # Errors
    /// Zoho cannot be asked, or its user may not read settings.
    pub async fn stages(&self) -> Result<Stages, ZohoError> {
        let fields = self.fields(Module::Deals).await?;
        Stages::of(&fields).ok_or(ZohoError::NotFound)
    }

    /// The stages in use where they are kept: nobody is asked.
    pub fn known_stages(&self) -> Stages {
        let fields = self.known_fields(Module::Deals);
        let stages = fields.and_then(|fields| Stages::of(&fields));
        stages.unwrap_or_default()
    }
}
