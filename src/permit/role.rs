//! Roles and clients, as the configuration spells them.

use super::{Denial, Effect, Permission};
use crate::{
    auth::{Credentials, User},
    setting::Limit,
    zoho::Scope,
};
use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc};

/// `[roles.NAME]`
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Names of tools.
    pub tools: Vec<String>,
    /// The most records that one call may return.
    pub max_records_per_query: NonZeroU32,
    /// Whether tools that change the CRM may be called.
    #[serde(default)]
    pub allow_write: bool,
}

impl Role {
    /// Whether the tool is in the role's list.
    pub fn names(&self, tool: &str) -> bool {
        self.tools.iter().any(|listed| listed == tool)
    }
}

/// `[clients.NAME]`
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The name under `[roles]`.
    pub role: Arc<str>,
    /// Which rows it may see.
    #[serde(default)]
    pub visibility: Visibility,
    /// The CRM user it works for, by id or e-mail address: whose records it sees, or the name of
    /// the credential that it uses when its caller names no person.
    pub owner: Option<Arc<str>>,
    /// The CRM user of each person behind it, by `ISSUER SUBJECT`. Who is not listed is refused.
    #[serde(default)]
    pub owners: BTreeMap<Box<str>, Arc<str>>,
    /// Instead of `[limits] client`.
    pub limits: Option<Limit>,
    /// The name in its client certificate, as `[auth.mtls] identity` says which.
    pub certificate: Option<Box<str>>,
    /// How it has to prove itself.
    #[serde(default)]
    pub credentials: Credentials,
}

impl Client {
    /// A client of which nothing is known but its role.
    pub fn of_role(role: Arc<str>) -> Self {
        Self {
            role,
            visibility: Visibility::default(),
            owner: None,
            owners: BTreeMap::new(),
            limits: None,
            certificate: None,
            credentials: Credentials::ANY,
        }
    }

    /// Which rows it may see for a user; a person is never taken for anybody but themselves.
    ///
    /// # Errors
    /// It is not known whose rows they are.
    pub fn scope(&self, user: Option<&User>) -> Result<Scope, Denial> {
        let name = user.map(|user| format!("{} {}", user.issuer, user.subject));
        match (self.visibility, name, &self.owner) {
            (Visibility::Org, _, _) => Ok(Scope::Org),
            (Visibility::Owner, _, Some(owner)) => Ok(Scope::Owner(owner.clone())),
            (Visibility::Owner, Some(name), None) => {
                let owner = self.owners.get(name.as_str());
                owner.cloned().map(Scope::Owner).ok_or(Denial::NoOwner)
            }
            (Visibility::UserToken, Some(name), _) => Ok(Scope::User(name.into())),
            (Visibility::UserToken, None, Some(owner)) => Ok(Scope::User(owner.clone())),
            (Visibility::Owner | Visibility::UserToken, None, None) => Err(Denial::NoUser),
        }
    }

    /// What of `owner` and `owners` does not go with the visibility.
    fn misfit(&self) -> Option<Misfit> {
        let (one, many) = (self.owner.is_some(), !self.owners.is_empty());
        // A space parts issuer and subject, so that no owner is taken for a person.
        let names = self.owner.iter().chain(self.owners.values());
        if names.into_iter().any(|name| !is_user(name)) {
            return Some(match self.visibility {
                Visibility::UserToken => Misfit::NotACredential,
                Visibility::Org | Visibility::Owner => Misfit::NotAUser,
            });
        }
        match self.visibility {
            Visibility::Org if one || many => Some(Misfit::NoUse),
            Visibility::Owner if one == many => Some(Misfit::OneOrMany),
            Visibility::UserToken if many => Some(Misfit::OwnCredentials),
            Visibility::Org | Visibility::Owner | Visibility::UserToken => None,
        }
    }
}

/// An id, or something like an e-mail address.
fn is_user(name: &str) -> bool {
    let id = (1..=20).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_digit());
    let address = name.contains('@') && name.len() <= 254;
    id || (address && !name.chars().any(|c| c.is_whitespace() || c.is_control()))
}

/// Which rows a client may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// All that the daemon's own Zoho user may see.
    #[default]
    Org,
    /// Those of one CRM user and of all who report to them, asked for with the daemon's user.
    Owner,
    /// All that the caller's own Zoho user may see, asked for with that user's token.
    UserToken,
}

