//! Custom views and related lists: what a module has of them, and their counts.

use serde_json::{Value, json};

use super::{
    answer::Answer,
    cell::Id,
    clock::moment,
    criteria,
    crm::{Crm, Lock, Record},
    filter::Filter,
    org::User,
    problem::Problem,
    read::Reader,
    related,
    render::module_id,
    schema::Module,
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
            "locked": false,
            "created_by": null,
            "created_time": null,
            "modified_by": null,
            "modified_time": null,
            "last_accessed_time": null,
        });
        let info = json!({
            "per_page": 200,
            "count": 1,
            "page": 1,
            "default": id,
            "translation": {
                "public_views": "Public Views",
                "other_users_views": "Other User's Views",
                "shared_with_me": "Shared With Me",
                "created_by_me": "Created By Me",
            },
            "more_records": false,
        });
        Ok(Answer::ok(json!({"custom_views": [view], "info": info})))
    }

    /// `GET /settings/related_lists?module=…`.
    pub(super) fn related_lists(&self) -> Result<Answer, Problem> {
        if self.query.get("module").is_none() {
            return Err(Problem::expected_param("module"));
        }
        let module = self.asked_module().map_err(|unknown| Problem {
            details: json!({"param_name": "module"}),
            ..unknown
        })?;
        let lists = match self.asked("status") {
            None | Some("visible") => related::lists(module),
            Some("user_hidden" | "scheduled_for_deletion") => &[],
            Some(_) => {
                let supported = ["visible", "user_hidden", "scheduled_for_deletion"];
                let details = json!({"param_name": "status", "supported_values": supported});
                let message = "The status given is invalid.";
                return Err(Problem::bad("INVALID_DATA", details, message));
            }
        };
        if lists.is_empty() {
            return Ok(Answer::empty());
        }
        let row = |(at, name): (usize, &&str)| {
            let shown = related::shows(module, name);
            json!({
                "id": self.list_id(module, at),
                "api_name": name,
                "name": name,
                "display_label": name,
                "href": format!("{}/{{ENTITYID}}/{name}", module.name()),
                "sequence_number": (at + 1).to_string(),
                "action": null,
                "type": "default",
                "status": "visible",
                "customize_sort": true,
                "customize_fields": true,
                "customize_display_label": true,
                "parent_related_lists": null,
                "module": shown.map(|shown| json!({
                    "api_name": shown.name(),
                    "id": module_id(self.crm, shown),
                })),
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
        let parent = self.record(module, id).ok_or_else(Problem::bad_parent)?;
        let Some(asked) = body.get(COUNTS).and_then(Value::as_array) else {
            let details = json!({"api_name": COUNTS, "json_path": format!("$.{COUNTS}")});
            let missing = Problem::bad("MANDATORY_NOT_FOUND", details, "required field not found");
            return Ok(Answer {
                status: 400,
                ..Answer::ok(json!({COUNTS: [missing.body()]}))
            });
        };
        let counted = asked.iter().enumerate().map(|(at, row)| {
            let list = self.counted_list(module, at, row)?;
            let mut below = self.below(module, parent, list.1);
            if let Some(filters) = row.pointer("/params/filters") {
                let filter = self.counted_part(module, list.1, at, filters)?;
                below.retain(|(module, record)| filter.accepts(self.onlooker(), *module, record));
            }
            Ok((list, below.len()))
        });
        let counted: Vec<Result<_, Problem>> = counted.collect();
        let status = match counted.iter().filter(|row| row.is_err()).count() {
            0 => 200,
            failed if failed == counted.len() => 400,
            _ => 207,
        };
        let rows = counted.into_iter().map(|row| match row {
            Err(problem) => problem.body(),
            Ok(((place, name), count)) => json!({
                "related_list": {"api_name": name, "id": self.list_id(module, place)},
                "count": count,
            }),
        });
        let rows: Vec<Value> = rows.collect();
        Ok(Answer {
            status,
            ..Answer::ok(json!({COUNTS: rows}))
        })
    }

    /// Which records of a list are to be counted; only lists of one module have such.
    fn counted_part(
        &self,
        module: Module,
        list: &str,
        at: usize,
        filters: &Value,
    ) -> Result<Filter, Problem> {
        let path = format!("$.{COUNTS}[{at}].params.filters");
        let shown = related::shows(module, list).ok_or_else(|| {
            let details = json!({"expected_data_type": "json_type", "api_name": "filters", "json_path": path});
            let message = "Filters are not supported for this modules";
            Problem::bad("NOT_SUPPORTED", details, message)
        })?;
        let filter = criteria::json::read(shown, filters).ok_or_else(|| {
            let details = json!({"api_name": "filters", "json_path": path});
            Problem::bad("INVALID_DATA", details, "invalid data")
        })?;
        self.readable(shown, filter)
    }

    /// The list that is to be counted, by its name, its id or both.
    fn counted_list(
        &self,
        module: Module,
        at: usize,
        row: &Value,
    ) -> Result<(usize, &'static str), Problem> {
        let path = format!("$.{COUNTS}[{at}].related_list");
        let part = |name: &str| json!({"api_name": name, "json_path": format!("{path}.{name}")});
        let list = row.get("related_list").ok_or_else(|| {
            let details = json!({"api_name": "related_list", "json_path": path});
            Problem::bad("MANDATORY_NOT_FOUND", details, "required field not found")
        })?;
        let lists = related::lists(module).iter().copied().enumerate();
        let lists: Vec<(usize, &str)> = lists.collect();
        let found = |key: &str, is: &dyn Fn(usize, &str) -> bool| {
            let mut lists = lists.iter();
            let found = lists.find(|(place, name)| is(*place, name)).copied();
            let message = "Given related_list is invalid";
            found.ok_or_else(|| Problem::bad("INVALID_DATA", part(key), message))
        };
        let text = |key: &str| list.get(key).and_then(Value::as_str);
        let by_id = text("id").map(|id| found("id", &|place, _| self.list_id(module, place) == id));
        let by_name = text("api_name").map(|asked| found("api_name", &|_, name| name == asked));
        match (by_id.transpose()?, by_name.transpose()?) {
            (None, None) => {
                let details = json!({"expected_fields": [part("api_name"), part("id")]});
                let message = "Specify atleast one field";
                Err(Problem::bad("EXPECTED_FIELD_MISSING", details, message))
            }
            (Some(one), Some(other)) if one != other => {
                let details = json!({"ambiguity_due_to": [part("id"), part("api_name")]});
                let message = "Ambiguity while processing the request";
                Err(Problem::bad(
                    "AMBIGUITY_DURING_PROCESSING",
                    details,
                    message,
                ))
            }
            (Some(list), _) | (None, Some(list)) => Ok(list),
        }
    }

    /// `GET /{module}/{id}/Locking_Information__s`: the lock of a record, if it has one.
    pub(super) fn locks(&self, module: Module, id: Id) -> Result<Answer, Problem> {
        let record = self.record(module, id).ok_or_else(Problem::bad_parent)?;
        let Some(lock) = self.crm.locks.get(&id) else {
            return Ok(Answer::empty());
        };
        let shown = self.lock(module, record, lock);
        let info = json!({"per_page": 200, "count": 1, "page": 1, "more_records": false});
        Ok(Answer::ok(json!({"data": [shown], "info": info})))
    }

    /// `GET /{module}/{id}/Locking_Information__s/{lock}`.
    pub(super) fn one_lock(&self, module: Module, id: Id, lock: Id) -> Result<Answer, Problem> {
        let record = self.record(module, id).ok_or_else(Problem::bad_parent)?;
        let held = self.crm.locks.get(&id).filter(|held| held.id == lock);
        let Some(held) = held else {
            return Ok(Answer::empty());
        };
        let shown = self.lock(module, record, held);
        Ok(Answer::ok(json!({"data": [shown]})))
    }

    fn lock(&self, module: Module, record: &Record, lock: &Lock) -> Value {
        json!({
            "id": lock.id.to_string(),
            "Locked_By__s": self.crm.user(lock.by).map(User::short),
            "Locked_For__s": {
                "module": {"api_name": module.name(), "id": module_id(self.crm, module)},
                "name": self.crm.title(module, record),
                "id": record.id.to_string(),
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
        })
    }

    /// `GET /{module}/deleted?type=…`: nothing leaves the recycle bin for good.
    pub(super) fn deleted(&self, module: Module) -> Result<Answer, Problem> {
        let kept = match self.asked("type") {
            None | Some("all" | "recycle") => true,
            Some("permanent") => false,
            Some(_) => {
                let message = "Please check whether the input values are correct";
                let details = json!({"param_name": "type"});
                return Err(Problem::bad("PATTERN_NOT_MATCHED", details, message));
            }
        };
        let gone = self.crm.deleted(module);
        let gone = gone.filter(|gone| kept && self.sight.sees(self.crm, module, &gone.record));
        let newer = |at| self.modified_since.is_none_or(|since| at > since);
        let gone = gone.filter(|gone| newer(gone.at));
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
            let since = self.modified_since;
            return Ok(since.map_or_else(Answer::empty, |_| Answer::not_modified()));
        }
        let info = json!({"per_page": size, "count": shown.len(), "page": page, "more_records": rows.len() > page * size});
        Ok(Answer::ok(json!({"data": shown, "info": info})))
    }

    /// Whether a list or a count is of a view; that goes with no other choice of records.
    pub(super) fn is_of_view(
        &self,
        module: Module,
        besides: &[&str],
        message: &'static str,
    ) -> Result<bool, Problem> {
        let Some(view) = self.asked("cvid") else {
            return Ok(false);
        };
        if let Some(other) = besides.iter().find(|name| self.asked(name).is_some()) {
            let params = ["cvid", other].map(|name| json!({"param_name": name}));
            let details = json!({"ambiguity_due_to": params});
            return Err(Problem::bad(
                "AMBIGUITY_DURING_PROCESSING",
                details,
                message,
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

/// What `settings` lists, without all but one of it.
pub(super) fn only(mut listed: Answer, id: Id) -> Answer {
    let parts = listed.body.as_mut().and_then(Value::as_object_mut);
    let Some(parts) = parts else { return listed };
    let id = id.to_string();
    for rows in parts.values_mut().filter_map(Value::as_array_mut) {
        rows.retain(|row| row.get("id").and_then(Value::as_str) == Some(&id));
        if rows.is_empty() {
            return Answer::empty();
        }
    }
    if let Some(info) = parts.get_mut("info").and_then(Value::as_object_mut) {
        info.retain(|name, _| name == "translation");
    }
    listed
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
