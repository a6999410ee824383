//! OAuth scopes: what a request needs, and whether that was granted.

use super::{
    problem::Problem,
    related::ROLES,
    route::{Asks, Route},
    schema::Module,
};

/// Refuses a request whose scopes were not granted.
pub(super) fn check(route: &Route, granted: &str) -> Result<(), Problem> {
    are_granted(needed(route).into_iter(), granted).map_err(|refused| Problem {
        message: wording(route).into(),
        ..refused
    })
}

/// Each API has its own words for it.
fn wording(route: &Route) -> &'static str {
    match route {
        Route::List(Module::Notes)
        | Route::One(Module::Notes, _)
        | Route::Insert(Module::Notes)
        | Route::Update(Module::Notes, _)
        | Route::Delete(Module::Notes, _) => OUT_OF_SCOPE,
        Route::Search(_)
        | Route::List(_)
        | Route::One(..)
        | Route::Deleted(_)
        | Route::Insert(_)
        | Route::Update(..)
        | Route::Upsert(_)
        | Route::Delete(..) => "Unauthorized",
        Route::Count(_) => "You do not have the scope required to use this API.",
        Route::RelatedCounts(..) => "The access token does not have the required scope",
        Route::Related(_, _, list) | Route::OneRelated(_, _, list, _) if list != "Notes" => {
            "The access token you have used to make this API call does not have the required scope."
        }
        Route::Layouts => "Invalid oauth scope to access this URL",
        Route::OneOf(list, _) => wording(list),
        _ => OUT_OF_SCOPE,
    }
}

const OUT_OF_SCOPE: &str = "invalid oauth scope to access this URL";

/// The same for the modules that a query looks into.
pub(super) fn check_query(
    modules: impl Iterator<Item = Module>,
    meta: bool,
    granted: &str,
) -> Result<(), Problem> {
    let fields = meta.then(|| "ZohoCRM.settings.fields.READ".to_owned());
    let needed = modules.map(|module| format!("ZohoCRM.modules.{}.READ", module.name()));
    are_granted(needed.chain(fields), granted)
}

/// The scopes that a client asks for by itself, as a token names them; none where one is unknown.
pub(super) fn asked(text: &str) -> Option<String> {
    let scopes: Vec<&str> = text.split([',', ' ']).filter(|it| !it.is_empty()).collect();
    let known = !scopes.is_empty() && scopes.iter().all(|scope| is_known(scope));
    known.then(|| scopes.join(" "))
}

fn is_known(scope: &str) -> bool {
    let among = |known: &[&str], name: &str| known.iter().any(|it| name.eq_ignore_ascii_case(it));
    let parts: Vec<&str> = scope.split('.').collect();
    let Some((right, place)) = parts.split_last() else {
        return false;
    };
    let known = match place {
        ["ZohoCRM", "modules" | "settings"] | ["ZohoSearch", "securesearch"] => true,
        ["ZohoCRM", "modules", name] => among(MODULES, name),
        ["ZohoCRM", "settings", name] => among(SETTINGS, name),
        ["ZohoCRM", part] => PARTS.contains(part),
        _ => false,
    };
    known && RIGHTS.contains(right)
}

const PARTS: &[&str] = &["bulk", "coql", "notifications", "org", "send_mail", "users"];
/// What Zoho has scopes for, whether or not this CRM has it.
#[rustfmt::skip]
const MODULES: &[&str] = &[
    "accounts", "activities", "appointments", "approvals", "attachments", "calls", "campaigns", "cases",
    "contacts", "custom", "dashboards", "deals", "emails", "events", "invoices", "leads", "notes",
    "pricebooks", "products", "purchaseorders", "quotes", "salesorders", "search", "services", "solutions",
    "tasks", "users", "vendors",
];
#[rustfmt::skip]
const SETTINGS: &[&str] = &[
    "assignment_rules", "automation", "business_hours", "currencies", "custom_buttons", "custom_links",
    "custom_views", "data_sharing", "email_templates", "fields", "fiscal_year", "global_picklist",
    "holidays", "inventory_templates", "layouts", "macros", "modules", "pipeline", "portals", "profiles",
    "recycle_bin", "related_lists", "roles", "scoring_rules", "tab_groups", "tags", "territories",
    "users", "variable_groups", "variables", "wizards",
];
const RIGHTS: &[&str] = &["ALL", "READ", "CREATE", "UPDATE", "DELETE", "WRITE"];

fn are_granted(mut needed: impl Iterator<Item = String>, granted: &str) -> Result<(), Problem> {
    let is_granted = |needed: String| {
        granted
            .split_whitespace()
            .any(|scope| covers(scope, &needed))
    };
    if needed.all(is_granted) {
        Ok(())
    } else {
        Err(Problem::plain(401, "OAUTH_SCOPE_MISMATCH", OUT_OF_SCOPE))
    }
}

