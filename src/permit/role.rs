//! Roles and clients, as the configuration spells them.

use super::{Effect, Permission};
use crate::{auth::Credentials, setting::Quota};
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
    /// Instead of `[limits] client`.
    pub limits: Option<Quota>,
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
            limits: None,
            certificate: None,
            credentials: Credentials::ANY,
        }
    }
}

/// Which rows a client may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// All that the daemon's own Zoho user may see.
    #[default]
    Org,
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
    /// Everything that is wrong with the policy, or what is legal and probably not meant.
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
    #[error("clients.{client}.role: no role is named {role:?}; add [roles.{role}]")]
    UnknownRole { client: Arc<str>, role: Arc<str> },
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
                "clients.c.role: no role is named \"x\"; add [roles.x]",
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
}
