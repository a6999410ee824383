//! The names of the organisation's users, kept for an hour.

use std::{collections::HashMap, sync::Arc};

use serde::Deserialize;

use super::{Crm, CrmText, Page, RecordId, Reference, ZohoError, exchange::Ask};

impl Crm {
    /// Gives owners the names that an answer left out. Who is not known has none, and nothing fails
    /// for want of a name.
    pub(super) async fn name_owners<'a>(&self, owners: impl Iterator<Item = &'a mut Reference>) {
        let nameless: Vec<_> = owners.filter(|owner| owner.name.is_none()).collect();
        if nameless.is_empty() {
            return;
        }
        if let Ok(names) = self.user_names().await {
            for owner in nameless {
                owner.name = names.get(&owner.id).cloned();
            }
        }
    }

    async fn user_names(&self) -> Result<Arc<HashMap<RecordId, CrmText>>, ZohoError> {
        self.zoho.users.get(self.deadline, self.fetch_users()).await
    }

    async fn fetch_users(&self) -> Result<HashMap<RecordId, CrmText>, ZohoError> {
        let mut names = HashMap::new();
        for number in 1..=MOST_PAGES {
            let ask = Ask::get("users", "users")
                .with("type", "AllUsers")
                .page(Page { number, size: 200 })?;
            let listed = self.list::<User, User>(&ask).await?;
            names.extend(
                listed
                    .rows
                    .into_iter()
                    .filter_map(|user| Some((user.id, user.full_name?))),
            );
            if !listed.more {
                break;
            }
        }
        Ok(names)
    }
}

#[derive(Deserialize)]
struct User {
    id: RecordId,
    full_name: Option<CrmText>,
}

const MOST_PAGES: u32 = 10;
