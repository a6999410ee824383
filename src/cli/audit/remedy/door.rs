//! What helps somebody who was not let in, or whose stream was ended for what became of their
//! credential.

use serde_json::Value;

use super::{super::reason::because, Remedy, Settings, UNHEARD_OF, of_line, path};

pub(super) fn not_proven(line: &Value, settings: &Settings<'_>) -> Remedy {
    let reason = of_line(line, "reason");
    let (key, client) = (of_line(line, "keyId"), of_line(line, "clientId"));
    let (what, setting) = key_or_certificate(reason, key, client)
        .or_else(|| token(reason, of_line(line, "issuer"), settings))
        .or_else(|| certificate(reason, client))
        .unwrap_or_else(|| (UNHEARD_OF.to_owned(), None));
    Remedy {
        why: because(line, reason),
        what,
        setting,
        and: Vec::new(),
    }
}

type Advice = (String, Option<Vec<String>>);

fn key_or_certificate(reason: &str, key: &str, client: &str) -> Option<Advice> {
    let told = |what: &str| (what.to_owned(), None);
    Some(match reason {
        "no_credential" => told("send the key in X-API-Key, or what the listener asks for instead"),
        "malformed" | "checksum" => {
            told("the key is not whole, or none of ours: copy it again, all of it")
        }
        "unknown_key" | "wrong_secret" => {
            told("compare with `zoho-mcp keys list`, or make a new key")
        }
        "not_yet_valid" => (
            format!("the key {key} holds only later: `zoho-mcp keys list` says when"),
            None,
        ),
        "revoked" | "retired" | "expired" | "key_revoked" | "key_retired" | "key_expired"
        | "key_removed" => (
            format!("the key {key} is over: `zoho-mcp keys rotate` makes another"),
            None,
        ),
        "unknown_client" | "client_removed" => (
            format!("the credential {key} is a client's that is not under [clients]"),
            None,
        ),
        "conflict" => told(
            "send one credential: these are of two clients, or sent twice. A proxy that adds one is a usual cause",
        ),
        "foreign_session" => told(
            "use the session that this caller opened itself: a session belongs to whoever opened it. If that was no mistake, somebody else has its id: see who with `audit story --client`",
        ),
        "another_credential_needed" => (
            format!("{client} has to prove itself in another way as well, or may in another only"),
            path(["clients", client, "credentials"]),
        ),
        "too_many_failures" => (
            "wait; then send a good credential, since the address has sent many bad ones".into(),
            path(["limits", "failed_logins"]),
        ),
        _ => return None,
    })
}

fn token(reason: &str, issuer: &str, settings: &Settings<'_>) -> Option<Advice> {
    let what = match reason {
        "token_expired" => return Some(("get a new token from the issuer".into(), None)),
        "token_not_a_key" => "no issuer of tokens is configured, and this is no key of ours",
        "token_keys_unavailable" => {
            "the keys of the issuer cannot be had: `zoho-mcp check --online` says why"
        }
        "token_not_yet_valid" | "token_issued_in_future" => {
            "set the clocks of the issuer and of this machine, or allow more leeway"
        }
        "token_scope_missing" => "ask the issuer for a token with the scope that every token needs",
        "token_unknown_client" => "name the client that the token stands for under [clients]",
        "token_bound_to_another" => {
            "the token is bound to a certificate: show that one on the connection"
        }
        "token_reassessed" => {
            "by the configuration of now the token means another client or other scopes: open the stream again"
        }
        "token_issuer_removed" | "token_issuer" => "the issuer is none that is configured",
        "token_signature" => {
            "the key that is trusted for its issuer did not sign it. With jwks: the token was changed on its way, or is another issuer's; with public_key: put the issuer's new key into the file as well; with hs256_secret: the issuer and this daemon have different secrets"
        }
        "token_unknown_key" | "token_key_removed" => {
            "the issuer's key set does not have the key that signed it"
        }
        "token_audience" => {
            "the token is for somebody else: ask for one with the audience of [[auth.jwt]]"
        }
        "token_algorithm"
        | "token_type"
        | "token_header"
        | "token_critical_header"
        | "token_brings_key" => "the issuer makes tokens in a way that is not accepted here",
        "token_too_long" | "token_malformed" => "it is no token, or not all of it: send it whole",
        "token_claims"
        | "token_expiry_missing"
        | "token_issued_at_missing"
        | "token_subject"
        | "token_scope_unreadable"
        | "token_lives_too_long" => {
            "the token lacks a claim, has one that cannot be read, or lives longer than is allowed: change it at the issuer"
        }
        _ => return None,
    };
    Some((what.into(), of_issuer(reason, issuer, settings)))
}

