//! The client of Zoho CRM.
