//! What the CRM says about itself: users, the org, the pipeline, the fields.

use serde_json::{Value, json};

use super::{
    answer::Answer, cell::Id, describe, org::User, problem::Problem, read::Reader,
    render::layout_id, schema::Module,
};

impl Reader<'_> {
    /// `GET /users?type=…`.
    pub(super) fn users(&self) -> Result<Answer, Problem> {
        let wanted = self.wanted_users()?;
        let (page, size) = (
            self.number("page", 1, 1_000_000)?,
            self.number("per_page", 200, 200)?,
        );
        let all: Vec<Value> = wanted.iter().map(|user| self.shown_user(user)).collect();
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

    /// `GET /settings/modules`, or one of them.
    pub(super) fn modules(&self, modules: &[Module]) -> Answer {
        let rows = modules.iter();
        let rows: Vec<Value> = rows.map(|one| describe::module(self.crm, *one)).collect();
        Answer::ok(json!({"modules": rows}))
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
    "NotConfirmedUsers",
    "DeletedUsers",
    "ActiveConfirmedUsers",
    "AdminUsers",
    "ActiveConfirmedAdmins",
    "CurrentUser",
];
