//! The credentials of people: a call for one of them is made as that Zoho user, and Zoho itself
//! decides what they see.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arc_swap::ArcSwap;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout_at},
};

use super::{
    Credentials, Crm, UserProblem, Zoho, ZohoError, scope::Scoped, token::Tokens, users::User,
};

/// Everyone who has a credential, by its name.
pub(super) type People = ArcSwap<HashMap<Box<str>, Arc<Person>>>;

/// One person's way into Zoho.
pub(super) struct Person {
    credential: Credential,
    tokens: Tokens,
    /// Whether the credential is the user's that it should be; asked once.
    fits: OnceCell<bool>,
}

/// What the document holds of a person.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credential {
    refresh_token: SecretString,
    /// The CRM user it belongs to, by id or e-mail address.
    user: Box<str>,
    /// Instead of the daemon's own.
    client_id: Option<String>,
    client_secret: Option<SecretString>,
}

/// Why a document of people's credentials is refused. Shows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPeople {
    #[error(
        "expected a JSON object of {{\"NAME\": {{\"refresh_token\": \"…\", \"user\": \"id or e-mail\"}}}}, \
         where NAME is ISSUER and SUBJECT of a person's token with a space between"
    )]
    Form,
    #[error("more than 10000 people")]
    TooMany,
}

impl Zoho {
    /// Takes the credentials of people. Who is in the document as before stays signed in.
    ///
    /// # Errors
    /// Why the document is refused; the last good one stays.
    pub fn replace_people(&self, document: &[u8]) -> Result<usize, BadPeople> {
        let read: BTreeMap<Box<str>, Credential> =
            serde_json::from_slice(document).map_err(|_| BadPeople::Form)?;
        if read.len() > MOST_PEOPLE {
            return Err(BadPeople::TooMany);
        }
        let _turn = self.inner.roster.change();
        let known = self.inner.people.load();
        let people: HashMap<_, _> = read
            .into_iter()
            .map(|(name, credential)| {
                let as_before = known
                    .get(&name)
                    .filter(|person| person.credential.is(&credential));
                let person = as_before.map_or_else(|| self.person(credential), Arc::clone);
                (name, person)
            })
            .collect();
        let count = people.len();
        self.inner.people.store(Arc::new(people));
        self.inner.flights.outdate();
        drop(known);
        self.inner.roster.tidy(Instant::now());
        Ok(count)
    }

    /// Those without a client of their own use the daemon's, which is another now.
    pub(super) fn renew_people(&self) {
        let known = self.inner.people.load();
        let renewed = known.iter().map(|(name, person)| {
            let now = self.credentials(&person.credential);
            let person = match person.tokens.credentials().is(&now) {
                true => Arc::clone(person),
                false => self.person(person.credential.clone()),
            };
            (name.clone(), person)
        });
        self.inner.people.store(Arc::new(renewed.collect()));
        drop(known);
        self.inner.roster.tidy(Instant::now());
    }

    fn person(&self, credential: Credential) -> Arc<Person> {
        Arc::new(Person {
            tokens: self.inner.roster.of(self.credentials(&credential)),
            credential,
            fits: OnceCell::new(),
        })
    }

    /// What Zoho is shown for a person.
    fn credentials(&self, credential: &Credential) -> Credentials {
        let tokens = self.inner.tokens();
        let own = tokens.credentials();
        Credentials {
            client_id: credential
                .client_id
                .clone()
                .unwrap_or_else(|| own.client_id.clone()),
            client_secret: credential
                .client_secret
                .clone()
                .unwrap_or_else(|| own.client_secret.clone()),
            refresh_token: credential.refresh_token.clone(),
        }
    }
}

impl Credential {
    fn is(&self, other: &Self) -> bool {
        let secret = |credential: &Self| credential.client_secret.clone().unwrap_or_default();
        self.user == other.user
            && self.client_id == other.client_id
            && self.refresh_token.expose_secret() == other.refresh_token.expose_secret()
            && secret(self).expose_secret() == secret(other).expose_secret()
    }
}

impl Crm {
    /// The tokens of a person whose credential was seen to be theirs.
    pub(super) async fn tokens_of(&self, name: &str) -> Result<Tokens, ZohoError> {
        let person = self.zoho.people.load().get(name).cloned();
        let person = person.ok_or(ZohoError::User(UserProblem::NoCredentials))?;
        let asked = person.fits.get_or_try_init(|| self.fits(&person));
        match timeout_at(self.deadline, asked).await {
            Ok(Ok(true)) => Ok(person.tokens.clone()),
            Ok(Ok(false)) => Err(ZohoError::User(UserProblem::NotTheirs)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ZohoError::DeadlineExceeded),
        }
    }

    async fn fits(&self, person: &Person) -> Result<bool, ZohoError> {
        let asked = Scoped::current_user(person.tokens.clone());
        let user: User = self.one::<User, User>(&asked).await?;
        let fits = user.is(&person.credential.user);
        if !fits {
            tracing::error!(
                "a credential in zoho.user_credentials belongs to another CRM user than it says"
            );
        }
        Ok(fits)
    }
}

const MOST_PEOPLE: usize = 10_000;
