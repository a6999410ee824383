//! What is legal and yet leaves a door less closed, or a client more puzzled, than was probably meant.

use std::collections::BTreeSet;

use super::Config;
use crate::{auth::Issuer, limit, permit::Role, setting::Limit, tools};

pub(super) fn hints(config: &Config) -> Vec<String> {
    let mut hints = Vec::new();
    let base = config.server.public_url.as_deref();
    let base = base.map(|url| url.trim_end_matches('/'));
    match base {
        Some(base) => {
            hints.extend(path(base));
            let resource = format!("{base}/mcp");
            let issuers = config.auth.jwt.iter().enumerate();
            hints.extend(issuers.filter_map(|(place, issuer)| audience(place, issuer, &resource)));
        }
        None if !config.auth.jwt.is_empty() => hints.push(
            "server.public_url: it is not set, so OAuth clients are told to ask for tokens for \
             whatever name they used; set it to the address that is in auth.jwt.audience, without /mcp"
                .into(),
        ),
        None => {}
    }
    hints.extend(open_to_all(config));
    hints.extend({ config.roles.iter() }.flat_map(|(name, role)| role_hints(name, role)));
    let own = own_limits(config);
    hints.extend(limit::unreached(&config.limits, &own).map(|it| it.to_string()));
    hints.extend(config.mcp.unreached().map(str::to_owned));
    let replicas = config.redis.expected_replicas;
    let replicas = replicas.filter(|_| config.redis.is_configured());
    let indivisible = replicas.map(|it| limit::indivisible(&config.limits, &own, it));
    hints.extend(indivisible.into_iter().flatten().map(|it| it.to_string()));
    hints.extend(replicas.filter(|it| it.get() > 10).map(|it| {
        format!(
            "redis.expected_replicas: {it} instances are more than the ten access tokens that zoho \
             gives in ten minutes, so that none may ask for one while Redis is gone; run ten or fewer"
        )
    }));
    if config.server.tls.takes_certificates() && config.server.tls.client_crl.is_none() {
        hints.push(
            "server.tls.client_crl: it is not set, so no client certificate can be revoked before \
             it expires; name the revocation list of the CA, or issue short-lived certificates"
                .into(),
        );
    }
    hints
}

/// Of the clients that have one.
fn own_limits(config: &Config) -> Vec<(&str, Limit)> {
    let clients = config.clients.iter();
    clients
        .filter_map(|(name, client)| Some((name.as_ref(), client.limits?)))
        .collect()
}

/// Behind a load balancer one of the three is set.
fn open_to_all(config: &Config) -> Option<String> {
    let server = &config.server;
    let is_open = server.listen.ip().is_unspecified()
        && server.tls.cert.is_none()
        && server.public_url.is_none()
        && server.trusted_proxies.is_empty();
    is_open.then(|| {
        "server.listen: it is every address of this machine, without TLS, so keys cross the network \
         in clear text; set server.tls, or public_url and trusted_proxies behind a load balancer, or \
         listen on 127.0.0.1"
            .into()
    })
}

fn role_hints(name: &str, role: &Role) -> Vec<String> {
    let mut hints = Vec::new();
    if role.tools.is_empty() {
        hints.push(format!(
            "roles.{name}.tools: it is empty, so the role may call nothing; list some tools"
        ));
    }
    let mut seen = BTreeSet::new();
    let twice = { role.tools.iter() }.filter(|tool| !seen.insert(*tool));
    let twice: BTreeSet<&String> = twice.collect();
    hints.extend(
        twice
            .into_iter()
            .map(|tool| format!("roles.{name}.tools: {tool} is listed twice; once is enough")),
    );
    if role.max_records_per_query.get() > tools::MOST_RECORDS {
        hints.push(format!(
            "roles.{name}.max_records_per_query: no call returns more than {} records; set that, or \
             less",
            tools::MOST_RECORDS
        ));
    }
    hints
}

/// Clients ask for a token for the resource that the metadata names, and issuers put that into `aud`.
fn audience(place: usize, issuer: &Issuer, resource: &str) -> Option<String> {
    let named = issuer.audience.list();
    (!named.iter().any(|audience| **audience == *resource)).then(|| {
        format!(
            "auth.jwt[{place}].audience: OAuth clients ask for tokens for {resource:?}, which is not \
             listed; add it unless the issuer is known to write another audience"
        )
    })
}

