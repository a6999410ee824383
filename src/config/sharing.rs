//! What instances that share a Redis have to have in common.

use super::{Config, Problem};

pub(super) fn problem(config: &Config) -> Option<Problem> {
    let is_apart = config.redis.is_configured() && config.zoho.token_key.is_none();
    (config.mcp.sessions && is_apart).then(|| {
        Problem::new(
            "mcp.sessions: instances that share [redis] share sessions as well, and for that there is no key",
            "set token_key = \"env:NAME\" under [zoho], with at least 32 bytes, the same for all",
        )
    })
}

pub(super) fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.redis.is_configured() && config.audit.pseudonym_key.is_none() {
        warnings.push(NO_KEY.to_owned());
    }
    if config.redis.is_configured() && config.zoho.token_key.is_none() {
        warnings.push(NO_TOKEN_KEY.to_owned());
    }
    warnings
}

const NO_KEY: &str = "audit.pseudonym_key: it is not set, so whoever reads Redis can try out whose \
    a limit is; make a key with `openssl rand -hex 32`, give it to all instances, and refer to it as \
    pseudonym_key = \"env:NAME\" or \"file:PATH\"";

const NO_TOKEN_KEY: &str = "zoho.token_key: it is not set, so instances do not share an access token \
    and each has Zoho make its own, and messages to a stream of /sse have to reach its own instance; \
    set token_key = \"env:NAME\" with at least 32 bytes, the same for all";
