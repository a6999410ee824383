//! The fields of each module, in the order in which they are shown.

use super::{Field, Kind, Module};
use crate::sandbox::picklist;

pub(super) const SHARED: &[Field] = &[
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

pub(super) const CONTACTS: &[Field] = &[
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
    // This CRM has no vendors.
    of("Vendor_Name", Kind::AnyLookup).fixed(),
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
    text("Mailing_Latitude", 30),
    text("Mailing_Longitude", 30),
    text("Other_Street", 250),
    text("Other_City", 100),
    text("Other_State", 100),
    text("Other_Zip", 30),
    text("Other_Country", 100),
    text("Other_Latitude", 30),
    text("Other_Longitude", 30),
    text("Record_Image", 255).fixed(),
    text("Unsubscribed_Mode", 30).fixed(),
    of("Unsubscribed_Time", Kind::Moment).fixed(),
];

pub(super) const ACCOUNTS: &[Field] = &[
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

pub(super) const LEADS: &[Field] = &[
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

pub(super) const DEALS: &[Field] = &[
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
    // Nor any campaigns.
    of("Campaign_Source", Kind::AnyLookup).fixed(),
    area("Description"),
    pick("Reason_For_Loss__s", picklist::LOSS),
    of("Lead_Conversion_Time", Kind::Int).fixed(),
    of("Sales_Cycle_Duration", Kind::Int).fixed(),
    of("Overall_Sales_Duration", Kind::Int).fixed(),
];

pub(super) const TASKS: &[Field] = &[
    text("Subject", 255).must(),
    of("Due_Date", Kind::Day),
    pick("Status", picklist::TASK_STATUS),
    pick("Priority", picklist::PRIORITY),
    lookup("Who_Id", Module::Contacts),
    of("What_Id", Kind::AnyLookup),
    of("Closed_Time", Kind::Moment).fixed(),
    of("Remind_At", Kind::Moment),
    of("Send_Notification_Email", Kind::Flag),
    area("Description"),
];

pub(super) const EVENTS: &[Field] = &[
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

pub(super) const CALLS: &[Field] = &[
    text("Subject", 255).must(),
    pick("Call_Type", picklist::CALL_TYPE).must(),
    of("Call_Start_Time", Kind::Moment).must(),
    text("Call_Duration", 20).must(),
    of("Call_Duration_in_seconds", Kind::Int).fixed(),
    pick("Call_Status", picklist::CALL_STATUS),
    pick("Call_Purpose", picklist::CALL_PURPOSE),
    pick("Call_Result", picklist::CALL_RESULT),
    text("Call_Agenda", 255),
    text("Caller_ID", 255).fixed(),
    text("Dialled_Number", 255).fixed(),
    lookup("Who_Id", Module::Contacts),
    of("What_Id", Kind::AnyLookup),
    area("Description"),
];

pub(super) const NOTES: &[Field] = &[
    text("Note_Title", 120),
    of("Note_Content", Kind::Area(65_535)),
    of("Parent_Id", Kind::AnyLookup),
];

pub(super) const CASES: &[Field] = &[
    text("Subject", 255).must(),
    pick("Status", picklist::CASE_STATUS).must(),
    pick("Case_Origin", picklist::CASE_ORIGIN).must(),
    pick("Priority", picklist::CASE_PRIORITY),
    pick("Type", picklist::CASE_TYPE),
    pick("Case_Reason", picklist::CASE_REASON),
    lookup("Account_Name", Module::Accounts),
    lookup("Related_To", Module::Contacts),
    lookup("Deal_Name", Module::Deals),
    // Nor any products.
    of("Product_Name", Kind::AnyLookup).fixed(),
    text("Reported_By", 50),
    of("Email", Kind::Email),
    phone("Phone"),
    area("Description"),
    area("Internal_Comments"),
    area("Solution"),
    of("Comments", Kind::Nested).fixed(),
];

pub(super) const USERS: &[Field] = &[
    of("id", Kind::Id).fixed(),
    text("first_name", 40),
    text("last_name", 80),
    text("full_name", 120),
    of("email", Kind::Email),
    text("status", 20),
];

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