fn path(base: &str) -> Option<String> {
    let after_scheme = base.split_once("://")?.1;
    let (_, path) = after_scheme.split_once('/')?;
    Some(format!(
        "server.public_url: it has the path /{path}, and the daemon serves /mcp, /sse and \
         /.well-known without one; leave it out unless a proxy takes it off"
    ))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf};

    use crate::config::Loaded;

    fn said(server: &str, more: &str) -> String {
        let text = format!(
            "[server]\n{server}\n{more}\n[roles.r]\ntools = ['search_contacts']\nmax_records_per_query = 1\n\
             [clients.c]\nrole = 'r'\n"
        );
        let loaded = Loaded::from_text("x.toml", &text, PathBuf::new(), &BTreeMap::new());
        loaded.unwrap().warnings.join("\n")
    }

    fn issuer(audience: &str) -> String {
        format!(
            "[[auth.jwt]]\nissuer = 'https://login.example.com/'\naudience = {audience}\n\
             jwks = 'https://login.example.com/keys'\nclient = 'c'\n"
        )
    }

    #[test]
    fn an_audience_is_this_server() {
        let url = "public_url = 'https://mcp.example.com/'";
        for good in [
            "'https://mcp.example.com/mcp'",
            "['x', 'https://mcp.example.com/mcp']",
        ] {
            assert_eq!(said(url, &issuer(good)), "", "{good}");
        }
        for bad in [
            "'https://mcp.example.com'",
            "'https://other.example.com/mcp'",
        ] {
            let said = said(url, &issuer(bad));
            assert!(said.starts_with("auth.jwt[0].audience"), "{said}");
            assert!(said.contains("\"https://mcp.example.com/mcp\""), "{said}");
        }
        let nameless = said("", &issuer("'https://mcp.example.com/mcp'"));
        assert!(
            nameless.starts_with("server.public_url: it is not set"),
            "{nameless}"
        );
    }

    #[test]
    fn a_listener_for_everyone_is_encrypted_or_behind_something() {
        let open = "listen = '0.0.0.0:3000'\n";
        assert!(said(open, "").starts_with("server.listen: it is every address"));
        for closed in [
            "listen = '127.0.0.1:3000'\n",
            "listen = '0.0.0.0:3000'\npublic_url = 'https://mcp.example.com'\n",
            "listen = '0.0.0.0:3000'\ntrusted_proxies = ['10.0.0.0/24']\n",
            "listen = '0.0.0.0:3000'\ntls = { cert = 'a', key = 'b' }\n",
        ] {
            assert_eq!(said(closed, ""), "", "{closed}");
        }
    }

    #[test]
    fn a_role_that_can_do_less_than_it_says_is_told() {
        let role = |tools: &str, most: u32| {
            said(
                "",
                &format!("[roles.x]\ntools = {tools}\nmax_records_per_query = {most}\n"),
            )
        };
        assert_eq!(role("['search_contacts']", 200), "");
        assert!(role("[]", 1).contains("roles.x.tools: it is empty"));
        let twice = role(
            "['search_contacts', 'search_contacts', 'search_contacts']",
            1,
        );
        assert_eq!(twice.matches("search_contacts is listed twice").count(), 1);
        assert!(role("['search_contacts']", 201).contains("more than 200 records"));
    }

    #[test]
    fn a_limit_has_a_share_for_each_instance() {
        let redis = "[redis]\nurl = 'redis://redis:6379'\nexpected_replicas = 5\n";
        let tool = |limit: &str| {
            let tool = format!("[limits.tools]\nsearch_contacts = {{ per = '1m', {limit} }}\n");
            (said("", &tool), said("", &format!("{redis}{tool}")))
        };
        let is_told = |said: &str| said.contains("limits.tools.search_contacts: 4 is less than");
        let (alone, shared) = tool("requests = 4");
        assert!(!is_told(&alone) && is_told(&shared), "{alone} {shared}");
        for good in [
            "requests = 5",
            "requests = 4, mode = 'shadow'",
            "requests = 4, on_store_error = 'closed'",
        ] {
            let (_, shared) = tool(good);
            assert!(!shared.contains("is less than"), "{good}: {shared}");
        }
        let many = redis.replace('5', "11");
        let too_many = "11 instances are more than the ten access tokens";
        assert!(said("", &many).contains(too_many) && !said("", redis).contains("access tokens"));
        let shared = said("", &format!("{redis}[limits]\nin_flight = 2\n"));
        assert!(shared.contains("limits.in_flight: 2 is less"), "{shared}");
    }

    #[test]
    fn a_path_is_for_proxies_that_take_it_off() {
        let with_path = said("public_url = 'https://example.com/crm/'", "");
        assert!(with_path.contains("it has the path /crm"), "{with_path}");
        assert_eq!(said("public_url = 'https://example.com/'", ""), "");
    }

    #[test]
    fn certificates_can_be_taken_back() {
        let files = "[server.tls]\ncert = 'a'\nkey = 'a'\nclient_ca = 'b'\n";
        let asks = "client_auth = 'optional'\n";
        assert!(said("", &format!("{files}{asks}")).contains("server.tls.client_crl"));
        assert_eq!(said("", files), "", "none is asked for");
        assert_eq!(said("", &format!("{files}{asks}client_crl = 'c'\n")), "");
    }
}
