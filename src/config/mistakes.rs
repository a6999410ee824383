//! Every mistake of a document at once, not only the first that the reader stumbles over.

use serde_path_to_error::Segment;
use toml::{Table, Value};

use super::{Config, Origin, Problem, Refused};

/// Reads a document. What cannot be read is told and then put back to its default or taken out, so
/// that the reader comes to the next mistake.
pub(super) fn read(origin: &Origin, mut table: Table, defaults: &Table) -> Result<Config, Refused> {
    let (mut problems, mut names_are_missing) = (Vec::new(), false);
    let mut taken_out = Vec::new();
    while problems.len() < MOST_TOLD {
        let error = match serde_path_to_error::deserialize(Value::Table(table.clone())) {
            Ok(config) => {
                let config: Config = config;
                let mut more = config.problems();
                // Who refers to a role that was taken out makes no mistake.
                more.retain(|problem| !names_are_missing || !refers_to_a_name(&problem.text));
                // What is missing only because it was taken out has been told already.
                let told = |problem: &Problem| {
                    let mut keys = taken_out.iter();
                    keys.any(|key| problem.text.starts_with(&format!("{key}: is missing")))
                };
                more.retain(|problem| !told(problem));
                problems.extend(more);
                if problems.is_empty() {
                    return Ok(config);
                }
                break;
            }
            Err(error) => error,
        };
        problems.push(told(&error));
        let path = keys(&error);
        taken_out.push(path.join("."));
        names_are_missing |= is_named_by_the_operator(&path);
        if take_out(&mut table, defaults, &path).is_none() {
            break;
        }
    }
    Err(Refused::new(origin.clone(), problems))
}

fn told(error: &serde_path_to_error::Error<toml::de::Error>) -> Problem {
    let (path, problem) = (error.path(), error.inner().message());
    let remedy = match &*path.to_string() {
        path if path.starts_with("server.trusted_proxies") => {
            "write a network as 10.0.0.0/24, and one address as 10.0.0.7/32"
        }
        _ => "config/default.toml has every key with its type and default",
    };
    Problem::new(format!("{path}: {problem}"), remedy)
}

/// The keys down to the mistake; a list is one value.
fn keys(error: &serde_path_to_error::Error<toml::de::Error>) -> Vec<String> {
    let key = |segment: &Segment| match segment {
        Segment::Map { key } => Some(key.clone()),
        Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => None,
    };
    error.path().iter().map_while(key).collect()
}

/// Puts the default back where there is one; otherwise takes out the whole part of the document
/// that has none, since a part of it without one of its keys would only be another mistake.
fn take_out(table: &mut Table, defaults: &Table, path: &[String]) -> Option<()> {
    let (key, rest) = path.split_first()?;
    if rest.is_empty() {
        return match defaults.get(key) {
            Some(default) if table.get(key) != Some(default) => {
                table.insert(key.clone(), default.clone());
                Some(())
            }
            Some(_) => None,
            None => table.remove(key).map(drop),
        };
    }
    let none = Table::new();
    match (table.get_mut(key), defaults.get(key)) {
        (Some(Value::Table(inner)), Some(Value::Table(defaults))) => {
            take_out(inner, defaults, rest)
        }
        (Some(Value::Table(inner)), None) if is_named_by_the_operator(path) => {
            take_out(inner, &none, rest.get(..1)?)
        }
        _ => table.remove(key).map(drop),
    }
}

/// `roles.NAME` and `clients.NAME`: one entry is taken out, the others stay.
fn is_named_by_the_operator(path: &[String]) -> bool {
    path.first()
        .is_some_and(|key| matches!(key.as_str(), "roles" | "clients"))
}

fn refers_to_a_name(problem: &str) -> bool {
    problem.starts_with("clients")
        || (problem.starts_with("auth.jwt") && problem.contains("no client is named"))
}

const MOST_TOLD: usize = 20;

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf};

    use crate::config::Loaded;

    #[test]
    fn what_was_taken_out_is_not_missing() {
        let text = "[redis]\nurl = 'http://redis:6379'\nexpected_replicas = 3\n";
        let loaded = Loaded::from_text("x.toml", text, PathBuf::new(), &BTreeMap::new());
        let told = loaded.err().unwrap().to_string();
        assert!(told.contains("redis.url: expected an address"), "{told}");
        assert_eq!(told.matches("redis.url").count(), 1, "{told}");
    }
}
