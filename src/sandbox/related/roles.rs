//! What the contacts of a deal are to it.

use serde_json::{Value, json};

use crate::sandbox::{answer::Answer, crm::Record, read::Reader, words};

impl Reader<'_> {
    /// Says what a deal's contacts are to it, where it is asked.
    pub(super) fn name_roles(&self, deal: &Record, listed: &mut Answer) {
        let asked = self.asked("fields").is_none_or(|names| {
            let mut names = names.split(',').map(str::trim);
            names.any(|name| name == "Contact_Role")
        });
        let rows = listed.body.as_mut().and_then(|body| body.get_mut("data"));
        let rows = rows.and_then(Value::as_array_mut).filter(|_| asked);
        let at = deal.id.0 % words::CONTACT_ROLES.len() as u64;
        let name = words::CONTACT_ROLES.get(at as usize);
        let id = self.crm.org.fixed(7_161 + at).to_string();
        for row in rows.into_iter().flatten().filter_map(Value::as_object_mut) {
            let role = json!({"name": name, "id": id});
            row.insert("Contact_Role".to_owned(), role);
        }
    }
}
