//! What all tools that search have in common: one way to search at a time, checked before Zoho is
//! asked.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Context, ToolError,
    cursor::CursorText,
    input::{Limit, Line},
    listing::Asked,
};
use crate::{
    audit::{Class, Classes},
    zoho::{Listed, Module, Search, Unsearched},
};

/// How people are searched for.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct People {
    /// Words found in any field, at least 2 letters.
    query: Option<Line<100>>,
    /// Whole or part of an address.
    email: Option<Line<254>>,
    /// Digits, spaces and + - . ( ) only.
    phone: Option<Line<40>>,
    /// First, last or full name.
    name: Option<Line<100>>,
    /// Default 20.
    limit: Option<Limit>,
    /// From the last answer, to go on.
    #[serde(skip_serializing)]
    cursor: Option<CursorText>,
}

impl People {
    pub(super) const CLASSES: Classes = &[
        ("query", Class::Pii),
        ("email", Class::Pii),
        ("phone", Class::Pii),
        ("name", Class::Pii),
        ("limit", Class::Public),
        // Any text may come as a cursor.
        ("cursor", Class::Pii),
    ];

    pub(super) fn asked(&self) -> Asked<'_> {
        page(self.limit, self.cursor.as_ref())
    }

    pub(super) fn search(self) -> Result<Search, ToolError> {
        let ways = [
            self.query.map(|query| Search::Word(query.into_string())),
            self.email.map(|email| Search::Email(email.into_string())),
            self.phone.map(|phone| Search::Phone(phone.into_string())),
            self.name.map(|name| Search::Name(name.into_string())),
        ];
        one_of(ways, "`query`, `email`, `phone` and `name`")
    }
}

/// A page of what a search finds.
pub(super) fn page(limit: Option<Limit>, cursor: Option<&CursorText>) -> Asked<'_> {
    Asked {
        limit,
        default: 20,
        cursor,
    }
}

/// The one way to search that a caller gave, of those that are called `names`.
pub(super) fn one_of<const N: usize>(
    ways: [Option<Search>; N],
    names: &str,
) -> Result<Search, ToolError> {
    let mut given = ways.into_iter().flatten();
    let search = match (given.next(), given.next()) {
        (Some(search), None) => search,
        _ => return Err(ToolError::Arguments(format!("Give exactly one of {names}"))),
    };
    match &search {
        Search::Word(word) if word.chars().filter(|c| c.is_alphanumeric()).count() < 2 => {
            Err(ToolError::Argument {
                argument: "query",
                problem: "it needs at least 2 letters or digits",
            })
        }
        Search::Name(_) if search.is_empty() => Err(ToolError::Argument {
            argument: "name",
            problem: "it has nothing but quotes, commas or spaces",
        }),
        Search::Name(name) if is_wild(name) => Err(ToolError::Argument {
            argument: "name",
            problem: "`*` is not understood in names; give the name, or how it begins, without it",
        }),
        Search::Phone(phone) if !is_phone(phone) => Err(ToolError::Argument {
            argument: "phone",
            problem: "it needs at least 3 digits, and may have spaces and + - . ( ) besides",
        }),
        _ => Ok(search),
    }
}

/// What a search that found nothing did not look at.
pub(super) async fn unsearched<T>(
    call: &Context<'_>,
    (module, by): (Module, &Search),
    found: &Listed<T>,
) -> Option<String> {
    if !found.rows.is_empty() {
        return None;
    }
    Some(match call.crm.unsearched(module, by).await? {
        Unsearched::Hidden(field) => format!(
            "The CRM does not show the field `{field}` to the CRM user behind this server, so what stands \
             there was not searched: the record may exist all the same."
        ),
        Unsearched::Unknown(field) => format!(
            "Whether the CRM shows the field `{field}` to the CRM user behind this server could not be \
             asked: where it does not, nothing is found by it, and the record may exist all the same."
        ),
    })
}

/// Zoho takes one at most; at an end it is a wildcard to who wrote it, and no letter.
fn is_wild(name: &str) -> bool {
    let name = name.trim();
    name.starts_with('*') || name.ends_with('*') || name.matches('*').count() > 1
}

/// What Zoho takes for a number.
fn is_phone(text: &str) -> bool {
    let rest = text.strip_prefix('+').unwrap_or(text);
    rest.bytes().filter(u8::is_ascii_digit).count() >= 3
        && rest
            .bytes()
            .all(|b| b.is_ascii_digit() || b" -.()".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::input;
    use serde_json::json;

    #[test]
    fn exactly_one_way_to_search_is_taken() {
        let search = |arguments: serde_json::Value| {
            let arguments = arguments.as_object().cloned().unwrap();
            input::read::<People>(arguments).unwrap().search()
        };
        assert_eq!(
            search(json!({"email": "a@b.c"})).unwrap(),
            Search::Email("a@b.c".to_owned())
        );
        for arguments in [
            json!({}),
            json!({"limit": 5}),
            json!({"name": "a", "query": "bb"}),
        ] {
            let refusal = search(arguments).unwrap_err();
            assert!(
                refusal.advice().contains("exactly one of"),
                "{}",
                refusal.advice()
            );
        }
        assert!(search(json!({"query": "a"})).is_err());
        for name in ["*Anna*", "Anna*", "*", "A*n*a"] {
            let told = search(json!({ "name": name })).unwrap_err();
            let told = told.advice();
            assert!(told.contains("Argument `name`: `*` is not"), "{told}");
        }
        for name in [",", "\"\"", " “” ,"] {
            let told = search(json!({ "name": name })).unwrap_err();
            assert!(told.advice().contains("Argument `name`"), "{name}");
        }
        assert!(search(json!({"name": "E*Trade"})).is_ok());
        assert!(search(json!({"phone": "12"})).is_err());
        assert!(search(json!({"phone": "123; drop"})).is_err());
        assert!(search(json!({"phone": "+44 (20) 7946-00.00"})).is_ok());
    }
}
