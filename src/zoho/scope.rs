//! What a caller may see, put into every question about records. An exchange takes a [`Scoped`]
//! question and nothing else, and only this room makes one: nobody can forget the scope.

mod pages;
mod settings;
mod shown;
mod sought;
mod write;

use std::{collections::BTreeSet, sync::Arc};

use percent_encoding::percent_decode;
use serde::{Deserialize, Serialize};

use super::{
    Crm, Listed, Page, RecordId, Reference, UserProblem, ZohoError,
    answer::rows,
    code::Code,
    coql::{Column, Comparison, Condition, Literal, Select},
    criteria::Criteria,
    exchange::Ask,
    row::lookup,
    token::Tokens,
};
pub use sought::Unsearched;

/// Which rows a caller may see. Carried by [`Crm`], so that no query can be built without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Scope {
    /// All that the daemon's own Zoho user may see.
    Org,
    /// What belongs to this CRM user, by id or e-mail address, and to those who report to them.
    Owner(Arc<str>),
    /// What the caller's own Zoho user may see, by the name of their credential.
    User(Arc<str>),
}

/// A question narrowed to what the caller may see.
pub(super) struct Scoped {
    pub(super) ask: Ask,
    /// Whose token it is asked with.
    pub(super) tokens: Tokens,
    /// The token is a person's, and not the daemon's.
    personal: bool,
    /// Somebody sees only some records: what they may not do tells of the record.
    scoped: bool,
    /// Rows of other owners are dropped; all are seen where there is none.
    owners: Option<Owners>,
    /// Zoho cannot leave those rows out itself, so a page is made of what is left of several.
    sifted: bool,
    /// The record that it is about.
    about: Option<(&'static str, RecordId)>,
}

/// The CRM users whose records are seen.
pub(super) type Owners = Arc<BTreeSet<RecordId>>;

/// What is asked of a search.
pub(super) enum Wanted {
    Criteria(Criteria),
    /// A parameter and its value, which cannot carry an owner.
    Parameter(&'static str, String),
}

/// Which token, and whose rows.
struct Sight {
    tokens: Tokens,
    personal: bool,
    owners: Option<Owners>,
}

impl Scoped {
    fn new(ask: Ask, sight: Sight) -> Self {
        Self {
            ask,
            tokens: sight.tokens,
            personal: sight.personal,
            scoped: sight.personal || sight.owners.is_some(),
            owners: sight.owners,
            sifted: false,
            about: None,
        }
    }

    /// What the caller is told of an error: a record that may not be seen does not exist, and a
    /// person's credential is that person's matter.
    pub(super) fn telling(&self, error: ZohoError) -> ZohoError {
        match error {
            ZohoError::Credentials { .. } if self.personal => {
                ZohoError::User(UserProblem::CredentialsRefused)
            }
            ZohoError::Forbidden { code }
                if self.about.is_some()
                    && (self.scoped || self.ask.is_read())
                    && matches!(code.as_str(), "NO_PERMISSION" | "AUTHORIZATION_FAILED") =>
            {
                ZohoError::NotFound
            }
            ZohoError::Input {
                code,
                field: Some(field),
            } if code.as_str() == "INVALID_QUERY" && self.compares(&field) => {
                ZohoError::Hidden { field }
            }
            other => other,
        }
    }

    /// Whether it is a query, or a search by criteria, with that field in it.
    fn compares(&self, field: &Code) -> bool {
        let question = self.ask.question();
        // Before it is decoded: a word that is searched may hold the same.
        let is_criteria = String::from_utf8_lossy(&question).contains("/search?criteria=");
        let text = percent_decode(&question).decode_utf8_lossy();
        let mut words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        (self.ask.query || is_criteria) && words.any(|word| word == field.as_str())
    }

    fn about(mut self, module: &'static str, id: &RecordId) -> Self {
        self.about = Some((module, id.clone()));
        self
    }

    /// Zoho answers rows of all owners.
    fn sifted(mut self) -> Self {
        self.sifted = self.owners.is_some();
        self
    }

