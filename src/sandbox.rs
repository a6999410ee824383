//! A Zoho CRM to try out and to test against.
