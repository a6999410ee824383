//! What a caller may touch: `decide` is a pure function from policy, caller and tool to a
//! [`Grant`] with obligations, or a [`Denial`].

pub mod grant;
mod guard;
pub mod role;

pub use grant::{Denial, Effect, Grant, Permission};
pub use guard::{Decision, Gate, permit};
pub use role::{BadPolicy, Client, Misfit, Policy, PolicyWarning, Role, Visibility};

use crate::auth::Caller;

/// Whether a caller may use a tool now. The role is the one that the policy gives to the client
/// at this moment, so that a change of policy also holds for connections that are open.
///
/// # Errors
/// Why it may not.
pub fn decide(policy: &Policy, caller: &Caller, permission: Permission) -> Result<Grant, Denial> {
    let client = policy
        .clients
        .get(&caller.client)
        .ok_or(Denial::UnknownClient)?;
    let role = policy.roles.get(&client.role).ok_or(Denial::UnknownRole)?;
    if !role.names(permission.tool) {
        return Err(Denial::NotInRole);
    }
    if permission.effect == Effect::Write && !role.allow_write {
        return Err(Denial::WriteNotAllowed);
    }
    let writes = permission.effect == Effect::Write;
    let scopes = caller.scopes.as_ref();
    if scopes.is_some_and(|scopes| !scopes.cover(permission.tool, writes)) {
        return Err(Denial::NotInScope);
    }
    let scope = client.scope(caller.user.as_ref())?;
    Ok(Grant::new(permission, role.max_records_per_query, scope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Credentials, Proof, Scopes, Way};
    use proptest::prelude::*;
    use std::{num::NonZeroU32, sync::Arc};

    const TOOLS: [&str; 5] = ["a", "b", "c", "d", "e"];

    /// One random world: the roles, the clients' roles, who calls what.
    #[derive(Debug)]
    struct World {
        /// Tools, ceiling, right to write; the role's name is its place.
        roles: Vec<(Vec<usize>, u32, bool)>,
        /// The role of each client; the client's name is its place.
        clients: Vec<usize>,
        caller: usize,
        caller_role: usize,
        tool: usize,
        writes: bool,
        /// The words of the token's scope, of those in [`SCOPES`].
        scopes: Option<Vec<usize>>,
    }

    const SCOPES: [&str; 5] = ["crm:read", "crm:write", "tool:a", "b", "openid"];

    fn world() -> impl Strategy<Value = World> {
        let role = (
            proptest::collection::vec(0..TOOLS.len(), 0..4),
            1_u32..200,
            any::<bool>(),
        );
        (
            proptest::collection::vec(role, 0..4),
            proptest::collection::vec(0_usize..5, 0..4),
            (0_usize..5, 0_usize..5, 0..TOOLS.len(), any::<bool>()),
            proptest::option::of(proptest::collection::vec(0..SCOPES.len(), 0..4)),
        )
            .prop_map(
                |(roles, clients, (caller, caller_role, tool, writes), scopes)| World {
                    scopes,
                    roles,
                    clients,
                    caller,
                    caller_role,
                    tool,
                    writes,
                },
            )
    }

    fn name(kind: &str, place: usize) -> Arc<str> {
        format!("{kind}-{place}").into()
    }

    impl World {
        fn policy(&self) -> Policy {
            let role = |(tools, ceiling, allow_write): &(Vec<usize>, u32, bool)| Role {
                tools: tools.iter().map(|&tool| TOOLS[tool].to_owned()).collect(),
                max_records_per_query: NonZeroU32::new(*ceiling).unwrap(),
                allow_write: *allow_write,
            };
            let client = |&role: &usize| Client {
                role: name("role", role),
                visibility: Visibility::Org,
                owner: None,
                owners: Default::default(),
                limits: None,
                credentials: Credentials::ANY,
                certificate: None,
            };
            let roles = self.roles.iter().map(role).enumerate();
            let clients = self.clients.iter().map(client).enumerate();
            Policy {
                roles: roles
                    .map(|(place, role)| (name("role", place), role))
                    .collect(),
                clients: clients
                    .map(|(place, client)| (name("client", place), client))
                    .collect(),
            }
        }

        fn caller(&self) -> Caller {
            Caller {
                client: name("client", self.caller),
                role: name("role", self.caller_role),
                user: None,
                user_in_log: None,
                proven_by: Proof::by(Way::ApiKey),
                key_id: None,
                scopes: self
                    .scopes
                    .as_ref()
                    .map(|words| Scopes::of(words.iter().map(|&word| SCOPES[word]))),
                standing: [].into(),
            }
        }

        fn permission(&self) -> Permission {
            Permission {
                tool: TOOLS[self.tool],
                effect: match self.writes {
                    true => Effect::Write,
                    false => Effect::Read,
                },
            }
        }

        /// The ceiling where the call is allowed, told from the world and not from the policy.
        fn oracle(&self) -> Option<u32> {
            let mut ceiling = None;
            for (place, (tools, records, may_write)) in self.roles.iter().enumerate() {
                let has_role = self.clients.get(self.caller) == Some(&place);
                let harmless = !self.writes || *may_write;
                let scope = self.scopes.as_ref().is_none_or(|words| {
                    words.iter().any(|&word| match word {
                        0 => !self.writes,
                        1 => self.writes,
                        2 => self.tool == 0,
                        3 => self.tool == 1,
                        _ => false,
                    })
                });
                if has_role && harmless && scope && tools.contains(&self.tool) {
                    ceiling = Some(*records);
                }
            }
            ceiling
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100_000))]

        #[test]
        fn it_decides_as_an_oracle_does(world in world(), asked: u32) {
            let granted = decide(&world.policy(), &world.caller(), world.permission());
            prop_assert_eq!(granted.as_ref().ok().map(Grant::max_records), world.oracle());
            if let Ok(grant) = granted {
                prop_assert_eq!(grant.tool(), world.permission().tool);
                prop_assert!((1..=grant.max_records()).contains(&grant.rows(asked)));
                prop_assert_eq!(grant.rows(grant.max_records()), grant.max_records());
            }
        }
    }

    fn small(allow_write: bool) -> World {
        World {
            roles: vec![(vec![0], 10, allow_write)],
            clients: vec![0, 1],
            caller: 0,
            caller_role: 0,
            tool: 0,
            writes: true,
            scopes: None,
        }
    }

    fn denial(world: &World) -> Denial {
        decide(&world.policy(), &world.caller(), world.permission()).unwrap_err()
    }

    #[test]
    fn each_denial_has_its_reason() {
        assert_eq!(denial(&small(false)), Denial::WriteNotAllowed);
        assert_eq!(
            denial(&World {
                scopes: Some(vec![0, 3]),
                ..small(true)
            }),
            Denial::NotInScope
        );
        assert_eq!(
            denial(&World {
                tool: 1,
                ..small(true)
            }),
            Denial::NotInRole
        );
        assert_eq!(
            denial(&World {
                caller: 1,
                ..small(true)
            }),
            Denial::UnknownRole
        );
        assert_eq!(
            denial(&World {
                caller: 2,
                ..small(true)
            }),
            Denial::UnknownClient
        );
    }

    #[test]
    fn a_caller_has_the_role_that_its_client_has_now() {
        let world = World {
            caller_role: 3,
            ..small(true)
        };
        assert!(decide(&world.policy(), &world.caller(), world.permission()).is_ok());
    }

    #[test]
    fn rows_are_what_was_asked_for_within_the_ceiling() {
        let world = small(true);
        let grant = decide(&world.policy(), &world.caller(), world.permission()).unwrap();
        let rows = [0, 1, 9, 10, 11, u32::MAX].map(|asked| grant.rows(asked));
        assert_eq!(rows, [1, 1, 9, 10, 10, 10]);
    }
}
