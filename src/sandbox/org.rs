//! The company that the sandbox's CRM belongs to, and its users.

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use super::{
    cell::{Cell, Id},
    clock::moment,
    crm::{Crm, Record},
};

/// The company.
pub(super) struct Org {
    pub(super) id: Id,
    pub(super) prefix: u64,
    pub(super) name: &'static str,
    pub(super) zone_name: &'static str,
    pub(super) created: Timestamp,
}

/// A user of the CRM.
pub(super) struct User {
    pub(super) id: Id,
    pub(super) first: &'static str,
    pub(super) last: &'static str,
    pub(super) email: String,
    pub(super) role: Role,
    pub(super) administrator: bool,
    pub(super) reports_to: Option<Id>,
    pub(super) active: bool,
    pub(super) zone_name: &'static str,
    pub(super) zone: TimeZone,
    pub(super) created: Timestamp,
}

/// A place in the hierarchy.
#[derive(Clone, Copy)]
pub(super) struct Role {
    pub(super) id: Id,
    pub(super) name: &'static str,
}

impl User {
    /// What kind of account everybody here has.
    pub(super) const TYPE: &str = "Regular User";

    /// The whole name.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.first, self.last)
    }

    /// The user as other records refer to it in reads.
    pub(super) fn reference(&self) -> Value {
        json!({"name": self.name(), "id": self.id.to_string(), "email": self.email})
    }

    /// The user as a write's answer refers to it.
    pub(super) fn short(&self) -> Value {
        json!({"name": self.name(), "id": self.id.to_string()})
    }

    /// The user as the owner of a record that was there already.
    pub(super) fn known(&self) -> Value {
        json!({"name": self.name(), "id": self.id.to_string(), "zuid": self.zuid()})
    }

    fn zuid(&self) -> String {
        (self.id.0 % 1_000_000_000).to_string()
    }

    /// The user as a record that a lookup can be followed to.
    pub(super) fn record(&self) -> Record {
        let mut record = Record::new(self.id);
        record.set("first_name", Cell::text(self.first));
        record.set("last_name", Cell::text(self.last));
        record.set("full_name", Cell::text(self.name()));
        record.set("email", Cell::text(self.email.as_str()));
        record.set("status", Cell::text(self.status()));
        record
    }

    /// The profile's name and id.
    pub(super) fn profile(&self, org: &Org) -> Value {
        let [administrator, standard] = Self::profiles(org);
        if self.administrator {
            administrator
        } else {
            standard
        }
    }

    /// All profiles.
    pub(super) fn profiles(org: &Org) -> [Value; 2] {
        [("Administrator", 26_011), ("Standard", 26_014)]
            .map(|(name, tail)| json!({"name": name, "id": org.fixed(tail).to_string()}))
    }

    /// The user as `GET /users` shows it.
    pub(super) fn shown(&self, crm: &Crm) -> Value {
        let manager = self.reports_to.and_then(|id| crm.user(id)).map(User::short);
        let offset = self.zone.to_offset(crm.org.created).seconds();
        let created = moment(self.created, &self.zone);
        let mut shown = json!({
            "id": self.id.to_string(),
            "first_name": self.first,
            "last_name": self.last,
            "full_name": self.name(),
            "email": self.email,
            "role": {"name": self.role.name, "id": self.role.id.to_string()},
            "profile": self.profile(&crm.org),
            "status": self.status(),
            "confirm": self.active,
            "zuid": self.zuid(),
            "time_zone": self.zone_name,
            "offset": i64::from(offset) * 1000,
            "locale": "en_US",
            "language": "en_US",
            "country_locale": "en_US",
            "country": "US",
            "Reporting_To": manager,
            "created_time": created,
            "created_by": self.short(),
            "Modified_Time": created,
            "Modified_By": self.short(),
            "alias": null,
            "phone": null,
            "image_link": format!("https://contacts.zoho.com/file?ID={}&fs=thumb", self.zuid()),
            "date_format": "MM/dd/yyyy",
            "decimal_separator": "Period",
            "status_reason__s": null,
            "sandboxDeveloper": false,
            "$current_shift": null,
            "$next_shift": null,
            "$shift_effective_from": null,
            "microsoft": false,
            "personal_account": false,
            "default_tab_group": "0",
            "isonline": false,
            "type__s": Self::TYPE,
            "time_format": "hh:mm a",
            "name_format__s": "Salutation,First Name,Last Name",
            "distance_preference__s": "Miles",
        });
        if let Some(shown) = shown.as_object_mut() {
            shown.extend(UNSAID_OF_USERS.map(|name| (name.to_owned(), Value::Null)));
        }
        shown
    }

    /// The same to the user, with how the pages look to them.
    pub(super) fn shown_to_self(&self, crm: &Crm) -> Value {
        let mut shown = self.shown(crm);
        let tab = json!({"font_color": "#FFFFFF", "background": "#222222"});
        let theme = json!({
            "normal_tab": tab,
            "selected_tab": tab,
            "new_background": null,
            "background": "#F3F0EB",
            "screen": "fixed",
            "type": "default",
        });
        let customize_info = json!({
            "notes_desc": null,
            "show_right_panel": null,
            "bc_view": null,
            "show_home": false,
            "show_detail_view": true,
            "show_left_panel": true,
            "unpin_recent_item": null,
        });
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("theme".to_owned(), theme);
            shown.insert("customize_info".to_owned(), customize_info);
        }
        shown
    }

    const fn status(&self) -> &'static str {
        if self.active { "active" } else { "disabled" }
    }
}

