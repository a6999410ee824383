//! Which request goes where below `/crm/v8`.

use super::{cell::Id, problem::Problem, schema::Module};

/// A request's destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Search(Module),
    Count(Module),
    List(Module),
    One(Module, Id),
    Related(Module, Id, String),
    OneRelated(Module, Id, String, Id),
    Timeline(Module, Id),
    Users,
    User(Id),
    CountUsers,
    Org,
    Pipeline,
    Layouts,
    Modules,
    /// By its name, or by its id.
    OneModule(String),
    Fields,
    CustomViews,
    RelatedLists,
    /// One of what a route of `settings` lists.
    OneOf(Box<Route>, Id),
    RelatedCounts(Module, Id),
    Deleted(Module),
    Coql,
    Insert(Module),
    InsertNote(Module, Id),
    /// What becomes of a note, below the record that it stands below.
    NoteBelow(Module, Id, Id, Asks),
    Update(Module, Option<Id>),
    Upsert(Module),
    /// Of the ids in the query, or of one.
    Delete(Module, Option<Id>),
    Locks(Module, Id),
    OneLock(Module, Id, Id),
    Lock(Module, Id),
    Relock(Module, Id, Id),
    Unlock(Module, Id, Id),
}

/// What is asked for one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    Change,
    Removal,
}

/// The route of a method and a path.
pub(super) fn find(method: &str, path: &str) -> Result<Route, Problem> {
    let below = path
        .strip_prefix("/crm/v8/")
        .ok_or_else(Problem::unknown_route)?;
    let parts: Vec<&str> = below.split('/').collect();
    let get = method == "GET";
    let read = |route| {
        if get {
            Ok(route)
        } else {
            Err(Problem::wrong_method())
        }
    };
    match parts.as_slice() {
        [] | [""] => Err(Problem::unknown_route()),
        ["coql"] if method == "POST" => Ok(Route::Coql),
        ["coql"] => Err(Problem::wrong_method()),
        ["org"] => read(Route::Org),
        ["users"] => read(Route::Users),
        ["users" | "Users", "actions", "count"] => read(Route::CountUsers),
        ["users", id] => read(Route::User(id.parse().map_err(|_| Problem::bad_id_at(1))?)),
        ["settings", "pipeline"] => read(Route::Pipeline),
        ["settings", "layouts"] => read(Route::Layouts),
        ["settings", "modules"] => read(Route::Modules),
        ["settings", "modules", name] => read(Route::OneModule((*name).to_owned())),
        ["settings", "fields"] => read(Route::Fields),
        ["settings", "custom_views"] => read(Route::CustomViews),
        ["settings", "related_lists"] => read(Route::RelatedLists),
        [
            "settings",
            list @ ("fields" | "layouts" | "custom_views" | "pipeline"),
            id,
        ] => {
            let id = id.parse().map_err(|_| Problem::bad_id_at(2))?;
            read(Route::OneOf(
                Box::new(find(method, &format!("/crm/v8/settings/{list}"))?),
                id,
            ))
        }
        ["settings", ..] => Err(Problem::unknown_route()),
        ["Activities", "actions", "count"] => Err(Problem::not_counted("Activities")),
        [module, rest @ ..] if rest.len() <= 3 => {
            let module = Module::parse(module).ok_or_else(|| match rest {
                ["actions", "count"] | [_, "__timeline"] => Problem::unknown_module_at(1),
                [id, _] | [id, _, _] if get && id.parse::<Id>().is_ok() => Problem {
                    message: "The given module is not supported".into(),
                    ..Problem::unknown_module_at(0)
                },
                _ => Problem::unknown_module_at(0),
            })?;
            below_module(method, module, rest)
        }
        _ => Err(Problem::unknown_route()),
    }
}

