//! The configuration as far as it is at hand: a file, and the environment, which counts before it.

use anyhow::Context as _;
use toml::{Table, Value};

use super::{BadArguments, document::Document};
use crate::config::{Environment, overlaid, variable_of};

/// What was set, and where.
pub(super) struct Settings<'a> {
    file: Option<(&'a str, Document<'a>)>,
    environment: &'a Environment,
    values: Table,
}

impl<'a> Settings<'a> {
    /// `file` is the name of a configuration and its text.
    ///
    /// # Errors
    /// [`BadArguments`] for a text that is no TOML, or variables that fit no configuration.
    pub(super) fn new(
        file: Option<(&'a str, &'a str)>,
        environment: &'a Environment,
    ) -> Result<Self, BadArguments> {
        let (name, text) = file.unwrap_or(("no file", ""));
        let document = Document::parse(text)
            .with_context(|| format!("{name} is not a configuration"))
            .map_err(BadArguments)?;
        let values = overlaid(name, text, environment);
        Ok(Self {
            file: file.map(|(name, _)| (name, document)),
            environment,
            values: values.map_err(|refused| BadArguments(refused.into()))?,
        })
    }

    /// The file that was named, if one was.
    pub(super) fn file(&self) -> Option<(&'a str, &Document<'a>)> {
        let (name, document) = self.file.as_ref()?;
        Some((name, document))
    }

    /// The variable that sets the key at `path`.
    pub(super) fn variable(&self, path: &[&str]) -> Option<&'a str> {
        variable_of(self.environment, path)
    }

    /// Whether anybody has set the key at `path`.
    pub(super) fn sets(&self, path: &[&str]) -> bool {
        self.value(path).is_some()
    }

    /// Whether the key at `path` is set to true.
    pub(super) fn is_true(&self, path: &[&str]) -> bool {
        self.value(path).and_then(Value::as_bool) == Some(true)
    }

    /// The place of an issuer among `[[auth.jwt]]`, counted from 0.
    pub(super) fn place_of_issuer(&self, name: &str) -> Option<String> {
        let issuers = self.value(&["auth", "jwt"])?.as_array()?;
        let is_it = |issuer: &Value| issuer.get("issuer").and_then(Value::as_str) == Some(name);
        Some(issuers.iter().position(is_it)?.to_string())
    }

    fn value(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter()
            .try_fold(self.values.get(*first)?, |value, key| match value {
                Value::Array(items) => items.get(key.parse::<usize>().ok()?),
                value => value.get(*key),
            })
    }
}