impl Org {
    /// An id that has the same tail in every org.
    pub(super) const fn fixed(&self, tail: u64) -> Id {
        Id(self.prefix * 1_000_000_000_000 + tail)
    }

    /// What the accounts server knows the org by.
    pub(super) fn zgid(&self) -> String {
        (self.id.0 % 1_000_000_000).to_string()
    }

    /// The org as `GET /org` shows it.
    pub(super) fn shown(&self, crm: &Crm) -> Value {
        let seats = crm.users.iter().filter(|user| user.active).count();
        let mut org = json!({
            "id": self.id.to_string(),
            "company_name": self.name,
            "zgid": self.zgid(),
            "iso_code": "USD",
            "currency": "US Dollar - USD",
            "currency_symbol": "$",
            "currency_locale": "en_US",
            "time_zone": self.zone_name,
            "country": "US",
            "country_code": "US",
            "domain_name": format!("org{}", self.id.0 % 1_000_000_000),
            "primary_email": crm.users.first().map(|user| user.email.as_str()),
            "primary_zuid": crm.users.first().map(User::zuid),
            "ezgid": self.zgid(),
            "employee_count": crm.users.len().to_string(),
            "max_per_page": 200,
            "call_icon": "show",
            "oauth_presence": true,
            "mc_status": false,
            "gapps_enabled": false,
            "privacy_settings": false,
            "translation_enabled": false,
            "deletable_org_account": false,
            "hipaa_compliance_enabled": false,
            "lite_users_enabled": false,
            "checkin_preferences": {"restricted_event_types": null},
            "hierarchy_preferences": {"type": "Role_Hierarchy", "strictly_reporting": false},
            "type": "sandbox",
            "created_time": moment(self.created, &TimeZone::UTC),
            "license_details": {
                "paid": true,
                "paid_type": "enterprise",
                "paid_expiry": null,
                "portal_users_license_purchased": 0,
                "users_license_purchased": seats,
                "trial_expiry": null,
                "trial_type": null,
                "trial_action": null,
            },
        });
        if let Some(org) = org.as_object_mut() {
            org.extend(UNSAID.map(|name| (name.to_owned(), Value::Null)));
        }
        json!({"org": [org]})
    }
}

/// What nothing is said of a user.
const UNSAID_OF_USERS: [&str; 9] = [
    "city",
    "dob",
    "fax",
    "mobile",
    "signature",
    "state",
    "street",
    "website",
    "zip",
];
/// What the org says nothing of.
const UNSAID: [&str; 13] = [
    "alias",
    "city",
    "description",
    "fax",
    "mobile",
    "phone",
    "photo_id",
    "state",
    "street",
    "website",
    "zia_portal_id",
    "zia_zgid",
    "zip",
];
