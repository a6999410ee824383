//! What a record is to hold, by Zoho's names of fields, and whether it does.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{CrmText, RecordId, notes::NoteParent};

/// Values of fields. The names are ours.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Values(BTreeMap<&'static str, Value>);

impl Values {
    /// The same with another field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.insert(name, value.into());
        self
    }

    /// The same with another field, where there is a value for it.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The same as an activity that is about a record. Zoho links contacts by a field of their own.
    #[must_use]
    pub fn about(self, module: NoteParent, id: &RecordId) -> Self {
        let link = json!({ "id": id });
        match module {
            NoteParent::Contacts => self.with("Who_Id", link),
            other => self
                .with("What_Id", link)
                .with("$se_module", other.module()),
        }
    }

    /// The names of the fields, without Zoho's pseudo-fields, which nobody can ask for.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        let names = self.0.keys().copied();
        names.filter(|name| !name.starts_with('$'))
    }

    /// The same without a field.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// A field's value.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a record as Zoho writes it holds all of these.
    pub(super) fn are_in(&self, row: &Map<String, Value>) -> bool {
        let theirs = |name| row.get(name).unwrap_or(&Value::Null);
        self.names()
            .all(|name| self.get(name).is_some_and(|ours| same(ours, theirs(name))))
    }

    /// Whether it may have been made of these: Zoho passes over fields that its user may not write,
    /// leaves out those that it hides, and may write addresses and numbers in a form of its own.
    pub(super) fn may_be(&self, row: &Map<String, Value>) -> bool {
        self.names().all(|name| match row.get(name) {
            Some(theirs) if !is_empty(theirs) => self
                .get(name)
                .is_some_and(|ours| same(ours, theirs) || alike(ours, theirs)),
            _ => true,
        })
    }
}

/// Nothing that anybody wrote.
pub(super) fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_str().is_some_and(str::is_empty)
}

/// Whether Zoho's value is ours, however it writes it: lookups with their names, times with the
/// offset of the user, texts with other white space and escapes.
fn same(ours: &Value, theirs: &Value) -> bool {
    let id = |value: &Value| match value {
        Value::Object(lookup) => lookup.get("id").and_then(Value::as_str).map(str::to_owned),
        other => other.as_str().map(str::to_owned),
    };
    match (ours, theirs) {
        (Value::Object(_), _) => id(ours) == id(theirs),
        (Value::String(ours), Value::String(theirs)) => {
            let instant = |text: &str| text.parse::<Timestamp>().ok();
            same_text(ours, theirs) || instant(ours).is_some_and(|at| instant(theirs) == Some(at))
        }
        (Value::Number(_), _) => ours.as_f64() == theirs.as_f64(),
        _ => ours == theirs,
    }
}

/// Whether two e-mail addresses or telephone numbers are one, however they are written.
fn alike(ours: &Value, theirs: &Value) -> bool {
    let (Some(ours), Some(theirs)) = (ours.as_str(), theirs.as_str()) else {
        return false;
    };
    let is_number = || digits(ours).is_some_and(|number| digits(theirs) == Some(number));
    same_address(ours, theirs) || is_number()
}

fn same_address(ours: &str, theirs: &str) -> bool {
    let is_address = ours.contains('@') && !ours.trim().contains(char::is_whitespace);
    is_address && ours.trim().to_lowercase() == theirs.trim().to_lowercase()
}

/// Those of a telephone number.
fn digits(text: &str) -> Option<String> {
    let number: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_number = text
        .chars()
        .all(|c| c.is_ascii_digit() || " +-.()/".contains(c));
    (is_number && number.len() >= 5).then_some(number)
}

/// Whether a text of Zoho's is ours, whatever it did to white space and escapes.
pub fn same_text(ours: &str, theirs: &str) -> bool {
    let plain = |text: &str| -> String {
        let text = CrmText::clean(text)
            .as_str()
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    plain(ours) == plain(theirs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_known_again_however_zoho_writes_it() {
        for (ours, theirs) in [
            (json!("a  <b>\n"), json!("a &lt;b&gt;")),
            (
                json!("2026-05-14T10:00:00Z"),
                json!("2026-05-14T13:00:00+03:00"),
            ),
            (json!({"id": "7"}), json!({"id": "7", "name": "Ann"})),
            (json!({"id": "7"}), json!("7")),
            (json!(5), json!(5.0)),
        ] {
            assert!(same(&ours, &theirs), "{ours} {theirs}");
        }
        for (ours, theirs) in [
            (json!("a"), json!("b")),
            (json!("a"), Value::Null),
            (json!({"id": "7"}), json!({"id": "8"})),
            (json!({"id": "7"}), Value::Null),
            (
                json!("2026-05-14T10:00:00Z"),
                json!("2026-05-14T10:00:00+03:00"),
            ),
        ] {
            assert!(!same(&ours, &theirs), "{ours} {theirs}");
        }
    }

    #[test]
    fn an_activity_points_at_what_it_is_about() {
        let id = "7".parse().unwrap();
        let contact = Values::default().about(NoteParent::Contacts, &id);
        assert_eq!(
            serde_json::to_value(&contact).unwrap(),
            json!({"Who_Id": {"id": "7"}})
        );
        let lead = Values::default().about(NoteParent::Leads, &id);
        let expected = json!({"What_Id": {"id": "7"}, "$se_module": "Leads"});
        assert_eq!(serde_json::to_value(&lead).unwrap(), expected);
        assert_eq!(lead.names().collect::<Vec<_>>(), ["What_Id"]);
    }

    #[test]
    fn an_address_or_a_number_in_another_form_may_be_ours_and_is_not_the_same() {
        for (ours, theirs, may_be) in [
            ("Ann@Example.com", "ann@example.com", true),
            ("+1 (555) 01-00", "+15550100", true),
            ("+1 (555) 01-00", "+15550101", false),
            ("Ann", "ann", false),
        ] {
            let fields = Values::default().with("Field", ours);
            let row = Map::from_iter([("Field".to_owned(), json!(theirs))]);
            assert_eq!(fields.may_be(&row), may_be, "{ours}");
            assert!(!fields.are_in(&row), "{ours}");
        }
    }
}
