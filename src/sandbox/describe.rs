//! Modules, layouts and fields as `settings` describes them.

use serde_json::{Map, Value, json};

use super::{
    crm::Crm,
    org::User,
    picklist,
    render::{field_id, layout_id, module_id},
    schema::{Field, Kind, Module},
    sight::Sight,
};

/// One module.
pub(super) fn module(crm: &Crm, module: Module) -> Value {
    let (name, one) = (module.name(), singular(module));
    let is_tab = module != Module::Notes;
    let place = Module::ROUTED.iter().position(|other| *other == module);
    let profiles: Vec<Value> = User::profiles(&crm.org).into();
    json!({
        "id": module_id(crm, module),
        "api_name": name,
        "module_name": name,
        "plural_label": name,
        "actual_plural_label": name,
        "singular_label": one,
        "actual_singular_label": one,
        "api_supported": true,
        "creatable": true,
        "editable": true,
        "viewable": true,
        "deletable": true,
        "recycle_bin_on_delete": true,
        "global_search_supported": true,
        "lookupable": is_tab,
        "quick_create": is_tab,
        "show_as_tab": is_tab,
        "presence_sub_menu": is_tab,
        "sub_menu_available": is_tab,
        "isBlueprintSupported": is_tab,
        "convertable": module == Module::Leads,
        "feeds_required": false,
        "public_fields_configured": false,
        "has_more_profiles": false,
        "profile_count": profiles.len(),
        "profiles": profiles,
        "private_profile": null,
        "access_type": "org_based",
        "sequence_number": place.map(|place| place + 1),
        "visibility": 1,
        "business_card_field_limit": 5,
        "parent_module": {},
        "arguments": [],
        "description": null,
        "web_link": null,
        "modified_by": null,
        "modified_time": null,
        "generated_type": "default",
        "status": if is_tab { "visible" } else { "system_hidden" },
    })
}

/// The one layout of a module, with the fields that are seen.
pub(super) fn layout(crm: &Crm, module: Module, sight: &Sight) -> Value {
    let seen = module.fields();
    let seen = seen.filter(|field| !sight.hides(module, field.name));
    let fields: Vec<Value> = seen.map(|one| field(crm, module, one)).collect();
    let label = format!("{} Information", singular(module));
    let section = json!({
        "id": crm.org.fixed(92_001 + module as u64).to_string(),
        "name": label,
        "api_name": label.replace(' ', "_"),
        "display_label": label,
        "type": "used",
        "generated_type": "default",
        "isSubformSection": false,
        "sequence_number": 1,
        "column_count": 2,
        "tab_traversal": "left_to_right",
        "fields": fields,
    });
    json!({
        "id": layout_id(crm, module).to_string(),
        "name": "Standard",
        "api_name": "Standard",
        "display_label": "Standard",
        "status": "active",
        "visible": true,
        "generated_type": "system",
        "source": "crm",
        "has_more_profiles": false,
        "profiles": User::profiles(&crm.org),
        "created_by": null,
        "created_for": null,
        "created_time": null,
        "modified_by": null,
        "modified_time": null,
        "convert_mapping": null,
        "sections": [section],
    })
}

/// One field.
pub(super) fn field(crm: &Crm, module: Module, field: &Field) -> Value {
    let target = match field.kind {
        Kind::Lookup(target) if target != Module::Users => json!({
            "display_label": module.name(),
            "api_name": null,
            "module": {"api_name": target.name(), "id": module_id(crm, target)},
        }),
        _ => json!({}),
    };
    let writable = !field.read_only;
    let label = match (field.name, module) {
        ("Owner", Module::Events) => "Host".to_owned(),
        ("Owner", _) => format!("{} Owner", singular(module)),
        _ => field.label(),
    };
    let said = json!({
        "id": field_id(crm, module, field),
        "api_name": field.name,
        "field_label": label,
        "display_label": label,
        "data_type": field.kind.data_type(),
        "json_type": field.kind.json_type(),
        "length": field.kind.length(),
        "system_mandatory": field.mandatory,
        "required": field.mandatory,
        "read_only": field.read_only,
        "field_read_only": field.read_only,
        "view_type": {"view": true, "edit": writable, "create": writable, "quick_create": field.mandatory},
        "operation_type": {"api_create": writable, "api_update": writable, "web_create": writable, "web_update": writable},
        "lookup": target,
        "pick_list_values": choices(crm, field),
        "display_field": field.name == module.title(),
        "searchable": field.kind.is_textual() || field.name == "Owner",
        "filterable": field.kind.is_searched(),
        "sortable": field.kind.is_searched(),
        "mass_update": writable,
    });
    let mut all: Map<String, Value> = usual();
    all.extend(said.as_object().cloned().unwrap_or_default());
    if field.kind == Kind::Currency {
        all.insert("decimal_place".to_owned(), json!(2));
        let currency = json!({"rounding_option": "normal", "precision": 2});
        all.insert("currency".to_owned(), currency);
    }
    Value::Object(all)
}

