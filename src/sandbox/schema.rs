//! The modules and their fields: one table that drives search, COQL, output and writes.

mod tables;

use tables::{
    ACCOUNTS, CALLS, CASES, CONTACTS, DEALS, EVENTS, LEADS, NOTES, OF_MEETINGS_AND_CALLS, OF_NOTES,
    OF_RECORDS, TASKS, USERS,
};

/// A module of the CRM. `Users` has records too, but no `/crm/v8/{module}` route of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Module {
    Contacts,
    Accounts,
    Leads,
    Deals,
    Tasks,
    Events,
    Calls,
    Notes,
    Cases,
    Users,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Id,
    Text(usize),
    Area(usize),
    Email,
    Phone,
    Website,
    Pick(&'static [&'static str]),
    Flag,
    Int,
    Currency,
    Double,
    Day,
    Moment,
    Lookup(Module),
    /// A lookup into any module, such as `What_Id`.
    AnyLookup,
    /// Nested JSON that is kept and shown, but neither searched nor sorted.
    Nested,
    /// What is made of other fields when a record is shown, and neither searched nor queried.
    Composed(&'static [&'static str]),
}

/// One field of a module.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) mandatory: bool,
    pub(super) read_only: bool,
}

impl Module {
    /// The modules that have routes.
    pub(super) const ROUTED: [Self; 9] = [
        Self::Contacts,
        Self::Accounts,
        Self::Leads,
        Self::Deals,
        Self::Tasks,
        Self::Events,
        Self::Calls,
        Self::Notes,
        Self::Cases,
    ];

    /// The module as a URL or a query spells it.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ROUTED
            .into_iter()
            .find(|module| module.name() == name)
    }

    /// The module's API name.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Contacts => "Contacts",
            Self::Accounts => "Accounts",
            Self::Leads => "Leads",
            Self::Deals => "Deals",
            Self::Tasks => "Tasks",
            Self::Events => "Events",
            Self::Calls => "Calls",
            Self::Notes => "Notes",
            Self::Cases => "Cases",
            Self::Users => "Users",
        }
    }

    /// Whether its records are what people do, and not whom or what they do it for.
    pub(super) const fn is_activity(self) -> bool {
        matches!(self, Self::Tasks | Self::Events | Self::Calls)
    }

    /// The field that names a record, which a lookup shows beside the id.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Contacts | Self::Leads => "Full_Name",
            Self::Accounts => "Account_Name",
            Self::Deals => "Deal_Name",
            Self::Tasks | Self::Calls | Self::Cases => "Subject",
            Self::Events => "Event_Title",
            Self::Notes => "Note_Title",
            Self::Users => "full_name",
        }
    }

    /// Every field, those of the module first and those of all modules after.
    pub(super) fn fields(self) -> impl Iterator<Item = &'static Field> {
        let (own, shared): (&[Field], &[&[Field]]) = match self {
            Self::Contacts => (CONTACTS, OF_RECORDS),
            Self::Accounts => (ACCOUNTS, OF_RECORDS),
            Self::Leads => (LEADS, OF_RECORDS),
            Self::Deals => (DEALS, OF_RECORDS),
            Self::Tasks => (TASKS, OF_RECORDS),
            Self::Events => (EVENTS, OF_MEETINGS_AND_CALLS),
            Self::Calls => (CALLS, OF_MEETINGS_AND_CALLS),
            Self::Notes => (NOTES, OF_NOTES),
            Self::Cases => (CASES, OF_RECORDS),
            Self::Users => (USERS, &[]),
        };
        own.iter().chain(shared.iter().copied().flatten())
    }

    /// The field of that API name.
    pub(super) fn field(self, name: &str) -> Option<&'static Field> {
        self.fields().find(|field| field.name == name)
    }
}

impl Kind {
    /// The type as Zoho's field metadata and error bodies name it.
    pub(super) const fn data_type(self) -> &'static str {
        match self {
            Self::Id => "bigint",
            Self::Text(_) => "text",
            Self::Area(_) | Self::Composed(_) => "textarea",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Website => "website",
            Self::Pick(_) => "picklist",
            Self::Flag => "boolean",
            Self::Int => "integer",
            Self::Currency => "currency",
            Self::Double => "double",
            Self::Day => "date",
            Self::Moment => "datetime",
            Self::Lookup(Module::Users) => "ownerlookup",
            Self::Lookup(_) | Self::AnyLookup => "lookup",
            Self::Nested => "jsonarray",
        }
    }

    /// The JSON type that carries it.
    pub(super) const fn json_type(self) -> &'static str {
        match self {
            Self::Flag => "boolean",
            Self::Int => "integer",
            Self::Currency | Self::Double => "double",
            Self::Lookup(_) | Self::AnyLookup => "jsonobject",
            Self::Nested => "jsonarray",
            _ => "string",
        }
    }

    /// How many characters fit.
    pub(super) const fn length(self) -> usize {
        match self {
            Self::Text(max) | Self::Area(max) => max,
            Self::Email => 100,
            Self::Phone => 30,
            Self::Website => 450,
            Self::Pick(_) => 120,
            Self::Int => 9,
            Self::Currency | Self::Double => 16,
            Self::Composed(_) => 255,
            _ => 20,
        }
    }

    /// Whether a word search looks into it.
    pub(super) const fn is_textual(self) -> bool {
        matches!(
            self,
            Self::Text(_)
                | Self::Area(_)
                | Self::Email
                | Self::Phone
                | Self::Website
                | Self::Pick(_)
        )
    }

    /// Whether its values have an order that a query may use.
    pub(super) const fn is_ordered(self) -> bool {
        matches!(
            self,
            Self::Int | Self::Currency | Self::Double | Self::Day | Self::Moment | Self::Id
        )
    }

    /// Whether its values can be searched for and sorted by.
    pub(super) const fn is_searched(self) -> bool {
        !matches!(self, Self::Nested | Self::Composed(_))
    }
}

impl Field {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            mandatory: false,
            read_only: false,
        }
    }

    const fn must(mut self) -> Self {
        self.mandatory = true;
        self
    }

    const fn fixed(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// The module that a lookup of this field leads to, where it is always the same.
    pub(super) const fn target(&self) -> Option<Module> {
        match self.kind {
            Kind::Lookup(module) => Some(module),
            _ => None,
        }
    }

    /// The name as a form would show it.
    pub(super) fn label(&self) -> String {
        self.name.trim_end_matches("__s").replace('_', " ")
    }
}
