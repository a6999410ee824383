//! Where a configuration file sets a key, whichever way TOML has it written.

use toml::{
    Spanned,
    de::{DeString, DeTable, DeValue},
};

/// A configuration file that was read.
pub(super) struct Document<'a> {
    text: &'a str,
    table: Spanned<DeTable<'a>>,
}

impl<'a> Document<'a> {
    /// # Errors
    /// What is wrong with the TOML, and where.
    pub(super) fn parse(text: &'a str) -> Result<Self, toml::de::Error> {
        let table = DeTable::parse(text)?;
        Ok(Self { text, table })
    }

    /// The line that sets the key at `path`, counted from 1, and its text.
    pub(super) fn line_of(&self, path: &[&str]) -> Option<(usize, &'a str)> {
        let (key, _) = entry(self.table.get_ref(), path)?;
        let at = key.span().start;
        let number = self.text.get(..at)?.matches('\n').count();
        Some((number + 1, self.text.lines().nth(number)?.trim()))
    }
}

type Entry<'t, 'a> = (&'t Spanned<DeString<'a>>, &'t Spanned<DeValue<'a>>);

/// The last key of the path, and its value. In an array a number stands for a place, from 0.
fn entry<'t, 'a>(table: &'t DeTable<'a>, path: &[&str]) -> Option<Entry<'t, 'a>> {
    let (name, rest) = path.split_first()?;
    let mut entries = table.iter();
    let (key, value) = entries.find(|(key, _)| key.get_ref() == name)?;
    match value.get_ref() {
        _ if rest.is_empty() => Some((key, value)),
        DeValue::Table(table) => entry(table, rest),
        DeValue::Array(items) => {
            let (place, rest) = rest.split_first()?;
            match items.get(place.parse::<usize>().ok()?)?.get_ref() {
                DeValue::Table(table) => entry(table, rest),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "\
[roles.support]
# tools = []
tools = [\"search_contacts\"]
[limits]
client = { requests = 60, per = \"1m\" }
[clients]
ro = { role = \"support\", limits = { requests = 2, per = \"1m\" } }
[clients.\"a.b\"]
role = \"support\"
[clients.table]
role = \"support\"
[clients.table.limits]
requests = 1
per = \"1m\"
";

    #[test]
    fn the_line_that_decided_is_found_however_it_is_written() {
        let config = Document::parse(CONFIG).unwrap();
        for (path, number) in [
            (&["roles", "support", "tools"], Some(3)),
            (&["clients", "ro", "limits"], Some(7)),
            (&["clients", "a.b", "role"], Some(9)),
            (&["clients", "table", "limits"], Some(12)),
            (&["roles", "support", "allow_write"], None),
            (&["limits", "client", "burst"], None),
        ] {
            let found = config.line_of(path).map(|(number, _)| number);
            assert_eq!(found, number, "{path:?}");
        }
    }

    #[test]
    fn what_is_no_toml_is_refused() {
        assert!(Document::parse("[limits\nclient = 1").is_err());
    }
}
