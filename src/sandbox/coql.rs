//! `POST /coql`: Zoho's query language.

mod bind;
mod bounds;
mod lex;
mod parse;
mod run;
mod sub;

use serde_json::{Value, json};

pub(super) use run::compare;

use super::{
    answer::Answer, crm::Crm, describe, filter::Onlooker, problem::Problem, render::Painter, scope,
    settings::Settings, sight::Sight, view,
};

/// Answers a query, or says what is wrong with it.
pub(super) fn answer(
    painter: &Painter<'_>,
    sight: &Sight,
    settings: &Settings,
    body: &Value,
) -> Result<Answer, Problem> {
    let crm = painter.crm;
    let text = body.get("select_query").ok_or_else(|| {
        Problem::bad(
            "MANDATORY_NOT_FOUND",
            json!({"api_name": "select_query"}),
            "mandatory key not found",
        )
    })?;
    let text = text.as_str().ok_or_else(|| {
        let details =
            json!({"expected_data_type": "text", "api_name": "select_query", "json_path": "$.select_query"});
        Problem::bad("INVALID_DATA", details, "invalid data")
    })?;
    let meta = wants_meta(body)?;
    let mut written = parse::parse(text, settings.coql_backslash)?;
    bounds::within(written.columns.len(), settings.coql_columns)?;
    written.module = view::queried(crm, &written.module);
    if let Some(tree) = &mut written.filter {
        let asker = sub::Asker {
            painter,
            sight,
            settings,
        };
        asker.resolve(tree, &mut 0)?;
    }
    let query = bind::bind(&written)?;
    scope::check_query(query.modules(), meta, &settings.scopes)?;
    if let Some(name) = sight.hidden_in(query.module, query.paths().into_iter()) {
        return Err(bind::invalid(name));
    }
    let credits = match query.limit {
        ..=200 => 1,
        201..=1000 => 2,
        _ => 3,
    };
    let found = run::run(&query, Onlooker { crm, sight }, painter);
    if found.rows.is_empty() {
        return Ok(Answer::empty().costing(credits));
    }
    let mut answer = json!({
        "info": {"count": found.rows.len(), "more_records": found.more},
        "data": found.rows,
    });
    if meta && let Some(object) = answer.as_object_mut() {
        object.insert("fields".to_owned(), fields(crm, &query));
    }
    Ok(Answer::ok(answer).costing(credits))
}

fn wants_meta(body: &Value) -> Result<bool, Problem> {
    let Some(meta) = body.get("include_meta") else {
        return Ok(false);
    };
    let refused = |details| Err(Problem::bad("INVALID_DATA", details, "invalid data"));
    let Some(meta) = meta.as_array() else {
        return refused(json!({
            "expected_data_type": "jsonarray",
            "api_name": "include_meta",
            "json_path": "$.include_meta",
        }));
    };
    match meta.iter().position(|wanted| wanted != "fields") {
        Some(at) => {
            let path = format!("$.include_meta[{at}]");
            let details = json!({"api_name": "include_meta", "json_path": path, "supported_values": ["fields"]});
            let mut details = details.as_object().cloned().unwrap_or_default();
            if !meta.get(at).is_some_and(Value::is_string) {
                details.insert("expected_data_type".to_owned(), json!("text"));
            }
            refused(Value::Object(details))
        }
        None => Ok(!meta.is_empty()),
    }
}

/// The columns that are fields, by the names that the query has for those.
fn fields(crm: &Crm, query: &bind::Query) -> Value {
    let columns = query.columns.iter();
    let described = columns.filter_map(|column| match &column.what {
        bind::What::Field(path) => {
            let last = path.through.last();
            let module = last.map(|hop| hop.only.or(hop.field.target()));
            let module = module.unwrap_or(Some(query.module))?;
            let name = match last {
                Some(_) => &column.key,
                None => path.field.name,
            };
            let field = describe::field(crm, module, path.field);
            Some((name.to_owned(), field))
        }
        bind::What::Total(..) => None,
    });
    Value::Object(described.collect())
}

#[cfg(test)]
mod tests;
