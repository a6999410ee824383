//! The organisation's users, kept for ten minutes: their names, and who reports to whom.

use std::{collections::BTreeSet, sync::Arc};

use serde::Deserialize;

use super::{
    Crm, CrmText, Page, RecordId, Reference, Scope, UserProblem, ZohoError,
    row::lookup,
    scope::{Owners, Scoped},
};

/// A user, as far as anything here needs to know.
#[derive(Deserialize)]
pub(super) struct User {
    id: RecordId,
    full_name: Option<CrmText>,
    email: Option<CrmText>,
    status: Option<CrmText>,
    #[serde(rename = "Reporting_To", default, deserialize_with = "lookup")]
    reports_to: Option<Reference>,
}

impl User {
    /// Whether an id or an e-mail address names this user, who has to be active.
    pub(super) fn is(&self, name: &str) -> bool {
        let active = self
            .status
            .as_ref()
            .is_none_or(|status| status.as_str() == "active");
        let address = self.email.as_ref().map(CrmText::as_str);
        active
            && (self.id.as_str() == name
                || address.is_some_and(|address| address.eq_ignore_ascii_case(name)))
    }
}

impl Crm {
    /// Gives owners the names that an answer left out. Who is not known has none, and nothing fails
    /// for want of a name.
    pub(super) async fn name_owners<'a>(&self, owners: impl Iterator<Item = &'a mut Reference>) {
        let nameless: Vec<_> = owners.filter(|owner| owner.name.is_none()).collect();
        if nameless.is_empty() {
            return;
        }
        if let Ok(users) = self.users().await {
            for owner in nameless {
                let user = users.iter().find(|user| user.id == owner.id);
                owner.name = user.and_then(|user| user.full_name.clone());
            }
        }
    }

    /// A user and all who report to them, directly or not.
    pub(super) async fn owners(&self, name: &str) -> Result<Owners, ZohoError> {
        let users = self.users().await?;
        owners(&users, name).map(Arc::new).map_err(ZohoError::User)
    }

    /// Whom a record belongs to that the caller adds; Zoho's own choice where that is the caller.
    pub(super) async fn owner_of_additions(&self) -> Result<Option<RecordId>, ZohoError> {
        let Scope::Owner(name) = self.scope() else {
            return Ok(None);
        };
        let users = self.users().await?;
        let user = users.iter().find(|user| user.is(name));
        user.map(|user| Some(user.id.clone()))
            .ok_or(ZohoError::User(UserProblem::Unknown))
    }

    async fn users(&self) -> Result<Arc<Vec<User>>, ZohoError> {
        self.zoho.users.get(self.deadline, self.fetch_users()).await
    }

    async fn fetch_users(&self) -> Result<Vec<User>, ZohoError> {
        let mut users = Vec::new();
        for number in 1..=MOST_PAGES {
            let asked = Scoped::users(self, Page { number, size: 200 })?;
            let listed = self.list::<User, User>(&asked).await?;
            users.extend(listed.rows);
            if !listed.more {
                break;
            }
        }
        Ok(users)
    }
}

fn owners(users: &[User], name: &str) -> Result<BTreeSet<RecordId>, UserProblem> {
    let top = users.iter().find(|user| user.is(name));
    let mut owners = BTreeSet::from([top.ok_or(UserProblem::Unknown)?.id.clone()]);
    // Each round adds one level of the tree, so it ends after as many rounds as there are levels.
    loop {
        let below = users.iter().filter(|user| {
            let boss = user.reports_to.as_ref();
            boss.is_some_and(|boss| owners.contains(&boss.id)) && !owners.contains(&user.id)
        });
        let found: Vec<RecordId> = below.map(|user| user.id.clone()).collect();
        if found.is_empty() {
            return Ok(owners);
        }
        owners.extend(found);
        if owners.len() > MOST_OWNERS {
            return Err(UserProblem::TooManyReports);
        }
    }
}

const MOST_PAGES: u32 = 10;
/// As many as one condition of Zoho's takes.
const MOST_OWNERS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: u32, boss: Option<u32>) -> User {
        User {
            id: id.to_string().parse().unwrap(),
            full_name: None,
            email: Some(CrmText::clean(&format!("U{id}@example.com"))),
            status: Some(CrmText::clean(if id == 9 { "disabled" } else { "active" })),
            reports_to: boss.map(|boss| Reference {
                id: boss.to_string().parse().unwrap(),
                name: None,
            }),
        }
    }

    fn seen(users: &[User], name: &str) -> Result<Vec<u32>, UserProblem> {
        let owners = owners(users, name)?;
        Ok(owners
            .iter()
            .map(|id| id.as_str().parse().unwrap())
            .collect())
    }

    #[test]
    fn a_manager_sees_the_whole_tree_below_and_nothing_beside() {
        let users = [
            user(1, None),
            user(2, Some(1)),
            user(3, Some(2)),
            user(4, Some(1)),
            user(9, Some(2)),
        ];
        assert_eq!(seen(&users, "2").unwrap(), [2, 3, 9]);
        assert_eq!(seen(&users, "u3@EXAMPLE.com").unwrap(), [3]);
        assert_eq!(seen(&users, "1").unwrap().len(), 5);
    }

    #[test]
    fn nobody_sees_anything_through_a_user_who_is_not_there() {
        let users = [user(1, None), user(9, None)];
        for name in ["2", "9", "", "u", "@example.com"] {
            assert_eq!(seen(&users, name), Err(UserProblem::Unknown), "{name}");
        }
    }

    #[test]
    fn a_ring_of_managers_ends_and_a_crowd_is_refused() {
        let ring = [user(1, Some(2)), user(2, Some(1))];
        assert_eq!(seen(&ring, "1").unwrap(), [1, 2]);
        let team = |size| (1..=size).map(|id| user(id * 10, (id > 1).then_some(10)));
        assert_eq!(
            seen(&team(100).collect::<Vec<_>>(), "10").unwrap().len(),
            100
        );
        let crowd: Vec<_> = team(101).collect();
        assert_eq!(seen(&crowd, "10"), Err(UserProblem::TooManyReports));
    }
}
