//! Whether clients, roles and the ways to prove who is calling fit together.

use std::sync::Arc;

use super::{Config, Problem};
use crate::auth::{Way, jwt};

pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let issuers = jwt::config::check(&config.auth.jwt);
    let mut problems: Vec<Problem> = issuers
        .iter()
        .map(|bad| Problem::new(bad, bad.remedy()))
        .collect();
    let clients = config.policy().clients;
    for (place, issuer) in config.auth.jwt.iter().enumerate() {
        for client in issuer.named_clients() {
            if !clients.contains_key(&client) {
                problems.push(Problem::new(
                    format!("auth.jwt[{place}].client: no client is named {client:?}"),
                    format!("add [clients.{client}], or set role"),
                ));
            }
        }
        if let Some((client, role)) = issuer.implied_client()
            && clients.get(&client).is_some_and(|known| known.role != role)
        {
            problems.push(Problem::new(
                format!("auth.jwt[{place}].role: the client {client:?} has another role"),
                "leave role out where client names one of [clients], or name another client",
            ));
        }
    }
    problems.extend(config.clients.iter().flat_map(|(name, client)| {
        let ways = client.credentials.ways();
        ways.filter_map(|way| impossible(config, name, way))
    }));
    problems
}

/// A way that a client has to go and nobody can.
fn impossible(config: &Config, client: &Arc<str>, way: Way) -> Option<Problem> {
    let (possible, remedy) = match way {
        Way::ApiKey => (
            config.auth.api_keys.enabled,
            "set auth.api_keys.enabled = true",
        ),
        Way::Jwt => (!config.auth.jwt.is_empty(), "add [[auth.jwt]]"),
        Way::Mtls => return None,
    };
    let text = format!(
        "clients.{client}.credentials: {:?} is asked for and not accepted here",
        way.name()
    );
    (!possible).then(|| Problem::new(text, remedy))
}
