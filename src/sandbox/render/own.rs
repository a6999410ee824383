//! What a record says about itself, under names that begin with a dollar.

use serde_json::{Value, json};

use super::{Painter, layout_id};
use crate::sandbox::{cell::Id, crm::Record, dice::Dice, schema::Module};

/// The names that records of a module have.
pub(in crate::sandbox) fn names(module: Module) -> impl Iterator<Item = &'static str> {
    use Module::{Accounts, Calls, Cases, Contacts, Deals, Events, Leads, Notes, Tasks, Users};
    let groups: &[&[&str]] = match module {
        Notes => &[SHARED, OF_NOTES],
        Events => &[SHARED, APPROVED, OF_EVENTS],
        Calls => &[SHARED, APPROVED, &["$se_module", "$calendar_booking_call"]],
        Tasks => &[SHARED, APPROVED, HELD, &["$se_module", "$u_id"]],
        Deals | Cases => &[SHARED, APPROVED, HELD, LAID_OUT],
        Contacts | Accounts => &[SHARED, APPROVED, HELD, LAID_OUT, &["$is_duplicate"]],
        Leads => &[SHARED, APPROVED, HELD, LAID_OUT, OF_LEADS],
        Users => &[],
    };
    groups.iter().copied().flatten().copied()
}

impl Painter<'_> {
    /// What stands under one of the names.
    pub(super) fn own(&self, module: Module, record: &Record, name: &str) -> Value {
        match name {
            "$approved" | "$editable" => json!(true),
            "$approval_state" => json!("approved"),
            "$currency_symbol" => json!("$"),
            "$state" => json!("save"),
            "$sharing_permission" => json!("full_access"),
            "$zia_owner_assignment" => json!("owner_recommendation_unavailable"),
            "$converted_detail" => json!({}),
            "$approval" => {
                json!({"delegate": false, "takeover": false, "approve": false, "reject": false, "resubmit": false})
            }
            "$review_process" if !module.is_activity() => {
                json!({"approve": false, "reject": false, "resubmit": false})
            }
            "$layout_id" => {
                let id = layout_id(self.crm, module).to_string();
                json!({"display_label": "Standard", "name": "Standard", "id": id})
            }
            "$se_module" => json!(self.about(record).map(Module::name)),
            "$u_id" if module == Module::Events => json!(calendar_id(record.id)),
            _ if NOTHING.contains(&name) => Value::Null,
            _ => json!(false),
        }
    }

    /// The module of what a note or an activity is about.
    fn about(&self, record: &Record) -> Option<Module> {
        let about = record.points_at("Parent_Id");
        let about = about.or_else(|| record.points_at("What_Id"))?;
        self.crm.find(about).map(|(module, _)| module)
    }
}

/// What calendars know a meeting by.
fn calendar_id(id: Id) -> String {
    let mut dice = Dice::new(id.0);
    let random = uuid::Uuid::from_u64_pair(dice.roll(), dice.roll());
    let random = uuid::Builder::from_random_bytes(random.into_bytes());
    random.into_uuid().to_string()
}

const SHARED: &[&str] = &["$editable", "$field_states", "$state"];
const APPROVED: &[&str] = &[
    "$approved",
    "$approval",
    "$approval_state",
    "$currency_symbol",
    "$in_merge",
    "$orchestration",
    "$process_flow",
    "$review",
    "$review_process",
];
const HELD: &[&str] = &["$locked_for_me", "$zia_owner_assignment"];
const LAID_OUT: &[&str] = &[
    "$layout_id",
    "$pathfinder",
    "$sharing_permission",
    "$wizard_connection_path",
    "$zia_visions",
];
const OF_LEADS: &[&str] = &["$converted", "$converted_detail"];
const OF_NOTES: &[&str] = &[
    "$se_module",
    "$voice_note",
    "$size",
    "$is_shared_to_client",
    "$attachments",
];
const OF_EVENTS: &[&str] = &[
    "$se_module",
    "$calendar_booking_event",
    "$recurrence_id",
    "$meeting_details",
    "$u_id",
    "$send_notification",
];
/// What is null; the others are what is not the case.
const NOTHING: &[&str] = &[
    "$attachments",
    "$field_states",
    "$meeting_details",
    "$recurrence_id",
    "$review",
    "$review_process",
    "$size",
    "$u_id",
    "$wizard_connection_path",
    "$zia_visions",
];
