//! Guard: the span of a request, from here until nobody works on it any more.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, Version},
    middleware::Next,
    response::Response,
};
use opentelemetry::KeyValue;
use rmcp::model::ProtocolVersion;

use crate::{
    auth::Caller,
    call::Call,
    listen::Peer,
    refusal::Refusal,
    telemetry::{Remote, Trace, Traces},
    tools,
};

/// Begins a span for a request whose caller is known; strangers make none. What is written on it are
/// words that we know: a method, a tool or a revision of the caller's own making is left out.
///
/// # Errors
/// [`Refusal::Internal`] when the guards before it are missing.
pub async fn guard(
    State(traces): State<Traces>,
    mut request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let extensions = request.extensions();
    let caller = extensions.get::<Arc<Caller>>().ok_or(Refusal::Internal)?;
    let Some(call) = extensions.get::<Arc<Call>>().filter(|c| c.is_request()) else {
        return Ok(next.run(request).await);
    };
    let client = caller.client.to_string();
    // The context in the body is the call's own. That of the HTTP request may be a proxy's, which
    // carries many calls, so it is the parent only where there is no other.
    let (inner, outer) = (call.trace.clone(), remote(request.headers()));
    let (parent, beside) = match inner {
        Some(inner) => (Some(inner), outer),
        None => (outer, None),
    };
    let (name, mut attributes) = described(call, request.headers());
    attributes.push(KeyValue::new("zoho_mcp.client", client));
    attributes.push(KeyValue::new("network.transport", "tcp"));
    attributes.push(KeyValue::new("network.protocol.name", "http"));
    attributes.push(KeyValue::new(
        "network.protocol.version",
        version(request.version()),
    ));
    let trace = traces.begin(name, parent, beside, attributes);
    let peer = request.extensions_mut().get_mut::<Peer>();
    let peer = peer.ok_or(Refusal::Internal)?;
    peer.trace = trace.id();
    trace.note("zoho_mcp.request_id", peer.request_id.to_string());
    request.extensions_mut().insert(trace.clone());
    let response = next.run(request).await;
    refused(&trace, &response);
    Ok(response)
}

/// Whatever did not come to a tool: over a limit, out of scope, not taken.
fn refused(trace: &Trace, response: &Response) {
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        let code = status.as_u16().to_string();
        trace.note("rpc.response.status_code", code.clone());
        trace.fail(code, "refused");
    }
}

fn described(call: &Call, headers: &HeaderMap) -> (String, Vec<KeyValue>) {
    let method = KNOWN_METHODS.iter().find(|known| **known == &*call.method);
    let method = *method.unwrap_or(&"_OTHER");
    let mut attributes = vec![KeyValue::new("mcp.method.name", method)];
    let tool = call.tool().and_then(tools::find).map(|row| row.name);
    let name = match tool {
        Some(tool) => format!("{method} {tool}"),
        None => method.to_owned(),
    };
    if call.tool().is_some() {
        attributes.push(KeyValue::new("gen_ai.operation.name", "execute_tool"));
    }
    if let Some(tool) = tool {
        attributes.push(KeyValue::new("gen_ai.tool.name", tool));
    }
    if let Some(id) = call.id.as_deref().and_then(|id| plain_id(id.get())) {
        attributes.push(KeyValue::new("jsonrpc.request.id", id.to_owned()));
    }
    if let Some(version) = revision(call, headers) {
        attributes.push(KeyValue::new("mcp.protocol.version", version));
    }
    (name, attributes)
}

/// An id is the caller's to choose: one that is neither a number nor a UUID could be a text.
fn plain_id(raw: &str) -> Option<&str> {
    let id = raw.trim_matches('"');
    let is_number = id.len() <= LONGEST_ID && id.bytes().all(|byte| byte.is_ascii_digit());
    let is_uuid = id.len() == UUID && uuid::Uuid::try_parse(id).is_ok();
    (is_number || is_uuid).then_some(id)
}

fn revision(call: &Call, headers: &HeaderMap) -> Option<String> {
    let header = headers.get("mcp-protocol-version");
    let named = match &call.version {
        Some(version) => Some(&**version),
        None => header.and_then(|value| value.to_str().ok()),
    }?;
    let mut known = ProtocolVersion::KNOWN_VERSIONS.iter();
    let known = known.find(|known| known.as_str() == named)?;
    Some(known.as_str().to_owned())
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// The trace of the HTTP request; one that is named twice is none.
fn remote(headers: &HeaderMap) -> Option<Remote> {
    let mut parents = headers.get_all("traceparent").iter();
    let (parent, None) = (parents.next()?, parents.next()) else {
        return None;
    };
    Remote::read(parent.to_str().ok()?)
}

const KNOWN_METHODS: [&str; 12] = [
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
];
/// Digits of any number that a client counts with.
const LONGEST_ID: usize = 20;
/// Characters of a UUID as it is written.
const UUID: usize = 36;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn described(body: &str) -> (String, String) {
        let call = Call::parse(&Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let (name, attributes) = super::described(&call, &HeaderMap::new());
        (name, format!("{attributes:?}"))
    }

    #[test]
    fn what_a_caller_made_up_is_not_on_a_span() {
        let (name, attributes) =
            described(r#"{"jsonrpc":"2.0","id":"ada@example.com","method":"canary"}"#);
        assert_eq!(name, "_OTHER");
        assert!(!attributes.contains("canary") && !attributes.contains("ada"));
        let (name, attributes) = described(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"canary","_meta":{"io.modelcontextprotocol/protocolVersion":"canary"}}}"#,
        );
        assert_eq!(name, "tools/call");
        assert!(!attributes.contains("canary"), "{attributes}");
    }

    #[test]
    fn an_id_that_could_be_a_text_is_not_on_a_span() {
        for (id, kept) in [
            ("7", true),
            ("\"7\"", true),
            ("\"0198a1b2-0000-7000-8000-0123456789ab\"", true),
            ("\"ada-lovelace\"", false),
            ("\"ada\"", false),
            ("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", false),
        ] {
            assert_eq!(plain_id(id).is_some(), kept, "{id}");
        }
    }

    #[test]
    fn two_parents_are_none() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let mut headers = HeaderMap::new();
        headers.append("traceparent", good.parse().unwrap());
        assert!(remote(&headers).is_some());
        headers.append("traceparent", good.parse().unwrap());
        assert_eq!(remote(&headers), None);
    }
}
