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

/// What is legal, and lets in fewer than was probably meant.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut named = config
        .clients
        .iter()
        .filter(|(_, c)| c.certificate.is_some());
    let named = named.next().map(|(client, _)| client);
    let by_certificate = config.server.tls.takes_certificates();
    if let (false, Some(client)) = (by_certificate, named) {
        warnings.push(format!(
            "clients.{client}.certificate: no certificate is asked for; set server.tls.client_ca and server.tls.client_auth"
        ));
    }
    let by_certificate = by_certificate && named.is_some();
    if !config.auth.api_keys.enabled && config.auth.jwt.is_empty() && !by_certificate {
        warnings.push(
            "auth: nobody can come in; set auth.api_keys.enabled = true, add [[auth.jwt]], or set server.tls.client_auth and the certificate of a client".into(),
        );
    }
    warnings
}

/// A way that a client has to go and nobody can.
fn impossible(config: &Config, client: &Arc<str>, way: Way) -> Option<Problem> {
    let (possible, remedy) = match way {
        Way::ApiKey => (
            config.auth.api_keys.enabled,
            "set auth.api_keys.enabled = true",
        ),
        Way::Jwt => (!config.auth.jwt.is_empty(), "add [[auth.jwt]]"),
        Way::Mtls => (
            config.server.tls.takes_certificates(),
            "set server.tls.client_ca and server.tls.client_auth",
        ),
    };
    let text = format!(
        "clients.{client}.credentials: {:?} is asked for and not accepted here",
        way.name()
    );
    (!possible).then(|| Problem::new(text, remedy))
}

#[cfg(test)]
mod tests {
    use crate::config::Loaded;
    use std::{collections::BTreeMap, path::PathBuf};

    const ISSUER: &str = "[[auth.jwt]]\nissuer = 'https://login.example.com/'\naudience = 'a'\n\
        jwks = 'https://login.example.com/keys'\n";

    fn said(issuer: &str, client: &str) -> String {
        let text = format!(
            "{ISSUER}{issuer}\n[roles.r]\ntools = []\nmax_records_per_query = 1\n\
             [clients.c]\nrole = 'r'\n{client}\n"
        );
        let loaded = Loaded::from_text("x.toml", &text, PathBuf::new(), &BTreeMap::new());
        loaded
            .err()
            .map(|refused| refused.to_string())
            .unwrap_or_default()
    }

    #[test]
    fn callers_of_an_issuer_are_a_client_or_have_a_role() {
        for issuer in [
            "client = 'c'",
            "role = 'r'",
            "client = 'c'\nrole = 'r'",
            "client = 'new'\nrole = 'r'",
            "clients = { x = 'c' }",
        ] {
            assert_eq!(said(issuer, ""), "", "{issuer}");
        }
        for (issuer, says) in [
            ("", "auth.jwt[0].client: nothing says which client"),
            (
                "client = 'd'",
                "auth.jwt[0].client: no client is named \"d\"",
            ),
            (
                "clients = { x = 'd' }",
                "auth.jwt[0].client: no client is named \"d\"",
            ),
            (
                "client = 'c'\nrole = 's'",
                "auth.jwt[0].role: the client \"c\" has another role",
            ),
            (
                "role = 's'",
                "clients.login.example.com.role: no role is named \"s\"",
            ),
        ] {
            assert!(
                said(issuer, "").contains(says),
                "{issuer}: {}",
                said(issuer, "")
            );
        }
    }

    #[test]
    fn a_credential_that_nobody_accepts_cannot_be_asked_for() {
        assert_eq!(said("role = 'r'", "credentials = ['api_key', 'jwt']"), "");
        let none = "credentials = ['api_key']\n[auth.api_keys]\nenabled = false";
        assert!(said("role = 'r'", none).contains("clients.c.credentials: \"api_key\""));
        assert!(said("role = 'r'", "credentials = []").contains("clients.c.credentials: expected"));
    }
}
