//! Whether what found nothing could have found anything: to who looks at a field that is hidden, Zoho
//! answers that there is nothing, and records without an owner are nobody's.

use serde::Deserialize;
use tokio::time::Instant;

use super::{Crm, Listed, Page, Scoped, ZohoError};
use crate::zoho::{
    Module, Search,
    code::Code,
    fields::Field,
    token::{FieldOf, Look},
};

/// What a search looks at, by the field that it is told by.
#[derive(Clone, Copy)]
enum Part {
    /// What says whose a row is.
    Owner,
    /// All fields with addresses.
    Email,
    /// All fields with numbers.
    Phone,
}

impl Part {
    const ALL: [Self; 3] = [Self::Owner, Self::Email, Self::Phone];

    const fn name(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Email => "Email",
            Self::Phone => "Phone",
        }
    }

    /// Whether a field is one that is looked at.
    fn has(self, field: &Field) -> bool {
        let is_of = |kind| {
            field
                .data_type
                .as_ref()
                .is_some_and(|of| of.as_str() == kind)
        };
        match self {
            Self::Owner => field.name.as_str() == self.name(),
            Self::Email => is_of("email"),
            Self::Phone => is_of("phone"),
        }
    }
}

impl Search {
    /// What it looks at, where Zoho does not say that it is hidden.
    const fn part(&self) -> Option<Part> {
        match self {
            Self::Email(_) => Some(Part::Email),
            Self::Phone(_) => Some(Part::Phone),
            Self::Word(_) | Self::Name(_) => None,
        }
    }
}

/// A field that a search was to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsearched {
    /// It is hidden, and others were looked at.
    Hidden(&'static str),
    /// Whether it is shown could not be asked.
    Unknown(&'static str),
}

impl Crm {
    /// A page of what a search finds; [`ZohoError::Hidden`] where it could find nothing at all.
    pub(in crate::zoho) async fn found<R, T>(
        &self,
        (module, by): (Module, &Search),
        scoped: &Scoped,
        page: Page,
    ) -> Result<Listed<T>, ZohoError>
    where
        R: for<'de> Deserialize<'de> + Into<T>,
    {
        let found = self.page_of::<R, T>(module, scoped, page).await;
        match by.part() {
            Some(own) => self.unless_hidden(found, (module, own), scoped).await,
            None => found,
        }
    }

    /// A page of a module's records; [`ZohoError::Hidden`] where it is not shown whose they are, and the
    /// caller sees those of some.
    pub(in crate::zoho) async fn page_of<R, T>(
        &self,
        module: Module,
        scoped: &Scoped,
        page: Page,
    ) -> Result<Listed<T>, ZohoError>
    where
        R: for<'de> Deserialize<'de> + Into<T>,
    {
        let found = self.page::<R, T>(scoped, page).await;
        if scoped.owners.is_none() {
            return found;
        }
        self.unless_hidden(found, (module, Part::Owner), scoped)
            .await
    }

    /// The field that a search which found nothing did not look at, or of which that could not be asked.
    pub async fn unsearched(&self, module: Module, by: &Search) -> Option<Unsearched> {
        let part = by.part()?;
        let tokens = self.sight().await.ok()?.tokens;
        match tokens.looked((module.name(), part.name()), Instant::now()) {
            Some(Look::Partly) => Some(Unsearched::Hidden(part.name())),
            Some(Look::Refused) | None => Some(Unsearched::Unknown(part.name())),
            Some(Look::Shown | Look::Hidden) => None,
        }
    }

    /// What was found; where that is nothing, because nothing could be, the field that is hidden.
    async fn unless_hidden<T>(
        &self,
        found: Result<Listed<T>, ZohoError>,
        (module, part): (Module, Part),
        scoped: &Scoped,
    ) -> Result<Listed<T>, ZohoError> {
        let in_vain = match &found {
            Ok(listed) => listed.rows.is_empty(),
            Err(error) => matches!(error, ZohoError::TooManyMatches),
        };
        // Of the fields alone, and never of the rows: whether those exist is not told.
        if in_vain && self.is_hidden(scoped, module, part).await {
            let field = Code::new(part.name());
            return Err(ZohoError::Hidden { field });
        }
        found
    }

    /// Whether none of what is looked at is shown. Where that cannot be read, it counts as shown.
    async fn is_hidden(&self, scoped: &Scoped, module: Module, part: Part) -> bool {
        let of = |part: Part| -> FieldOf { (module.name(), part.name()) };
        let rights = &scoped.tokens;
        if let Some(look) = rights.looked(of(part), Instant::now()) {
            return look == Look::Hidden;
        }
        // Anew, and not as it is kept: that may have been another user's, or be an hour old.
        let fields = match self.fetch_fields(module).await {
            Ok(fields) => fields,
            Err(ZohoError::Forbidden { .. }) => {
                rights.saw_fields(Part::ALL.map(|part| (of(part), Look::Refused)));
                return false;
            }
            Err(_) => return false,
        };
        let look = |part: Part| {
            let is_named = |field: &Field| field.name.as_str() == part.name();
            match fields.iter().any(|field| part.has(field)) {
                true if fields.iter().any(is_named) => Look::Shown,
                true => Look::Partly,
                false => Look::Hidden,
            }
        };
        rights.saw_fields(Part::ALL.map(|part| (of(part), look(part))));
        look(part) == Look::Hidden
    }
}