    /// A list of records, what was made last first.
    pub(super) fn newest_first(mut self) -> Self {
        let ask = self.ask.with("sort_by", "Created_Time");
        self.ask = ask.with("sort_order", "desc");
        self
    }

    fn on_page(&self, page: Page) -> Result<Self, ZohoError> {
        Ok(self.asking(self.ask.clone().page(page)?))
    }

    /// The same, asked so.
    fn asking(&self, ask: Ask) -> Self {
        Self {
            ask,
            tokens: self.tokens.clone(),
            personal: self.personal,
            scoped: self.scoped,
            owners: self.owners.clone(),
            sifted: self.sifted,
            about: self.about.clone(),
        }
    }
}

impl Crm {
    /// One record of a module; `fields` has to name `Owner`.
    pub(super) async fn record(
        &self,
        route: &'static str,
        module: &'static str,
        id: &RecordId,
        fields: &str,
    ) -> Result<Scoped, ZohoError> {
        let ask = Ask::get(route, &format!("{module}/{id}")).with("fields", fields);
        Ok(Scoped::new(ask, self.sight().await?).about(module, id))
    }

    /// A search; `fields` has to name `Owner`.
    pub(super) async fn search(
        &self,
        route: &'static str,
        wanted: Wanted,
        fields: &str,
    ) -> Result<Scoped, ZohoError> {
        let sight = self.sight().await?;
        let (parameter, value, complete) = match (wanted, &sight.owners) {
            (Wanted::Criteria(criteria), None) => ("criteria", criteria.render()?, true),
            (Wanted::Criteria(criteria), Some(owners)) => {
                let owned = Criteria::OwnedBy(owners.iter().cloned().collect());
                ("criteria", criteria.and(owned).render()?, true)
            }
            (Wanted::Parameter(parameter, value), _) => (parameter, value, false),
        };
        let ask = Ask::get(route, route)
            .with(parameter, &value)
            .with("fields", fields);
        let scoped = Scoped::new(ask, sight);
        Ok(if complete { scoped } else { scoped.sifted() })
    }

    /// A query, which the owners become a condition of.
    pub(super) async fn query(&self, mut select: Select) -> Result<Scoped, ZohoError> {
        let mut sight = self.sight().await?;
        if let Some(owners) = &sight.owners {
            select.filter.push(owned_by(owners));
            // Where the rows name their owner, they are looked at once more.
            let named = |column: &Column| matches!(column, Column::Field("Owner"));
            if !select.group.is_empty() || !select.columns.iter().any(named) {
                sight.owners = None;
            }
        }
        Ok(Scoped::new(Ask::coql(&select)?, sight))
    }

