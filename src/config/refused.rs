//! A configuration that cannot be used: everything that is wrong with it, each with where it was
//! said and what to do.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Refused {
    origin: Origin,
    problems: Vec<Problem>,
}

/// Where the keys of a configuration were set.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    file: String,
    /// Keys that the environment has set, and by which variable.
    variables: BTreeMap<String, String>,
}

/// One mistake.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Begins with the key.
    pub(super) text: String,
    remedy: String,
}

impl Problem {
    /// What is wrong, beginning with the key, and what to do about it.
    pub fn new(text: impl ToString, remedy: impl Into<String>) -> Self {
        Self {
            text: text.to_string(),
            remedy: remedy.into(),
        }
    }
}

impl Refused {
    pub(super) fn one(file: &str, text: impl ToString, remedy: impl Into<String>) -> Self {
        Self::new(Origin::file(file), vec![Problem::new(text, remedy)])
    }

    pub(super) const fn new(origin: Origin, problems: Vec<Problem>) -> Self {
        Self { origin, problems }
    }
}

impl Origin {
    pub(super) fn file(name: &str) -> Self {
        Self {
            file: name.into(),
            variables: BTreeMap::new(),
        }
    }

    pub(super) fn note(&mut self, key: String, variable: &str) {
        self.variables.insert(key, variable.into());
    }

    /// Where the key was set that a text begins with; what lies below a key belongs to it.
    fn of(&self, text: &str) -> &str {
        let is_set_by = |key: &str| {
            text.strip_prefix(key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ':', '[', ' ']))
        };
        let mut variables = self.variables.iter();
        let variable = variables.find(|(key, _)| is_set_by(key));
        variable.map_or(&self.file, |(_, variable)| variable)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, Problem { text, remedy }) in self.problems.iter().enumerate() {
            let line_end = if n > 0 { "\n" } else { "" };
            let place = self.origin.of(text);
            write!(f, "{line_end}{place}: ")?;
            tame(f, text)?;
            write!(f, "\n  remedy: ")?;
            tame(f, remedy)?;
        }
        Ok(())
    }
}

/// Writes a text that may repeat what stands in the file. A terminal would obey its control
/// characters; lines are our own.
fn tame(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for c in text.chars() {
        match c {
            '\n' => f.write_char(c)?,
            c if c.is_control() => write!(f, "{}", c.escape_default())?,
            c => f.write_char(c)?,
        }
    }
    Ok(())
}