/// Roles and clients together. [`Policy::check`] says whether they fit.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// By name.
    pub roles: BTreeMap<Arc<str>, Role>,
    /// By name.
    pub clients: BTreeMap<Arc<str>, Client>,
}

impl Policy {
    /// What is legal and probably not meant.
    ///
    /// # Errors
    /// Everything that is wrong with the policy.
    pub fn check(&self, known_tools: &[Permission]) -> Result<Vec<PolicyWarning>, Vec<BadPolicy>> {
        let (mut bad, mut warnings) = (Vec::new(), Vec::new());
        for (name, role) in &self.roles {
            for tool in &role.tools {
                match known_tools.iter().find(|known| known.tool == tool) {
                    None => bad.push(BadPolicy::UnknownTool {
                        role: Arc::clone(name),
                        tool: tool.as_str().into(),
                    }),
                    Some(known) if known.effect == Effect::Write && !role.allow_write => {
                        warnings.push(PolicyWarning {
                            role: Arc::clone(name),
                            tool: known.tool,
                        });
                    }
                    Some(_) => {}
                }
            }
        }
        for (name, client) in &self.clients {
            bad.extend(client.misfit().map(|misfit| BadPolicy::Owner {
                client: Arc::clone(name),
                misfit,
            }));
            if !self.roles.contains_key(&client.role) {
                bad.push(BadPolicy::UnknownRole {
                    client: Arc::clone(name),
                    role: Arc::clone(&client.role),
                });
            }
        }
        match bad.is_empty() {
            true => Ok(warnings),
            false => Err(bad),
        }
    }
}

/// A name in the policy that means nothing, and where it stands in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadPolicy {
    #[error("roles.{role}.tools: no tool is named {tool:?}")]
    UnknownTool { role: Arc<str>, tool: Box<str> },
    #[error("clients.{client}.role: no role is named {role:?}")]
    UnknownRole { client: Arc<str>, role: Arc<str> },
    #[error("clients.{client}.{misfit}")]
    Owner { client: Arc<str>, misfit: Misfit },
}

/// How a client's owners do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum Misfit {
    #[error("owner: a CRM user is named by id or e-mail address")]
    NotAUser,
    #[error("owner: a credential is named by the id or e-mail address of a CRM user")]
    NotACredential,
    #[error("owners: with visibility = \"user_token\" people have credentials of their own")]
    OwnCredentials,
    #[error("owner: this visibility has no use for it")]
    NoUse,
    #[error("visibility: \"owner\" needs either owner or owners")]
    OneOrMany,
}

impl BadPolicy {
    /// What mends it; `tools` lists the tools that there are.
    pub fn remedy(&self, tools: &str) -> String {
        match self {
            Self::UnknownTool { .. } => format!("the tools are: {tools}"),
            Self::UnknownRole { role, .. } => {
                format!("add [roles.{role}] with its tools, or name a role that there is")
            }
            Self::Owner { misfit, .. } => misfit.remedy().into(),
        }
    }
}

impl Misfit {
    const fn remedy(self) -> &'static str {
        match self {
            Self::NotAUser => "write owner = \"ann@example.com\" or the user's id",
            Self::NotACredential => {
                "write owner = \"ann@example.com\", and in zoho.user_credentials {\"ann@example.com\": …}"
            }
            Self::OwnCredentials => {
                "leave it out, and write {\"ISSUER SUBJECT\": …} into zoho.user_credentials for each person"
            }
            Self::NoUse => "set visibility = \"owner\", or leave it out",
            Self::OneOrMany => {
                "write owner = \"CRM user\", or owners = { \"ISSUER SUBJECT\" = \"CRM user\" }"
            }
        }
    }
}

