//! Streamable HTTP: rmcp's service, stateless, answering in JSON unless a call reports progress.

use std::sync::Arc;

use rmcp::{
    ServerHandler,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};

use super::Config;
use crate::listen::Drain;

/// The service behind `/mcp`. Host, origin and body size are the walk's own guards' business.
pub fn streamable<H: ServerHandler + Clone>(
    handler: H,
    config: &Config,
    drain: &Drain,
) -> StreamableHttpService<H, NeverSessionManager> {
    let settings = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_sse_keep_alive(Some(config.keep_alive.duration()))
        .with_max_request_body_bytes(config.max_body.bytes())
        .with_cancellation_token(drain.over().child_token())
        .disable_allowed_hosts()
        .disable_allowed_origins();
    StreamableHttpService::new(
        move || Ok(handler.clone()),
        Arc::new(NeverSessionManager::default()),
        settings,
    )
}
