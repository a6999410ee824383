//! The modules of the CRM that are read as a whole.

/// A module, by the name that it has in Zoho's interface.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[expect(missing_docs, reason = "named as in the CRM")]
pub enum Module {
    Contacts,
    Accounts,
    Leads,
    Deals,
    Tasks,
    Events,
    Calls,
}

impl Module {
    /// How many there are.
    pub(super) const COUNT: usize = 7;

    /// Its name in paths and queries.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Contacts => "Contacts",
            Self::Accounts => "Accounts",
            Self::Leads => "Leads",
            Self::Deals => "Deals",
            Self::Tasks => "Tasks",
            Self::Events => "Events",
            Self::Calls => "Calls",
        }
    }
}
