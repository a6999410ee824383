//! The fields of each module, in the order in which they are shown.

use super::{Field, Kind, Module};
use crate::sandbox::picklist;

/// What each record has besides what its module has.
pub(super) const OF_RECORDS: &[&[Field]] = &[EVERYWHERE, WITH_ACTIVITY, LOCKABLE];
pub(super) const OF_MEETINGS_AND_CALLS: &[&[Field]] = &[EVERYWHERE, WITH_ACTIVITY];
pub(super) const OF_NOTES: &[&[Field]] = &[EVERYWHERE];

const EVERYWHERE: &[Field] = &[
    of("id", Kind::Id).fixed(),
    lookup("Owner", Module::Users),
    lookup("Created_By", Module::Users).fixed(),
    lookup("Modified_By", Module::Users).fixed(),
    of("Created_Time", Kind::Moment).fixed(),
    of("Modified_Time", Kind::Moment).fixed(),
];
const WITH_ACTIVITY: &[Field] = &[
    of("Last_Activity_Time", Kind::Moment).fixed(),
    of("Tag", Kind::Nested),
];
const LOCKABLE: &[Field] = &[of("Locked__s", Kind::Flag).fixed()];

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
    text("Mailing_Flat_House_No_Building_Apartment_Name", 255),
    of("Mailing_Latitude", Kind::Double),
    of("Mailing_Longitude", Kind::Double),
    composed("Mailing_Address", MAILING),
    composed("Mailing_Coordinates", &[]),
    text("Other_Street", 250),
    text("Other_City", 100),
    text("Other_State", 100),
    text("Other_Zip", 30),
    text("Other_Country", 100),
    text("Other_Flat_House_No_Building_Apartment_Name", 255),
    of("Other_Latitude", Kind::Double),
    of("Other_Longitude", Kind::Double),
    composed("Other_Address", OTHER),
    composed("Other_Coordinates", &[]),
    of("nearby_distance__s", Kind::Double).fixed(),
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
    text("Billing_Flat_House_No_Building_Apartment_Name", 255),
    of("Billing_Latitude", Kind::Double),
    of("Billing_Longitude", Kind::Double),
    composed("Billing_Address", BILLING),
    composed("Billing_Coordinates", &[]),
    text("Shipping_Street", 250),
    text("Shipping_City", 100),
    text("Shipping_State", 100),
    text("Shipping_Code", 30),
    text("Shipping_Country", 100),
    text("Shipping_Flat_House_No_Building_Apartment_Name", 255),
    of("Shipping_Latitude", Kind::Double),
    of("Shipping_Longitude", Kind::Double),
    composed("Shipping_Address", SHIPPING),
    composed("Shipping_Coordinates", &[]),
    of("nearby_distance__s", Kind::Double).fixed(),
    area("Description"),
    text("Record_Image", 255).fixed(),
];

pub(super) const LEADS: &[Field] = &[
    text("Last_Name", 80).must(),
    text("Company", 200).must(),
    text("First_Name", 40),
    text("Full_Name", 120).fixed(),
    pick("Salutation", picklist::SALUTATION),
    text("Designation", 100),
    of("Email", Kind::Email),
    of("Secondary_Email", Kind::Email),
    phone("Phone"),
    phone("Mobile"),
    phone("Fax"),
    of("Website", Kind::Website),
    text("Skype_ID", 50),
    text("Twitter", 50),
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
    text("Flat_House_No_Building_Apartment_Name", 255),
    of("Latitude", Kind::Double),
    of("Longitude", Kind::Double),
    composed("Address", OF_LEADS),
    composed("Coordinates", &[]),
    of("nearby_distance__s", Kind::Double).fixed(),
    area("Description"),
    text("Record_Image", 255).fixed(),
    text("Unsubscribed_Mode", 30).fixed(),
    of("Unsubscribed_Time", Kind::Moment).fixed(),
    // Nobody converts a lead here.
    lookup("Converted_Account", Module::Accounts).fixed(),
    lookup("Converted_Contact", Module::Contacts).fixed(),
    lookup("Converted_Deal", Module::Deals).fixed(),
    of("Lead_Conversion_Time", Kind::Int).fixed(),
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
    text("Recurring_Activity", 255).fixed(),
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
    text("Remind_At", 255).fixed(),
    text("Recurring_Activity", 255).fixed(),
    pick("Check_In_Status", picklist::CHECK_IN).fixed(),
    of("Check_In_Time", Kind::Moment).fixed(),
    lookup("Check_In_By", Module::Users).fixed(),
    text("Check_In_Comment", 255).fixed(),
    text("Check_In_Address", 255).fixed(),
    text("Check_In_Sub_Locality", 255).fixed(),
    text("Check_In_City", 255).fixed(),
    text("Check_In_State", 255).fixed(),
    text("Check_In_Country", 255).fixed(),
    text("ZIP_Code", 30).fixed(),
    of("Latitude", Kind::Double).fixed(),
    of("Longitude", Kind::Double).fixed(),
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
    of("Reminder", Kind::Moment).fixed(),
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

/// The parts of each address: street, town, state, code, country.
const MAILING: &[&str] = &[
    "Mailing_Street",
    "Mailing_City",
    "Mailing_State",
    "Mailing_Zip",
    "Mailing_Country",
];
const OTHER: &[&str] = &[
    "Other_Street",
    "Other_City",
    "Other_State",
    "Other_Zip",
    "Other_Country",
];
const BILLING: &[&str] = &[
    "Billing_Street",
    "Billing_City",
    "Billing_State",
    "Billing_Code",
    "Billing_Country",
];
const SHIPPING: &[&str] = &[
    "Shipping_Street",
    "Shipping_City",
    "Shipping_State",
    "Shipping_Code",
    "Shipping_Country",
];
const OF_LEADS: &[&str] = &["Street", "City", "State", "Zip_Code", "Country"];

const fn composed(name: &'static str, parts: &'static [&'static str]) -> Field {
    Field::new(name, Kind::Composed(parts)).fixed()
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