/// What is said of every field.
fn usual() -> Map<String, Value> {
    let nothing = [
        "associated_module",
        "created_time",
        "modified_time",
        "decimal_place",
        "external",
        "global_picklist",
        "parent_field",
        "private",
        "tooltip",
    ];
    let empty = [
        "auto_number",
        "currency",
        "formula",
        "multi_module_lookup",
        "multiselectlookup",
        "rollup_summary",
        "unique",
    ];
    let rest = json!({
        "type": "used",
        "created_source": "default",
        "display_type": -1,
        "webhook": true,
        "visible": true,
        "custom_field": false,
        "separator": false,
        "virtual_field": false,
        "enable_colour_code": false,
        "history_tracking_enabled": false,
        "pick_list_values_sorted_lexically": false,
    });
    let nothing = nothing.map(|name| (name.to_owned(), Value::Null));
    let empty = empty.map(|name| (name.to_owned(), json!({})));
    let rest = rest.as_object().cloned().unwrap_or_default();
    nothing.into_iter().chain(empty).chain(rest).collect()
}

fn choices(crm: &Crm, field: &Field) -> Vec<Value> {
    let row = |at: usize, value: &str| {
        json!({
            "display_value": value,
            "actual_value": value,
            "reference_value": value,
            "id": stage_id(crm, at),
            "sequence_number": at + 1,
            "type": "used",
        })
    };
    let stage = |(at, stage): (usize, &picklist::StageRow)| {
        let mut row = row(at, stage.actual);
        if let Some(row) = row.as_object_mut() {
            let usage = if stage.used { "used" } else { "unused" };
            row.insert("display_value".to_owned(), json!(stage.shown));
            row.insert("type".to_owned(), json!(usage));
            row.insert("probability".to_owned(), json!(stage.probability));
            row.insert("forecast_category".to_owned(), json!(stage.category));
            row.insert("forecast_type".to_owned(), json!(stage.outcome));
            row.insert("deal_category".to_owned(), json!(stage.outcome));
        }
        row
    };
    match field.kind {
        Kind::Pick(_) if field.name == "Stage" => {
            crm.stages.rows().iter().enumerate().map(stage).collect()
        }
        Kind::Pick(values) => {
            let values = values.iter().enumerate();
            values.map(|(at, value)| row(at, value)).collect()
        }
        _ => Vec::new(),
    }
}

/// The stages of the one pipeline.
pub(super) fn stages(crm: &Crm) -> Vec<Value> {
    let category = |name: &str| match name {
        "Pipeline" => 5_901,
        "Closed" => 5_902,
        _ => 5_903,
    };
    let row = |(at, stage): (usize, &picklist::StageRow)| {
        let category = crm.org.fixed(category(stage.category)).to_string();
        json!({
            "id": stage_id(crm, at),
            "display_value": stage.shown,
            "actual_value": stage.actual,
            "sequence_number": at + 1,
            "forecast_category": {"name": stage.category, "id": category},
            "forecast_type": stage.outcome,
            "delete": false,
        })
    };
    let offered = crm.stages.rows().iter().filter(|stage| stage.used);
    offered.enumerate().map(row).collect()
}

fn stage_id(crm: &Crm, at: usize) -> String {
    crm.org.fixed(6_811 + at as u64).to_string()
}

fn singular(module: Module) -> &'static str {
    let name = module.name();
    name.strip_suffix('s').unwrap_or(name)
}