    /// A list below a record that is seen itself; rows have owners of their own.
    pub(super) async fn related(
        &self,
        route: &'static str,
        (module, id): (&'static str, &RecordId),
        list: &'static str,
        fields: Option<&str>,
    ) -> Result<Scoped, ZohoError> {
        let sight = self.sight().await?;
        self.prove(&sight, module, id).await?;
        let ask = Ask::get(route, &format!("{module}/{id}/{list}"));
        let ask = match fields {
            Some(fields) => ask.with("fields", fields),
            None => ask,
        };
        Ok(Scoped::new(ask, sight).about(module, id).sifted())
    }

    /// The notes on a record, newest first. Zoho shows a note to whoever sees the record that it stands on.
    pub(super) async fn notes_on(
        &self,
        parent: (&'static str, &RecordId),
        fields: &str,
    ) -> Result<Scoped, ZohoError> {
        let mut scoped = self
            .related("{module}/{id}/Notes", parent, "Notes", Some(fields))
            .await?;
        (scoped.owners, scoped.sifted) = (None, false);
        Ok(scoped.newest_first())
    }

    /// Something written below a record that is seen.
    pub(super) async fn write_on(
        &self,
        route: &'static str,
        (module, id): (&'static str, &RecordId),
        body: &impl Serialize,
    ) -> Result<Scoped, ZohoError> {
        let sight = self.sight().await?;
        self.prove(&sight, module, id).await?;
        Ok(Scoped::new(Ask::write(route, body)?, sight).about(module, id))
    }

    /// Asks for a list and turns each row that is seen into what it is to us.
    pub(super) async fn list<R, T>(&self, scoped: &Scoped) -> Result<Listed<T>, ZohoError>
    where
        R: for<'de> Deserialize<'de> + Into<T>,
    {
        let reply = self.read(scoped).await?;
        let listed = rows::<R>(&reply).map_err(|error| scoped.telling(error))?;
        let seen: Option<Vec<bool>> = match &scoped.owners {
            None => None,
            Some(owners) => {
                let owned = rows::<Owned>(&reply)?.rows;
                Some(owned.iter().map(|row| row.is_of(owners)).collect())
            }
        };
        let is_seen = |at: usize| {
            seen.as_ref()
                .is_none_or(|seen| seen.get(at).copied().unwrap_or(false))
        };
        let kept = listed.rows.into_iter().enumerate();
        Ok(Listed {
            rows: kept
                .filter(|(at, _)| is_seen(*at))
                .map(|(_, row)| row.into())
                .collect(),
            more: listed.more,
            index: listed.index,
        })
    }

    /// Asks for one record; a list without rows is a record that does not exist.
    pub(super) async fn one<R, T>(&self, scoped: &Scoped) -> Result<T, ZohoError>
    where
        R: for<'de> Deserialize<'de> + Into<T>,
    {
        let listed = self.list::<R, T>(scoped).await?;
        let row = listed.rows.into_iter().next().ok_or(ZohoError::NotFound)?;
        if let Some(about) = &scoped.about {
            super::lock(&self.seen).insert(about.clone());
        }
        Ok(row)
    }

    /// Whether it is known what may be seen; says why not (`check --online`).
    ///
    /// # Errors
    /// What is wrong with the CRM user behind the scope, or with Zoho.
    pub async fn try_scope(&self) -> Result<(), ZohoError> {
        self.sight().await.map(drop)
    }

    /// Whose token and whose rows, once it is known who asks.
    async fn sight(&self) -> Result<Sight, ZohoError> {
        let own = |owners| Sight {
            tokens: self.zoho.tokens(),
            personal: false,
            owners,
        };
        match self.scope() {
            Scope::Org => Ok(own(None)),
            Scope::Owner(name) => Ok(own(Some(self.owners(name).await?))),
            Scope::User(name) => Ok(Sight {
                tokens: self.tokens_of(name).await?,
                personal: true,
                owners: None,
            }),
        }
    }

    /// That a record is seen, where Zoho itself does not see to it. Asked once in a call.
    async fn prove(
        &self,
        sight: &Sight,
        module: &'static str,
        id: &RecordId,
    ) -> Result<(), ZohoError> {
        if sight.owners.is_none() || super::lock(&self.seen).contains(&(module, id.clone())) {
            return Ok(());
        }
        let parent = self.record("{module}/{id}", module, id, "Owner").await?;
        self.one::<Owned, Owned>(&parent).await.map(drop)
    }
}

/// The owner of a row, whatever else it has; e-mails spell it small.
#[derive(Deserialize)]
struct Owned {
    #[serde(
        rename = "Owner",
        alias = "owner",
        default,
        deserialize_with = "lookup"
    )]
    owner: Option<Reference>,
}

impl Owned {
    fn is_of(&self, owners: &Owners) -> bool {
        let owner = self.owner.as_ref();
        owner.is_some_and(|owner| owners.contains(&owner.id))
    }
}

fn owned_by(owners: &Owners) -> Condition {
    let ids: Vec<_> = owners.iter().cloned().map(Literal::Id).collect();
    match <[Literal; 1]>::try_from(ids) {
        Ok([only]) => Condition::compare("Owner", Comparison::Equal, only),
        Err(ids) => Condition::In("Owner".into(), ids),
    }
}
