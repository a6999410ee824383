//! Whether clients, roles and the ways to prove who is calling fit together.

use std::sync::Arc;

use super::{Config, Problem};
use crate::auth::{
    Issuer, Way,
    api_key::{KeyRecord, is_client_name},
    jwt,
};

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
    problems.extend(unspeakable("roles", config.roles.keys()));
    problems.extend(unspeakable("clients", config.clients.keys()));
    problems
}

/// Names that no key can be made for, and no log can show as they are.
fn unspeakable<'a>(
    section: &str,
    names: impl Iterator<Item = &'a Arc<str>>,
) -> impl Iterator<Item = Problem> {
    names.filter(|name| !is_client_name(name)).map(move |name| {
        Problem::new(
            format!("{section}.{name:?}: the name is empty, longer than 128 bytes or has control characters"),
            "name it in letters, digits and dashes",
        )
    })
}

impl Config {
    /// Keys of no client, and clients of whom nothing can prove that it is they who call.
    pub fn unproven(&self, keys: &[&KeyRecord]) -> Vec<String> {
        let known = self.policy().clients;
        let foreign = keys.iter().filter(|key| !known.contains_key(&key.client));
        let mut warnings: Vec<String> = foreign
            .map(|KeyRecord { id, client, .. }| {
                format!(
                    "auth.api_keys.source: the key {id} is of a client that is not configured; \
                     add [clients.{client}], or retire the key"
                )
            })
            .collect();
        for (name, client) in &self.clients {
            let can = |way: &Way| match way {
                Way::ApiKey => self.auth.api_keys.enabled && keys.iter().any(|k| k.client == *name),
                Way::Jwt => {
                    let mut named = self.auth.jwt.iter().flat_map(Issuer::named_clients);
                    named.any(|client| client == *name)
                }
                Way::Mtls => self.server.tls.client_ca.is_some() && client.certificate.is_some(),
            };
            let mut asked = client.credentials.ways().peekable();
            let missing = match asked.peek() {
                Some(_) => asked.find(|way| !can(way)).map(lacking),
                None if [Way::ApiKey, Way::Jwt, Way::Mtls].iter().any(can) => None,
                None => Some("no key, no certificate, and no issuer that names it"),
            };
            warnings.extend(missing.map(|missing| {
                format!(
                    "clients.{name}: nobody can call as this client, it has {missing}; \
                     make a key with `zoho-mcp keys new --client {name}`, set its certificate, \
                     or name it in [[auth.jwt]]"
                )
            }));
        }
        warnings
    }
}

/// What a client lacks that has to go this way and cannot.
const fn lacking(way: Way) -> &'static str {
    match way {
        Way::ApiKey => "no key",
        Way::Jwt => "no issuer that names it",
        Way::Mtls => "no certificate",
    }
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