/// The key of the issuer's own part of the configuration that decided, as far as it is set there.
fn of_issuer(reason: &str, issuer: &str, settings: &Settings<'_>) -> Option<Vec<String>> {
    let Some(place) = settings.place_of_issuer(issuer) else {
        return path(["auth", "jwt"]);
    };
    let keys: &[&str] = match reason {
        "token_not_yet_valid" | "token_issued_in_future" => &["leeway"],
        "token_scope_missing" => &["required_scopes"],
        "token_unknown_client" | "token_reassessed" => &["clients", "client"],
        "token_signature"
        | "token_unknown_key"
        | "token_key_removed"
        | "token_keys_unavailable" => &["jwks", "public_key", "hs256_secret"],
        "token_audience" => &["audience"],
        "token_algorithm" => &["algorithms"],
        "token_type" => &["types"],
        "token_lives_too_long" => &["max_lifetime"],
        _ => &[],
    };
    let is_set = |key: &&&str| settings.sets(&["auth", "jwt", &place, key]);
    let key = keys.iter().find(is_set).unwrap_or(&"issuer");
    path(["auth", "jwt", &place, key])
}

fn certificate(reason: &str, client: &str) -> Option<Advice> {
    let tls = |key| path(["server", "tls", key]);
    let (what, setting) = match reason {
        "no_certificate" => ("show a client certificate", tls("client_auth")),
        "certificate_expired" | "certificate_not_yet_valid" => {
            ("issue another certificate, or set the clocks", None)
        }
        "certificate_revoked" => (
            "issue another certificate: the CA has revoked this one",
            None,
        ),
        "revocation_unknown" | "crl_expired" | "crl_untrusted" => (
            "fetch a fresh list from the CA that issued the certificate",
            tls("client_crl"),
        ),
        "unknown_issuer" | "untrusted_chain" | "bad_signature" => (
            "send the whole chain, of a CA that is trusted here",
            tls("client_ca"),
        ),
        "malformed_certificate" | "weak_signature" | "wrong_purpose" | "wrong_key_usage" => (
            "issue a certificate for client authentication, with a key that signs and an algorithm that is still trusted",
            None,
        ),
        "no_certificate_name" | "several_certificate_names" => (
            "issue a certificate that names one client, in the way configured",
            path(["auth", "mtls", "identity"]),
        ),
        "certificate_names_disagree" | "unknown_certificate_name" => (
            "name the client as its certificate does",
            path(["clients", client, "certificate"]),
        ),
        _ => return None,
    };
    Some((what.into(), setting))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::{of, told_keys},
        *,
    };
    use crate::config::Environment;

    const CONFIG: &str = "\
[[auth.jwt]]
issuer = \"https://a.example/\"
audience = \"https://x.example/mcp\"
[[auth.jwt]]
issuer = \"https://b.example/\"
audience = \"https://y.example/mcp\"
hs256_secret = \"file:b\"
";

    #[test]
    fn a_token_is_told_what_its_own_issuer_has_configured() {
        let environment = Environment::new();
        let settings = Settings::new(Some(("f", CONFIG)), &environment).unwrap();
        for (issuer, reason, wanted) in [
            (
                "https://b.example/",
                "token_audience",
                "auth.jwt.1.audience",
            ),
            (
                "https://a.example/",
                "token_audience",
                "auth.jwt.0.audience",
            ),
            (
                "https://b.example/",
                "token_signature",
                "auth.jwt.1.hs256_secret",
            ),
            (
                "https://b.example/",
                "token_lives_too_long",
                "auth.jwt.1.issuer",
            ),
            ("https://c.example/", "token_issuer", "auth.jwt"),
        ] {
            let line = json!({ "event": "auth_failed", "reason": reason, "issuer": issuer });
            let remedy = of(&line, &settings).unwrap();
            assert_eq!(told_keys(remedy), [wanted], "{reason}");
        }
        let (number, _) = settings
            .file()
            .unwrap()
            .1
            .line_of(&["auth", "jwt", "1", "audience"])
            .unwrap();
        assert_eq!(number, 6);
    }
}
