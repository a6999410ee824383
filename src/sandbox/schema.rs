//! The modules and their fields: one table that drives search, COQL, output and writes.

use super::picklist;

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
    Day,
    Moment,
    Lookup(Module),
    /// A lookup into any module, such as `What_Id`.
    AnyLookup,
    /// Nested JSON that is kept and shown, but neither searched nor sorted.
    Nested,
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
    pub(super) const ROUTED: [Self; 8] = [
        Self::Contacts,
        Self::Accounts,
        Self::Leads,
        Self::Deals,
        Self::Tasks,
        Self::Events,
        Self::Calls,
        Self::Notes,
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
            Self::Users => "Users",
        }
    }

    /// The field that names a record, which a lookup shows beside the id.
    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Contacts | Self::Leads => "Full_Name",
            Self::Accounts => "Account_Name",
            Self::Deals => "Deal_Name",
            Self::Tasks | Self::Calls => "Subject",
            Self::Events => "Event_Title",
            Self::Notes => "Note_Title",
            Self::Users => "full_name",
        }
    }

    /// Every field, those of the module first and those of all modules after.
    pub(super) fn fields(self) -> impl Iterator<Item = &'static Field> {
        let (own, shared): (&[Field], &[Field]) = match self {
            Self::Contacts => (CONTACTS, SHARED),
            Self::Accounts => (ACCOUNTS, SHARED),
            Self::Leads => (LEADS, SHARED),
            Self::Deals => (DEALS, SHARED),
            Self::Tasks => (TASKS, SHARED),
            Self::Events => (EVENTS, SHARED),
            Self::Calls => (CALLS, SHARED),
            Self::Notes => (NOTES, SHARED),
            Self::Users => (USERS, &[]),
        };
        own.iter().chain(shared)
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
            Self::Area(_) => "textarea",
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Website => "website",
            Self::Pick(_) => "picklist",
            Self::Flag => "boolean",
            Self::Int => "integer",
            Self::Currency => "currency",
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
            Self::Currency => "double",
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
            Self::Currency => 16,
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
            Self::Int | Self::Currency | Self::Day | Self::Moment | Self::Id
        )
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

    /// The name as a form would show it.
    pub(super) fn label(&self) -> String {
        self.name.trim_end_matches("__s").replace('_', " ")
    }
}

const fn text(name: &'static str, max: usize) -> Field {
    Field::new(name, Kind::Text(max))
}

const fn area(name: &'static str) -> Field {
    Field::new(name, Kind::Area(32_000))
}

