//! How clients find out where to get a token: the metadata of RFC 9728, and the challenges that
//! point to it.

use std::{fmt::Write as _, sync::Arc};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Uri, header};
use serde::Serialize;

use super::{Gate, jwt::Tokens, scopes};
use crate::refusal::Refusal;

/// What challenges and metadata are made of.
pub(super) struct Discovery<'a> {
    pub(super) tokens: Arc<Tokens>,
    pub(super) public_url: Option<&'a str>,
    pub(super) scheme: &'static str,
}

/// `GET /.well-known/oauth-protected-resource` and `…/mcp`: for anybody.
pub async fn protected_resource(
    State(gate): State<Arc<Gate>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let discovery = gate.discovery();
    let servers = discovery.tokens.authorization_servers();
    let base = discovery.base(&headers, Some(&uri));
    let (Some(base), false) = (base, servers.is_empty()) else {
        return Refusal::NoIssuer.into_response();
    };
    let metadata = Metadata {
        resource: format!("{base}/mcp"),
        authorization_servers: &servers,
        scopes_supported: discovery.scopes(),
        bearer_methods_supported: ["header"],
        resource_name: "Zoho CRM",
    };
    let cached = [(header::CACHE_CONTROL, "max-age=300")];
    (cached, Json(metadata)).into_response()
}

#[derive(Serialize)]
struct Metadata<'a> {
    resource: String,
    authorization_servers: &'a [Arc<str>],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes_supported: Vec<Box<str>>,
    bearer_methods_supported: [&'static str; 1],
    resource_name: &'static str,
}

impl Discovery<'_> {
    /// The challenge of a 401; `error` describes a token that was presented.
    pub(super) fn challenge(&self, headers: &HeaderMap, error: Option<&str>) -> HeaderValue {
        let mut challenge = String::from("Bearer realm=\"zoho-mcp\"");
        if let Some(description) = error {
            let _ = write!(
                challenge,
                ", error=\"invalid_token\", error_description=\"{description}\""
            );
        }
        self.point(&mut challenge, headers, &self.scopes().join(" "));
        value(&challenge)
    }

    /// The challenge of a 403.
    pub(super) fn scope_challenge(&self, headers: &HeaderMap, scope: &str) -> HeaderValue {
        let mut challenge = String::from("Bearer realm=\"zoho-mcp\", error=\"insufficient_scope\"");
        self.point(&mut challenge, headers, scope);
        value(&challenge)
    }

    /// The scopes that a client had better ask for.
    pub(super) fn scopes(&self) -> Vec<Box<str>> {
        let ours = scopes::SUPPORTED.into_iter().map(Box::from);
        let ours = ours.filter(|_| self.tokens.have_scopes());
        self.tokens
            .required_scopes()
            .into_iter()
            .chain(ours)
            .collect()
    }

    fn point(&self, challenge: &mut String, headers: &HeaderMap, scope: &str) {
        if self.tokens.authorization_servers().is_empty() {
            return;
        }
        if let Some(base) = self.base(headers, None) {
            let _ = write!(challenge, ", resource_metadata=\"{base}{PATH}\"");
        }
        if !scope.is_empty() {
            let _ = write!(challenge, ", scope=\"{scope}\"");
        }
    }

    /// `[server] public_url`, or else the name that the client used, which the walk has checked.
    fn base(&self, headers: &HeaderMap, uri: Option<&Uri>) -> Option<String> {
        if let Some(url) = self.public_url {
            return Some(url.trim_end_matches('/').to_owned());
        }
        let target = uri
            .and_then(Uri::authority)
            .map(http::uri::Authority::as_str);
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        Some(format!("{}://{}", self.scheme, target.or(host)?))
    }
}

/// A value that cannot stand in a header leaves a plain challenge.
fn value(challenge: &str) -> HeaderValue {
    HeaderValue::from_str(challenge).unwrap_or(HeaderValue::from_static("Bearer"))
}

/// For the resource `/mcp` (RFC 9728, section 3.1).
pub const PATH: &str = "/.well-known/oauth-protected-resource/mcp";
/// For clients that do not look there.
pub const ROOT_PATH: &str = "/.well-known/oauth-protected-resource";
