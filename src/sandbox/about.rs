//! What the CRM says about itself: users, the org, the pipeline, the fields.

use serde_json::{Value, json};

use super::{
    answer::Answer,
    cell::Id,
    describe,
    org::User,
    problem::Problem,
    read::Reader,
    render::{layout_id, module_id, own},
    schema::Module,
};

impl Reader<'_> {
    /// `GET /users?type=…`.
    pub(super) fn users(&self) -> Result<Answer, Problem> {
        let wanted = self.wanted_users()?;
        let (page, size) = (
            self.number("page", 1, 1_000_000)?,
            self.number("per_page", 200, 200)?,
        );
        let all: Vec<Value> = wanted.iter().map(|user| self.asked_of(user)).collect();
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
        self.asks_for_no_lookup()?;
        let ids = self.asked("ids").map(|ids| ids.split(',').map(str::parse));
        let ids: Option<Vec<Id>> = ids
            .map(Iterator::collect::<Result<_, _>>)
            .transpose()
            .map_err(|_| Problem::bad_param("ids"))?;
        let sort = self.asked("type__s").unwrap_or(User::TYPE);
        let wanted = self.crm.users.iter().filter(|user| match kind {
            "CurrentUser" => user.id == self.user.id,
            "ActiveUsers" | "ActiveConfirmedUsers" => user.active,
            "AdminUsers" | "ActiveConfirmedAdmins" => user.active && user.administrator,
            "DeactiveUsers" | "NotConfirmedUsers" => !user.active,
            // Nobody here has few rights for little money.
            "DeletedUsers" | "ActiveLiteUser" => false,
            "ConfirmedUsers" | "ConfirmedReportingUsers" => user.active,
            _ => true,
        });
        if !USER_TYPES.contains(&kind) {
            return Err(Problem::bad_param("type"));
        }
        let is_named = |user: &&User| ids.as_ref().is_none_or(|ids| ids.contains(&user.id));
        Ok(wanted
            .filter(is_named)
            .filter(|_| sort == User::TYPE)
            .collect())
    }

    /// No lookup of users has criteria here, so that there is no query of one.
    fn asks_for_no_lookup(&self) -> Result<(), Problem> {
        let query = json!({"param_name": "query_id"});
        match (self.asked("query_id"), self.asked("child_data")) {
            (Some(_), _) => Err(Problem::bad("INVALID_DATA", query, "Invalid queryId")),
            (None, Some(_)) => {
                let details =
                    json!({"dependee": {"param_name": "child_data"}, "param_name": "query_id"});
                let message = "Dependent Param missing";
                Err(Problem::bad("DEPENDENT_PARAM_MISSING", details, message))
            }
            (None, None) => Ok(()),
        }
    }

    /// The fields of a user that were asked for.
    fn asked_of(&self, user: &User) -> Value {
        let mut shown = self.shown_user(user);
        if let (Some(names), Some(shown)) = (self.asked("fields"), shown.as_object_mut()) {
            let names: Vec<&str> = names.split(',').map(str::trim).collect();
            shown.retain(|name, _| name == "id" || names.contains(&name.as_str()));
        }
        shown
    }

    /// Of how the pages look to them only the users themselves are told.
    fn shown_user(&self, user: &User) -> Value {
        match user.id == self.user.id {
            true => user.shown_to_self(self.crm),
            false => user.shown(self.crm),
        }
    }

    /// `GET /users/{id}`.
    pub(super) fn one_user(&self, id: Id) -> Answer {
        self.crm.user(id).map_or_else(Answer::empty, |user| {
            Answer::ok(json!({"users": [self.shown_user(user)]}))
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
            Some(asked) if asked != layout => {
                return Err(Problem {
                    message: "Invalid layoutid".into(),
                    ..Problem::bad_param("layout_id")
                });
            }
            Some(_) => {}
        }
        Ok(Answer::ok(json!({"pipeline": [{
            "id": self.crm.org.fixed(6_801).to_string(),
            "display_value": "Standard (Standard)",
            "actual_value": "Standard (Standard)",
            "default": true,
            "child_available": false,
            "parent": null,
            "maps": describe::stages(self.crm),
        }]})))
    }

    /// `GET /settings/layouts?module=…`, which is where a client learns the id that a pipeline needs.
    pub(super) fn layouts(&self) -> Result<Answer, Problem> {
        if self.query.get("module").is_none() {
            return Err(Problem::expected_param("module"));
        }
        let module = self.asked_module()?;
        let layout = describe::layout(self.crm, module, &self.sight);
        Ok(Answer::ok(json!({"layouts": [layout]})))
    }

    /// `GET /settings/modules?status=…`.
    pub(super) fn modules(&self) -> Result<Answer, Problem> {
        let asked: Vec<&str> = match self.asked("status") {
            Some(asked) => asked.split(',').collect(),
            None => MODULE_STATUSES.to_vec(),
        };
        let unknown = asked.iter().position(|it| !MODULE_STATUSES.contains(it));
        if let Some(at) = unknown {
            let details =
                json!({"index": at, "supported_values": MODULE_STATUSES, "param_name": "status"});
            let message = "The status given is invalid.";
            return Err(Problem::bad("INVALID_DATA", details, message));
        }
        if self.query.get("feature_name") == Some("") {
            let message = "the given feature name is invalid";
            return Err(Problem::bad("INVALID_DATA", json!({}), message));
        }
        let rows = Module::ROUTED.map(|one| describe::module(self.crm, one));
        let is_asked = |row: &&Value| row["status"].as_str().is_some_and(|it| asked.contains(&it));
        let rows: Vec<&Value> = rows.iter().filter(is_asked).collect();
        if rows.is_empty() {
            return Ok(Answer::empty());
        }
        Ok(Answer::ok(json!({"modules": rows})))
    }

    /// `GET /settings/modules/{module}`, which may be its name or its id.
    pub(super) fn one_module(&self, name: &str) -> Result<Answer, Problem> {
        let is_meant =
            |module: &Module| module.name() == name || module_id(self.crm, *module) == name;
        let module = Module::ROUTED.into_iter().find(is_meant);
        let module = module.ok_or_else(|| Problem::unknown_module_at(0))?;
        let mut shown = describe::module(self.crm, module);
        // What a list of modules leaves out.
        let more = json!({
            "$properties": own::names(module).collect::<Vec<_>>(),
            "$field_states": null,
            "$on_demand_properties": null,
            "per_page": 50,
            "filter_status": true,
            "kanban_view": false,
            "kanban_view_supported": true,
            "chart_view": false,
            "chart_view_supported": true,
        });
        if let (Some(shown), Value::Object(more)) = (shown.as_object_mut(), more) {
            shown.extend(more);
        }
        Ok(Answer::ok(json!({"modules": [shown]})))
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
            .map(|field| describe::field(self.crm, module, field))
            .collect();
        Ok(Answer::ok(json!({"fields": fields})))
    }

    pub(super) fn asked_module(&self) -> Result<Module, Problem> {
        let name = self
            .query
            .get("module")
            .ok_or_else(|| Problem::missing_param("module"))?;
        Module::parse(name).ok_or_else(Problem::unknown_module)
    }
}

const USER_TYPES: &[&str] = &[
    "AllUsers",
    "ActiveUsers",
    "DeactiveUsers",
    "ConfirmedUsers",
    "ConfirmedReportingUsers",
    "ActiveAndDeactive",
    "ActiveLiteUser",
    "NotConfirmedUsers",
    "DeletedUsers",
    "ActiveConfirmedUsers",
    "AdminUsers",
    "ActiveConfirmedAdmins",
    "CurrentUser",
];
const MODULE_STATUSES: &[&str] = &[
    "visible",
    "user_hidden",
    "system_hidden",
    "scheduled_for_deletion",
];
