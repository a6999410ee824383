//! One document over another, and the environment over both.

use toml::{Table, Value};

use super::{Environment, Origin, Refused};

const PREFIX: &str = "ZOHO_MCP__";

pub(super) fn parse(name: &str, text: &str) -> Result<Table, Refused> {
    text.parse::<Table>().map_err(|error| {
        let line = error.span().map_or(1, |span| {
            text.get(..span.start)
                .unwrap_or_default()
                .matches('\n')
                .count()
                + 1
        });
        Refused::one(
            &format!("{name}:{line}"),
            error.message(),
            "mend the TOML there; config/default.toml shows how each key is written",
        )
    })
}

/// Tables are merged, everything else is replaced.
pub(super) fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) if !is_value(&over) => {
                merge(under, over)
            }
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// A quota is a value that happens to be written as a table.
fn is_value(table: &Table) -> bool {
    table.contains_key("requests") || table.contains_key("per")
}

/// `ZOHO_MCP__SERVER__LISTEN` stands for `server.listen`; a name with dashes is found with
/// underscores. Values are TOML where they parse as such, text otherwise.
/// `origin` hears which variable has set which key.
pub(super) fn environment(
    table: &mut Table,
    environment: &Environment,
    origin: &mut Origin,
) -> Result<(), Refused> {
    for (name, value) in environment {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let mut keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
        let last = keys.pop().filter(|key| !key.is_empty());
        let (Some(last), false) = (last, keys.iter().any(String::is_empty)) else {
            return Err(Refused::one(
                name,
                "the name does not spell a key",
                "write it as ZOHO_MCP__SECTION__KEY",
            ));
        };
        let mut at = &mut *table;
        let mut spelled = String::new();
        for key in keys {
            let key = existing(at, key);
            spelled.push_str(&key);
            spelled.push('.');
            let slot = at.entry(key).or_insert_with(|| Value::Table(Table::new()));
            at = slot.as_table_mut().ok_or_else(|| {
                Refused::one(
                    name,
                    "the key before the last is not a section",
                    "see config/default.toml",
                )
            })?;
        }
        let last = existing(at, last);
        spelled.push_str(&last);
        at.insert(last, typed(value));
        origin.note(spelled, name);
    }
    Ok(())
}

/// The variable that sets the key at `path`, what is above it, or what is below it.
pub fn variable_of<'e>(environment: &'e Environment, path: &[&str]) -> Option<&'e str> {
    let sets = |name: &&String| {
        let keys = name.strip_prefix(PREFIX).map(|keys| keys.split("__"));
        keys.is_some_and(|keys| {
            keys.zip(path)
                .all(|(key, of)| is_spelled(of, &key.to_lowercase()))
        })
    };
    environment.keys().find(sets).map(String::as_str)
}

/// A name with dashes is found with underscores.
fn is_spelled(name: &str, key: &str) -> bool {
    name.to_lowercase().replace('-', "_") == key
}

fn existing(table: &Table, key: String) -> String {
    let same = |name: &&String| is_spelled(name, &key);
    table.keys().find(same).cloned().unwrap_or(key)
}

fn typed(text: &str) -> Value {
    let parsed = format!("v = {text}").parse::<Table>().ok();
    match parsed.and_then(|mut table| table.remove("v")) {
        Some(
            value @ (Value::Boolean(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Array(_)
            | Value::Table(_)),
        ) => value,
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_known_by_the_key_that_it_sets() {
        let names = [
            "HOME",
            "ZOHO_MCP__CLIENTS__A_B__ROLE",
            "ZOHO_MCP__LIMITS__CLIENT",
        ];
        let environment: Environment = names.map(|name| (name.into(), "x".into())).into();
        for (path, variable) in [
            (&["clients", "A-b", "role"][..], Some(names[1])),
            (&["clients", "A-b"], Some(names[1])),
            (&["clients", "A-b", "limits"], None),
            (&["limits", "client", "requests"], Some(names[2])),
            (&["limits", "global"], None),
        ] {
            assert_eq!(variable_of(&environment, path), variable, "{path:?}");
        }
    }
}