fn needed(route: &Route) -> Vec<String> {
    let on = |module: &Module, what: &str| format!("ZohoCRM.modules.{}.{what}", module.name());
    let other = |name: &str| vec![format!("ZohoCRM.{name}")];
    let below = |list: &str| match list {
        ROLES => on(&Module::Contacts, "READ"),
        _ => format!("ZohoCRM.modules.{list}.READ"),
    };
    match route {
        Route::Search(module) | Route::Count(module) => vec![
            on(module, "READ"),
            "ZohoSearch.securesearch.READ".to_owned(),
        ],
        Route::List(module) | Route::One(module, _) | Route::Timeline(module, _) => {
            vec![on(module, "READ")]
        }
        Route::Related(module, _, list) => {
            vec![on(module, "READ"), below(list)]
        }
        Route::OneRelated(module, _, list, _) => vec![on(module, "READ"), below(list)],
        // Whatever the lists are.
        Route::RelatedCounts(..) => other("modules.READ"),
        Route::Deleted(module) => vec![on(module, "READ")],
        Route::CustomViews => other("settings.custom_views.READ"),
        Route::RelatedLists => other("settings.related_lists.READ"),
        Route::Users | Route::User(_) | Route::CountUsers => other("users.READ"),
        Route::OneOf(list, _) => needed(list),
        Route::Org => other("org.READ"),
        Route::Pipeline => other("settings.pipeline.READ"),
        Route::Layouts => other("settings.layouts.READ"),
        Route::Modules | Route::OneModule(_) => other("settings.modules.READ"),
        Route::Fields => other("settings.fields.READ"),
        Route::Coql => other("coql.READ"),
        Route::Insert(module) => vec![on(module, "CREATE")],
        Route::InsertNote(module, _) => vec![on(module, "READ"), on(&Module::Notes, "CREATE")],
        Route::NoteBelow(module, _, _, asks) => {
            let right = match asks {
                Asks::Change => "UPDATE",
                Asks::Removal => "DELETE",
            };
            vec![on(module, "READ"), on(&Module::Notes, right)]
        }
        Route::Update(module, _) => vec![on(module, "UPDATE")],
        Route::Upsert(module) => vec![on(module, "CREATE"), on(module, "UPDATE")],
        Route::Delete(module, _) => vec![on(module, "DELETE")],
        Route::Locks(..) | Route::OneLock(..) => other("settings.modules.READ"),
        Route::Lock(..) => other("settings.modules.CREATE"),
        Route::Relock(..) => other("settings.modules.UPDATE"),
        Route::Unlock(..) => other("settings.modules.DELETE"),
    }
}

/// `ALL` stands for everything at its place, and at the end for everything below; the names of
/// modules are written in either case.
fn covers(granted: &str, needed: &str) -> bool {
    let (mut granted, mut needed) = (granted.split('.'), needed.split('.'));
    loop {
        match (granted.next(), needed.next()) {
            (None, None) => return true,
            (Some("ALL"), Some(_)) if granted.clone().next().is_none() => return true,
            // `ZohoCRM.modules.READ` is the right to read every module.
            (Some(right @ ("READ" | "CREATE" | "UPDATE" | "DELETE")), Some(at)) => {
                return granted.next().is_none() && needed.next_back().unwrap_or(at) == right;
            }
            (Some("ALL"), Some(_)) => {}
            (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_covers_what_it_says() {
        for (granted, needed, expected) in [
            ("ZohoCRM.modules.ALL", "ZohoCRM.modules.Notes.CREATE", true),
            ("ZohoCRM.modules.READ", "ZohoCRM.modules.Deals.READ", true),
            (
                "ZohoCRM.modules.READ",
                "ZohoCRM.modules.Deals.UPDATE",
                false,
            ),
            (
                "ZohoCRM.modules.deals.READ",
                "ZohoCRM.modules.Deals.READ",
                true,
            ),
            (
                "ZohoCRM.modules.deals.READ",
                "ZohoCRM.modules.Notes.READ",
                false,
            ),
            (
                "ZohoCRM.modules.deals.ALL",
                "ZohoCRM.modules.Deals.UPDATE",
                true,
            ),
            ("ZohoCRM.modules.ALL", "ZohoCRM.users.READ", false),
            ("ZohoCRM.settings.ALL", "ZohoCRM.settings.fields.READ", true),
            (
                "ZohoCRM.modules.notes.CREATE",
                "ZohoCRM.modules.Notes.READ",
                false,
            ),
            ("ZohoCRM", "ZohoCRM.users.READ", false),
        ] {
            assert_eq!(covers(granted, needed), expected, "{granted} {needed}");
        }
    }
}