const fn pick(name: &'static str, values: &'static [&'static str]) -> Field {
    Field::new(name, Kind::Pick(values))
}

const fn phone(name: &'static str) -> Field {
    Field::new(name, Kind::Phone)
}

const fn lookup(name: &'static str, module: Module) -> Field {
    Field::new(name, Kind::Lookup(module))
}

const fn of(name: &'static str, kind: Kind) -> Field {
    Field::new(name, kind)
}

const SHARED: &[Field] = &[
    of("id", Kind::Id).fixed(),
    lookup("Owner", Module::Users),
    lookup("Created_By", Module::Users).fixed(),
    lookup("Modified_By", Module::Users).fixed(),
    of("Created_Time", Kind::Moment).fixed(),
    of("Modified_Time", Kind::Moment).fixed(),
    of("Last_Activity_Time", Kind::Moment).fixed(),
    of("Locked__s", Kind::Flag).fixed(),
    of("Tag", Kind::Nested),
];

const CONTACTS: &[Field] = &[
    text("Last_Name", 80).must(),
    text("First_Name", 40),
    text("Full_Name", 120).fixed(),
    pick("Salutation", picklist::SALUTATION),
    of("Email", Kind::Email),
    of("Secondary_Email", Kind::Email),
    phone("Phone"),
    phone("Mobile"),
    phone("Home_Phone"),
    phone("Other_Phone"),
    phone("Asst_Phone"),
    phone("Fax"),
    text("Title", 100),
    text("Department", 30),
    lookup("Account_Name", Module::Accounts),
    lookup("Reporting_To", Module::Contacts),
    pick("Lead_Source", picklist::LEAD_SOURCE),
    of("Date_of_Birth", Kind::Day),
    text("Assistant", 50),
    of("Email_Opt_Out", Kind::Flag),
    text("Skype_ID", 50),
    text("Twitter", 50),
    area("Description"),
    text("Mailing_Street", 250),
    text("Mailing_City", 100),
    text("Mailing_State", 100),
    text("Mailing_Zip", 30),
    text("Mailing_Country", 100),
    text("Other_Street", 250),
    text("Other_City", 100),
    text("Other_State", 100),
    text("Other_Zip", 30),
    text("Other_Country", 100),
    text("Record_Image", 255).fixed(),
    text("Unsubscribed_Mode", 30).fixed(),
    of("Unsubscribed_Time", Kind::Moment).fixed(),
];

const ACCOUNTS: &[Field] = &[
    text("Account_Name", 200).must(),
    text("Account_Number", 40),
    text("Account_Site", 80),
    pick("Account_Type", picklist::ACCOUNT_TYPE),
    pick("Industry", picklist::INDUSTRY),
    of("Annual_Revenue", Kind::Currency),
    of("Employees", Kind::Int),
    pick("Ownership", picklist::OWNERSHIP),
    pick("Rating", picklist::RATING),
    lookup("Parent_Account", Module::Accounts),
    phone("Phone"),
    phone("Fax"),
    of("Website", Kind::Website),
    of("SIC_Code", Kind::Int),
    text("Ticker_Symbol", 30),
    text("Billing_Street", 250),
    text("Billing_City", 100),
    text("Billing_State", 100),
    text("Billing_Code", 30),
    text("Billing_Country", 100),
    text("Shipping_Street", 250),
    text("Shipping_City", 100),
    text("Shipping_State", 100),
    text("Shipping_Code", 30),
    text("Shipping_Country", 100),
    area("Description"),
];

const LEADS: &[Field] = &[
    text("Last_Name", 80).must(),
    text("Company", 200).must(),
    text("First_Name", 40),
    text("Full_Name", 120).fixed(),
    pick("Salutation", picklist::SALUTATION),
    text("Designation", 100),
    of("Email", Kind::Email),
    phone("Phone"),
    phone("Mobile"),
    of("Website", Kind::Website),
    pick("Lead_Source", picklist::LEAD_SOURCE),
    pick("Lead_Status", picklist::LEAD_STATUS),
    pick("Industry", picklist::INDUSTRY),
    of("No_of_Employees", Kind::Int),
    of("Annual_Revenue", Kind::Currency),
    pick("Rating", picklist::RATING),
    of("Email_Opt_Out", Kind::Flag),
    text("Street", 250),
    text("City", 100),
    text("State", 100),
    text("Zip_Code", 30),
    text("Country", 100),
    area("Description"),
];

const DEALS: &[Field] = &[
    text("Deal_Name", 120).must(),
    pick("Stage", picklist::STAGE).must(),
    of("Amount", Kind::Currency),
    of("Probability", Kind::Int),
    of("Expected_Revenue", Kind::Currency).fixed(),
    of("Closing_Date", Kind::Day),
    pick("Pipeline", picklist::PIPELINE),
    lookup("Account_Name", Module::Accounts),
    lookup("Contact_Name", Module::Contacts),
    pick("Type", picklist::DEAL_TYPE),
    pick("Lead_Source", picklist::LEAD_SOURCE),
    text("Next_Step", 100),
    area("Description"),
    pick("Reason_For_Loss__s", picklist::LOSS),
    of("Lead_Conversion_Time", Kind::Int).fixed(),
    of("Sales_Cycle_Duration", Kind::Int).fixed(),
    of("Overall_Sales_Duration", Kind::Int).fixed(),
];

const TASKS: &[Field] = &[
    text("Subject", 255).must(),
    of("Due_Date", Kind::Day),
    pick("Status", picklist::TASK_STATUS),
    pick("Priority", picklist::PRIORITY),
    lookup("Who_Id", Module::Contacts),
    of("What_Id", Kind::AnyLookup),
    of("Closed_Time", Kind::Moment).fixed(),
    of("Send_Notification_Email", Kind::Flag),
    area("Description"),
];

const EVENTS: &[Field] = &[
    text("Event_Title", 255).must(),
    of("Start_DateTime", Kind::Moment).must(),
    of("End_DateTime", Kind::Moment).must(),
    of("All_day", Kind::Flag),
    text("Venue", 255),
    of("Participants", Kind::Nested),
    lookup("Who_Id", Module::Contacts),
    of("What_Id", Kind::AnyLookup),
    pick("Check_In_Status", picklist::CHECK_IN).fixed(),
    area("Description"),
];

const CALLS: &[Field] = &[
    text("Subject", 255).must(),
    pick("Call_Type", picklist::CALL_TYPE).must(),
    of("Call_Start_Time", Kind::Moment).must(),
    text("Call_Duration", 20).must(),
    of("Call_Duration_in_seconds", Kind::Int).fixed(),
    pick("Call_Status", picklist::CALL_STATUS).fixed(),
    pick("Call_Purpose", picklist::CALL_PURPOSE),
    pick("Call_Result", picklist::CALL_RESULT),
    text("Call_Agenda", 255),
    text("Caller_ID", 255).fixed(),
    text("Dialled_Number", 255).fixed(),
    lookup("Who_Id", Module::Contacts),
    of("What_Id", Kind::AnyLookup),
    area("Description"),
];

const NOTES: &[Field] = &[
    text("Note_Title", 120),
    of("Note_Content", Kind::Area(65_535)),
    of("Parent_Id", Kind::AnyLookup),
];

const USERS: &[Field] = &[
    of("id", Kind::Id).fixed(),
    text("first_name", 40),
    text("last_name", 80),
    text("full_name", 120),
    of("email", Kind::Email),
    text("status", 20),
];
