//! What the CRM says about itself: users, the org, the pipeline, the fields.

use serde_json::{Value, json};

use super::{
    answer::Answer,
    cell::Id,
    org::User,
    picklist,
    problem::Problem,
    read::Reader,
    render::{field_id, layout_id, module_id},
    schema::{Field, Kind, Module},
};

impl Reader<'_> {
    /// `GET /users?type=…`.
    pub(super) fn users(&self) -> Result<Answer, Problem> {
        let wanted = self.wanted_users()?;
        let (page, size) = (
            self.number("page", 1, 1_000_000)?,
            self.number("per_page", 200, 200)?,
        );
        let all: Vec<Value> = wanted.iter().map(|user| user.shown(self.crm)).collect();
        let rows: Vec<&Value> = all.iter().skip((page - 1) * size).take(size).collect();
        if rows.is_empty() {
            return Ok(Answer::empty());
        }
        let info = json!({"per_page": size, "count": rows.len(), "page": page, "more_records": all.len() > page * size});
        Ok(Answer::ok(json!({"users": rows, "info": info})))
    }

    /// `GET /users/actions/count?type=…`.
    pub(super) fn count_users(&self) -> Result<Answer, Problem> {
        let count = self.wanted_users()?.len();
        Ok(Answer::ok(json!({"count": count})))
    }

    fn wanted_users(&self) -> Result<Vec<&User>, Problem> {
        let kind = self.query.get("type").unwrap_or("AllUsers");
        let wanted = self.crm.users.iter().filter(|user| match kind {
            "CurrentUser" => user.id == self.user.id,
            "ActiveUsers" | "ActiveConfirmedUsers" => user.active,
            "AdminUsers" | "ActiveConfirmedAdmins" => user.active && user.administrator,
            "DeactiveUsers" | "NotConfirmedUsers" => !user.active,
            "DeletedUsers" => false,
            "ConfirmedUsers" => user.active,
            _ => true,
        });
        if !USER_TYPES.contains(&kind) {
            return Err(Problem::bad_param("type"));
        }
        Ok(wanted.collect())
    }

    /// `GET /users/{id}`.
    pub(super) fn one_user(&self, id: Id) -> Answer {
        self.crm.user(id).map_or_else(Answer::empty, |user| {
            Answer::ok(json!({"users": [user.shown(self.crm)]}))
        })
    }

    /// `GET /org`.
    pub(super) fn org(&self) -> Answer {
        Answer::ok(self.crm.org.shown(self.crm))
    }

    /// `GET /settings/pipeline?layout_id=…`.
    pub(super) fn pipeline(&self) -> Result<Answer, Problem> {
        let layout = layout_id(self.crm, Module::Deals).to_string();
        match self.query.get("layout_id") {
            None => return Err(Problem::missing_param("layout_id")),
            Some(asked) if asked != layout => return Err(Problem::bad_param("layout_id")),
            Some(_) => {}
        }
        let stages = self.crm.stages.rows().iter().filter(|stage| stage.used);
        let stages: Vec<Value> = stages
            .enumerate()
            .map(|(at, stage)| {
                json!({
                    "id": self.stage_id(at),
                    "display_value": stage.shown,
                    "actual_value": stage.actual,
                    "sequence_number": at + 1,
                    "forecast_category": {"name": stage.category, "id": self.crm.org.fixed(5_901).to_string()},
                    "forecast_type": stage.outcome,
                    "colour_code": null,
                    "delete": false,
                })
            })
            .collect();
        Ok(Answer::ok(json!({"pipeline": [{
            "id": self.crm.org.fixed(6_801).to_string(),
            "display_value": "Standard (Standard)",
            "actual_value": "Standard (Standard)",
            "default": true,
            "child_available": false,
            "parent": null,
            "maps": stages,
        }]})))
    }

    /// `GET /settings/layouts?module=…`, which is where a client learns the id that a pipeline needs.
    pub(super) fn layouts(&self) -> Result<Answer, Problem> {
        let module = self.asked_module()?;
        Ok(Answer::ok(json!({"layouts": [{
            "id": layout_id(self.crm, module).to_string(),
            "name": "Standard",
            "api_name": "Standard",
            "display_label": "Standard",
            "status": "active",
            "visible": true,
            "generated_type": "default",
            "sections": [],
        }]})))
    }

    /// `GET /settings/modules`, or one of them.
    pub(super) fn modules(&self, modules: &[Module]) -> Answer {
        let rows = modules.iter().map(|module| {
            json!({
                "id": module_id(self.crm, *module),
                "api_name": module.name(),
                "module_name": module.name(),
                "plural_label": module.name(),
                "singular_label": module.name().trim_end_matches('s'),
                "api_supported": true,
                "creatable": true,
                "editable": true,
                "viewable": true,
                "deletable": true,
                "generated_type": "default",
                "status": "visible",
            })
        });
        Answer::ok(json!({"modules": rows.collect::<Vec<_>>()}))
    }

    /// `GET /settings/fields?module=…`: those that the user sees.
    pub(super) fn fields_of(&self) -> Result<Answer, Problem> {
        let module = self.asked_module()?;
        match self.asked("type") {
            None | Some("all") => {}
            // Every field is on its module's one layout.
            Some("unused") => return Ok(Answer::empty()),
            Some(_) => return Err(Problem::bad_param("type")),
        }
        let fields: Vec<Value> = module
            .fields()
            .filter(|field| !self.sight.hides(module, field.name))
            .map(|field| self.field(module, field))
            .collect();
        Ok(Answer::ok(json!({"fields": fields})))
    }

    pub(super) fn asked_module(&self) -> Result<Module, Problem> {
        let name = self
            .query
            .get("module")
            .ok_or_else(|| Problem::missing_param("module"))?;
        Module::parse(name).ok_or_else(|| {
            Problem::bad(
                "INVALID_MODULE",
                json!({"param_name": "module"}),
                "the module name given seems to be invalid",
            )
        })
    }

    fn field(&self, module: Module, field: &Field) -> Value {
        let target = match field.kind {
            Kind::Lookup(target) if target != Module::Users => json!({
                "display_label": module.name(),
                "api_name": null,
                "module": {"api_name": target.name(), "id": module_id(self.crm, target)},
            }),
            _ => json!({}),
        };
        json!({
            "id": field_id(self.crm, module, field),
            "api_name": field.name,
            "field_label": field.label(),
            "display_label": field.label(),
            "data_type": field.kind.data_type(),
            "json_type": field.kind.json_type(),
            "length": field.kind.length(),
            "system_mandatory": field.mandatory,
            "read_only": field.read_only,
            "field_read_only": field.read_only,
            "custom_field": false,
            "visible": true,
            "view_type": {
                "view": true,
                "edit": !field.read_only,
                "create": !field.read_only,
                "quick_create": field.mandatory,
            },
            "operation_type": {
                "api_create": !field.read_only,
                "api_update": !field.read_only,
                "web_create": !field.read_only,
                "web_update": !field.read_only,
            },
            "lookup": target,
            "pick_list_values": self.choices(field),
        })
    }

    fn choices(&self, field: &Field) -> Vec<Value> {
        let stages: Vec<&str>;
        let values = match field.kind {
            Kind::Pick(_) if field.name == "Stage" => {
                let rows = self.crm.stages.rows().iter();
                stages = rows.map(|stage| stage.actual).collect();
                stages.as_slice()
            }
            Kind::Pick(values) => values,
            _ => return Vec::new(),
        };
        let row = |(at, value): (usize, &&str)| {
            let mut row = json!({
                "display_value": value,
                "actual_value": value,
                "reference_value": value,
                "id": self.stage_id(at),
                "sequence_number": at + 1,
                "type": "used",
            });
            let stage = picklist::stage(value).filter(|_| field.name == "Stage");
            if let (Some(stage), Some(row)) = (stage, row.as_object_mut()) {
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
        values.iter().enumerate().map(row).collect()
    }

    fn stage_id(&self, at: usize) -> String {
        self.crm.org.fixed(6_811 + at as u64).to_string()
    }
}

const USER_TYPES: &[&str] = &[
    "AllUsers",
    "ActiveUsers",
    "DeactiveUsers",
    "ConfirmedUsers",
    "NotConfirmedUsers",
    "DeletedUsers",
    "ActiveConfirmedUsers",
    "AdminUsers",
    "ActiveConfirmedAdmins",
    "CurrentUser",
];
