//! What is legal and yet leaves a door less closed, or a client more puzzled, than was probably meant.

use super::Config;
use crate::auth::Issuer;

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
    if config.server.tls.takes_certificates() && config.server.tls.client_crl.is_none() {
        hints.push(
            "server.tls.client_crl: it is not set, so no client certificate can be revoked before \
             it expires; name the revocation list of the CA, or issue short-lived certificates"
                .into(),
        );
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
            "[server]\n{server}\n{more}\n[roles.r]\ntools = []\nmax_records_per_query = 1\n\
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
