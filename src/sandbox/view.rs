//! Custom views and related lists: what a module has of them, and their counts.

use serde_json::{Value, json};

use super::{
    answer::Answer, cell::Id, clock::moment, crm::Crm, org::User, problem::Problem, read::Reader,
    related, render::module_id, schema::Module,
};

impl Reader<'_> {
    /// `GET /settings/custom_views?module=…`. Each module has the one that shows everything.
    pub(super) fn custom_views(&self) -> Result<Answer, Problem> {
        let module = self.asked_module()?;
        let id = everything(self.crm, module).to_string();
        let name = format!("All {}", module.name());
        let view = json!({
            "id": id,
            "name": name,
            "display_value": name,
            "system_name": "ALLVIEWS",
            "system_defined": true,
            "default": true,
            "category": "public_views",
            "favorite": null,
            "access_type": "public",
        });
        let info = json!({
            "per_page": 200,
            "count": 1,
            "page": 1,
            "default": id,
            "more_records": false,
        });
        Ok(Answer::ok(json!({"custom_views": [view], "info": info})))
    }

    /// `GET /settings/related_lists?module=…`.
    pub(super) fn related_lists(&self) -> Result<Answer, Problem> {
        let module = self.asked_module()?;
        let lists = related::lists(module);
        if lists.is_empty() {
            return Ok(Answer::empty());
        }
        let row = |(at, name): (usize, &&str)| {
            json!({
                "id": self.list_id(module, at),
                "api_name": name,
                "name": name,
                "display_label": name,
                "href": format!("{}/{{ENTITYID}}/{name}", module.name()),
                "sequence_number": (at + 1).to_string(),
                "action": null,
                "type": "default",
                "module": {"api_name": related::shows(module, name).map(Module::name)},
            })
        };
        let rows: Vec<Value> = lists.iter().enumerate().map(row).collect();
        Ok(Answer::ok(json!({"related_lists": rows})))
    }

    /// `POST /{module}/{id}/actions/get_related_records_count`.
    pub(super) fn related_counts(
        &self,
        module: Module,
        id: Id,
        body: &[u8],
    ) -> Result<Answer, Problem> {
        let body: Value = serde_json::from_slice(body).map_err(|_| Problem::bad_body())?;
        let asked = body.get(COUNTS).and_then(Value::as_array);
        let asked = asked.ok_or_else(|| {
            let details = json!({"api_name": COUNTS, "json_path": format!("$.{COUNTS}")});
            Problem::bad("MANDATORY_NOT_FOUND", details, "required field not found")
        })?;
        let Some(parent) = self.record(module, id) else {
            return Err(Problem::bad_id());
        };
        let counted = asked.iter().enumerate().map(|(at, list)| {
            let name = list.pointer("/related_list/api_name");
            let name = name.and_then(Value::as_str).unwrap_or_default();
            let lists = related::lists(module);
            let place = lists.iter().position(|known| *known == name);
            let place = place.ok_or_else(|| {
                let path = format!("$.{COUNTS}[{at}].related_list.api_name");
                let details = json!({"api_name": "api_name", "json_path": path});
                Problem::bad("INVALID_DATA", details, "invalid data")
            })?;
            Ok(json!({
                "related_list": {"api_name": name, "id": self.list_id(module, place)},
                "count": self.below(module, parent, name).len(),
            }))
        });
        let counted = counted.collect::<Result<Vec<Value>, Problem>>()?;
        Ok(Answer::ok(json!({COUNTS: counted})))
    }

    /// `GET /{module}/{id}/Locking_Information__s`: the lock of a record, if it has one.
    pub(super) fn locks(&self, module: Module, id: Id) -> Result<Answer, Problem> {
        let record = self.record(module, id).ok_or_else(Problem::bad_parent)?;
        let Some(lock) = self.crm.locks.get(&id) else {
            return Ok(Answer::empty());
        };
        let shown = json!({
            "id": lock.id.to_string(),
            "Locked_By__s": self.crm.user(lock.by).map(User::short),
            "Locked_For__s": {
                "module": {"api_name": module.name(), "id": module_id(self.crm, module)},
                "name": self.crm.title(module, record),
                "id": id.to_string(),
            },
            "Locked_Reason__s": lock.reason,
            "Locked_Time__s": moment(lock.at, self.zone()),
            "Lock_Source__s": "Manual",
            "Feature_Type__s": "record_locking",
            "Record_Locking_Rule_Id__s": null,
            "Record_Locking_Configuration_Id__s": self.crm.org.fixed(7_301).to_string(),
            "$editable": true,
            "$field_states": null,
            "$sharing_permission": "full_access",
            "$zia_visions": null,
        });
        let info = json!({"per_page": 200, "count": 1, "page": 1, "more_records": false});
        Ok(Answer::ok(json!({"data": [shown], "info": info})))
    }

    /// `GET /{module}/deleted?type=…`: nothing leaves the recycle bin for good.
    pub(super) fn deleted(&self, module: Module) -> Result<Answer, Problem> {
        let kept = match self.asked("type") {
            None | Some("all" | "recycle") => true,
            Some("permanent") => false,
            Some(_) => return Err(Problem::bad_param("type")),
        };
        let gone = self.crm.deleted(module);
        let gone = gone.filter(|gone| kept && self.sight.sees(self.crm, module, &gone.record));
        let rows: Vec<Value> = gone
            .map(|gone| {
                let user = |id| self.crm.user(id).map(User::short);
                json!({
                    "deleted_by": user(gone.by),
                    "id": gone.record.id.to_string(),
                    "display_name": self.crm.title(module, &gone.record),
                    "type": "recycle",
                    "created_by": gone.record.points_at("Created_By").and_then(user),
                    "deleted_time": moment(gone.at, self.zone()),
                })
            })
            .collect();
        let (page, size) = (
            self.number("page", 1, 1_000_000)?,
            self.number("per_page", 200, 200)?,
        );
        let shown: Vec<&Value> = rows.iter().skip((page - 1) * size).take(size).collect();
        if shown.is_empty() {
            return Ok(Answer::empty());
        }
        let info = json!({"per_page": size, "count": shown.len(), "page": page, "more_records": rows.len() > page * size});
        Ok(Answer::ok(json!({"data": shown, "info": info})))
    }

    /// Whether a list or a count is of a view; that goes with no other choice of records.
    pub(super) fn is_of_view(&self, module: Module, besides: &[&str]) -> Result<bool, Problem> {
        let Some(view) = self.asked("cvid") else {
            return Ok(false);
        };
        if let Some(other) = besides.iter().find(|name| self.asked(name).is_some()) {
            let params = ["cvid", other].map(|name| json!({"param_name": name}));
            let details = json!({"ambiguity_due_to": params});
            return Err(Problem::bad(
                "AMBIGUITY_DURING_PROCESSING",
                details,
                "ambiguity while processing the request",
            ));
        }
        match view.parse() {
            Ok(id) if everything(self.crm, module) == id => Ok(true),
            _ => Err(Problem::bad_param("cvid")),
        }
    }

    fn list_id(&self, module: Module, at: usize) -> String {
        let tail = 10_001 + 100 * (module as u64) + at as u64;
        self.crm.org.fixed(tail).to_string()
    }
}

/// The module of a query, which may name a view of it: `Leads#6840217000000087503`.
pub(super) fn queried(crm: &Crm, name: &str) -> String {
    let of_view = name.split_once('#').and_then(|(module, view)| {
        let known = everything(crm, Module::parse(module)?);
        (view.parse() == Ok(known)).then_some(module)
    });
    of_view.unwrap_or(name).to_owned()
}

/// The view of a module that shows all its records.
fn everything(crm: &Crm, module: Module) -> Id {
    crm.org.fixed(87_501 + module as u64)
}

const COUNTS: &str = "get_related_records_count";