fn below_module(method: &str, module: Module, rest: &[&str]) -> Result<Route, Problem> {
    let record = |id: &str| id.parse::<Id>().map_err(|_| Problem::bad_id());
    let parent = |id: &str| id.parse::<Id>().map_err(|_| Problem::bad_parent());
    let child = |id: &str| id.parse::<Id>().map_err(|_| Problem::bad_id_at(3));
    match (method, rest) {
        ("GET", []) => Ok(Route::List(module)),
        ("POST", []) => Ok(Route::Insert(module)),
        ("PUT", []) => Ok(Route::Update(module, None)),
        ("POST", ["upsert"]) => Ok(Route::Upsert(module)),
        ("DELETE", []) => Ok(Route::Delete(module, None)),
        ("GET", ["search"]) => Ok(Route::Search(module)),
        ("GET", ["deleted"]) => Ok(Route::Deleted(module)),
        ("GET", ["actions", "count"]) => Ok(Route::Count(module)),
        ("GET", [id]) => Ok(Route::One(module, record(id)?)),
        ("PUT", [id]) => Ok(Route::Update(
            module,
            Some(id.parse().map_err(|_| Problem::unknown_record())?),
        )),
        ("DELETE", [id]) => Ok(Route::Delete(
            module,
            Some(id.parse().map_err(|_| Problem::bad_deleted())?),
        )),
        ("GET", [id, LOCKS]) => Ok(Route::Locks(module, parent(id)?)),
        ("POST", [id, LOCKS]) => Ok(Route::Lock(module, parent(id)?)),
        ("GET", [id, LOCKS, held]) => Ok(Route::OneLock(
            module,
            parent(id)?,
            held.parse().map_err(|_| Problem::unknown_route())?,
        )),
        ("PUT", [id, LOCKS, held]) => Ok(Route::Relock(module, parent(id)?, child(held)?)),
        ("DELETE", [id, LOCKS, held]) => Ok(Route::Unlock(module, parent(id)?, child(held)?)),
        ("GET", [id, "__timeline"]) => Ok(Route::Timeline(module, record(id)?)),
        ("POST", [id, "actions", COUNTS]) => Ok(Route::RelatedCounts(module, parent(id)?)),
        // One e-mail with its text is not there.
        ("GET", [id, list, one]) if !["actions", "Emails"].contains(list) => {
            let id = id.parse().map_err(|_| Problem::bad_related())?;
            let list = (*list).to_owned();
            Ok(Route::OneRelated(module, id, list, child(one)?))
        }
        (_, [id, "Notes", note]) if module != Module::Notes => {
            let asks = match method {
                "PUT" => Asks::Change,
                "DELETE" => Asks::Removal,
                _ => return Err(Problem::wrong_method()),
            };
            let id = id.parse().map_err(|_| Problem::bad_related())?;
            Ok(Route::NoteBelow(module, id, child(note)?, asks))
        }
        (_, ["actions", "count"] | [_, "actions", COUNTS] | [_, LOCKS, _]) => {
            Err(Problem::wrong_method())
        }
        (_, ["actions", _] | [_, "actions"] | [_, _, _]) => Err(Problem::unknown_route()),
        ("GET", [id, list]) => {
            let id = id.parse().map_err(|_| Problem::bad_related())?;
            Ok(Route::Related(module, id, (*list).to_owned()))
        }
        ("POST", [id, "Notes"]) if module != Module::Notes => {
            Ok(Route::InsertNote(module, parent(id)?))
        }
        ("POST", [_]) => Err(Problem::wrong_method_of_rows()),
        _ => Err(Problem::wrong_method()),
    }
}

/// Whether a request that has no route would have been one whose errors stand in `data[]`.
pub(super) fn wraps(method: &str, path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').skip(3).collect();
    match (method, parts.as_slice()) {
        (_, ["coql" | "org" | "settings" | "users", ..]) => false,
        ("GET", [_, "deleted"]) => true,
        ("POST" | "PUT", [_] | [_, _]) => true,
        _ => false,
    }
}

const COUNTS: &str = "get_related_records_count";
const LOCKS: &str = "Locking_Information__s";

impl Route {
    /// Whether errors stand in `data[]`; those of deletions and locks do where they are of a record.
    pub(super) const fn wraps(&self) -> bool {
        matches!(
            self,
            Self::Insert(_) | Self::InsertNote(..) | Self::Update(..) | Self::Upsert(_)
 // The one read whose errors are documented like those of writes.
 | Self::Deleted(_)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_routes() {
        let id = "6840217000001001001";
        let at = |method, path: &str| find(method, &format!("/crm/v8/{path}"));
        assert_eq!(
            at("GET", "Contacts/search"),
            Ok(Route::Search(Module::Contacts))
        );
        assert_eq!(at("POST", "coql"), Ok(Route::Coql));
        assert!(
            matches!(at("GET", &format!("Deals/{id}/Notes")), Ok(Route::Related(Module::Deals, _, list)) if list == "Notes")
        );
        assert!(matches!(
            at("POST", &format!("Deals/{id}/Notes")),
            Ok(Route::InsertNote(Module::Deals, _))
        ));
        assert_eq!(
            at("GET", "Unicorns/search").unwrap_err().code,
            "INVALID_MODULE"
        );
        assert_eq!(
            at("GET", "Contacts/12").unwrap_err().message,
            "the id given seems to be invalid"
        );
        assert_eq!(
            at("PATCH", "Contacts").unwrap_err().code,
            "INVALID_REQUEST_METHOD"
        );
        assert_eq!(
            at("GET", "coql").unwrap_err().code,
            "INVALID_REQUEST_METHOD"
        );
        assert_eq!(at("GET", "Contacts/1/2/3/4").unwrap_err().status, 404);
        assert_eq!(
            find("GET", "/crm/v7/org").unwrap_err().code,
            "INVALID_URL_PATTERN"
        );
    }
}
