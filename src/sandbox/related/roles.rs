//! One record of a list, and what the contacts of a deal are to it.

use serde_json::{Value, json};

use super::{ROLES, lists};
use crate::sandbox::{
    answer::Answer, cell::Id, crm::Record, problem::Problem, read::Reader, schema::Module, words,
};

impl Reader<'_> {
    /// `GET /{module}/{id}/{list}/{record}`.
    pub(in crate::sandbox) fn one_related(
        &self,
        (module, id): (Module, Id),
        list: &str,
        one: Id,
    ) -> Result<Answer, Problem> {
        if !lists(module).contains(&list) {
            return Err(Problem::unknown_relation());
        }
        let parent = self.record(module, id).ok_or_else(Problem::bad_related)?;
        let mut below = self.below(module, parent, list).into_iter();
        let Some((child, record)) = below.find(|(_, record)| record.id == one) else {
            let unknown = self.settings.unknown_id();
            return unknown.map_or(Ok(Answer::empty()), |_| Err(Problem::bad_id_at(3)));
        };
        let mut answer = self.one(child, record.id)?;
        if list == ROLES {
            self.name_roles(parent, &mut answer);
        }
        Ok(answer)
    }

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