/// A tool in a role's list that the role may not call all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("roles.{role}: {tool} writes, and without allow_write = true it is denied")]
pub struct PolicyWarning {
    /// The role that lists it.
    pub role: Arc<str>,
    /// The tool that writes.
    pub tool: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Permission; 2] = [
        Permission {
            tool: "search",
            effect: Effect::Read,
        },
        Permission {
            tool: "create",
            effect: Effect::Write,
        },
    ];

    fn policy(text: &str) -> Policy {
        #[derive(serde::Deserialize)]
        struct File {
            roles: BTreeMap<Arc<str>, Role>,
            clients: BTreeMap<Arc<str>, Client>,
        }
        let File { roles, clients } = toml::from_str(text).unwrap();
        Policy { roles, clients }
    }

    #[test]
    fn a_policy_that_fits_is_taken() {
        let policy = policy(
            "roles.r = { tools = ['search', 'create'], max_records_per_query = 10, allow_write = true }
             clients.c = { role = 'r', visibility = 'org', limits = { requests = 120, per = '1m' } }",
        );
        assert_eq!(policy.check(&KNOWN), Ok(vec![]));
    }

    #[test]
    fn every_name_that_means_nothing_is_told_with_its_place() {
        let policy = policy(
            "roles.r = { tools = ['serach', 'search'], max_records_per_query = 10 }
             clients.c = { role = 'x' }
             clients.d = { role = 'r' }",
        );
        let bad = policy.check(&KNOWN).unwrap_err();
        let texts: Vec<String> = bad.iter().map(BadPolicy::to_string).collect();
        assert_eq!(
            texts,
            [
                "roles.r.tools: no tool is named \"serach\"",
                "clients.c.role: no role is named \"x\"",
            ]
        );
    }

    #[test]
    fn a_writing_tool_without_the_right_to_write_is_worth_a_warning() {
        let policy = policy(
            "roles.r = { tools = ['create'], max_records_per_query = 10 }
             clients.c = { role = 'r' }",
        );
        let warnings = policy.check(&KNOWN).unwrap();
        assert_eq!(
            warnings[0].to_string(),
            "roles.r: create writes, and without allow_write = true it is denied"
        );
    }

    fn client(text: &str) -> Client {
        toml::from_str(&format!("role = 'r'\n{text}")).unwrap()
    }

    #[test]
    fn each_visibility_has_its_scope_and_a_person_is_only_themselves() {
        let user = User {
            issuer: "https://id.example".into(),
            subject: "ann".into(),
        };
        let scope = |text, user| client(text).scope(user);
        let owner = |name: &str| Ok(Scope::Owner(name.into()));
        let person = || Ok(Scope::User("https://id.example ann".into()));
        assert_eq!(scope("", Some(&user)), Ok(Scope::Org));
        let one = "visibility = 'owner'\nowner = '7'";
        assert_eq!(scope(one, None), owner("7"));
        assert_eq!(scope(one, Some(&user)), owner("7"));
        let many = "visibility = 'owner'\nowners = { 'https://id.example ann' = 'a@b.c' }";
        assert_eq!(scope(many, Some(&user)), owner("a@b.c"));
        assert_eq!(scope(many, None), Err(Denial::NoUser));
        let other = User {
            subject: "bo".into(),
            ..user.clone()
        };
        assert_eq!(scope(many, Some(&other)), Err(Denial::NoOwner));
        let own = "visibility = 'user_token'";
        assert_eq!(scope(own, Some(&user)), person());
        assert_eq!(scope(own, None), Err(Denial::NoUser));
        let fixed = "visibility = 'user_token'\nowner = 'a@b.c'";
        assert_eq!(scope(fixed, None), Ok(Scope::User("a@b.c".into())));
        assert_eq!(scope(fixed, Some(&user)), person());
    }

    #[test]
    fn owners_that_do_not_fit_the_visibility_are_told() {
        for (text, misfit) in [
            ("owner = '7'", Some(Misfit::NoUse)),
            ("visibility = 'owner'", Some(Misfit::OneOrMany)),
            (
                "visibility = 'owner'\nowner = '7'\nowners = { 'i s' = '8' }",
                Some(Misfit::OneOrMany),
            ),
            (
                "visibility = 'user_token'\nowners = { 'i s' = '8' }",
                Some(Misfit::OwnCredentials),
            ),
            (
                "visibility = 'user_token'\nowner = 'https://i a@b.c'",
                Some(Misfit::NotACredential),
            ),
            (
                "visibility = 'owner'\nowner = 'Ann'",
                Some(Misfit::NotAUser),
            ),
            ("visibility = 'owner'\nowner = 'a@b.c'", None),
            ("visibility = 'user_token'", None),
        ] {
            assert_eq!(client(text).misfit(), misfit, "{text}");
        }
    }
}
