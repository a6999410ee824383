//! What a configuration may not say.

/// What stands in the file, the key that is named, and a part of what is said.
pub(super) const MISTAKES: &[(&str, &str, &str)] = &[
    ("[server]\nlitsen = \"x\"", "server.litsen", "unknown field"),
    (
        "[servre]\nlisten = \"127.0.0.1:1\"",
        "servre",
        "unknown field",
    ),
    ("[server]\nlisten = 3000", "server.listen", "invalid type"),
    (
        "[server]\nlisten = \"localhost\"",
        "server.listen",
        "invalid socket address",
    ),
    (
        "[server]\nhosts = [\"a b\"]",
        "server.hosts",
        "a host is a name",
    ),
    (
        "[server]\norigins = [\"https://x.example/path\"]",
        "server.origins",
        "without a path",
    ),
    (
        "[server]\npublic_url = \"mcp.example.com\"",
        "server.public_url",
        "http",
    ),
    (
        "[server]\ntrusted_proxies = [\"10.0.0.0/99\"]",
        "server.trusted_proxies",
        "invalid",
    ),
    (
        "[server]\nmax_connections = 0",
        "server.max_connections",
        "zero",
    ),
    (
        "[server]\ntrusted_proxies = [\"10.0.0.0/24\"]\nproxy_protocol = true\n[server.tls]\nclient_ca = \"ca.pem\"\nforwarded_client_cert = \"verify\"",
        "server.tls.forwarded_client_cert",
        "set it to \"off\"",
    ),
    (
        "[server.tls]\nforwarded_client_cert = true",
        "server.tls.forwarded_client_cert",
        "name the mode of the load balancer",
    ),
    (
        "[server.tls]\nforwarded_client_cert = 1",
        "server.tls.forwarded_client_cert",
        "name the mode of the load balancer",
    ),
    (
        "[server]\ntrusted_proxies = [\"127.9.0.1\"]",
        "server.trusted_proxies",
        "10.0.0.7/32",
    ),
    (
        "[mcp]\nbody_memory = \"1MiB\"\nmax_body = \"512KiB\"",
        "mcp.body_memory",
        "less than mcp.max_body",
    ),
    (
        "[mcp]\ntool_timeout = \"soon\"",
        "mcp.tool_timeout",
        "a span of time",
    ),
    (
        "[mcp]\nmax_body = \"256 potatoes\"",
        "mcp.max_body",
        "a size",
    ),
    (
        "[mcp]\nmax_body = \"99GiB\"",
        "mcp.max_body",
        "the most is 64MiB",
    ),
    (
        "[mcp]\ntool_timeout = \"999ms\"",
        "mcp.tool_timeout",
        "shorter than 1s",
    ),
    (
        "[audit]\nsinks = [\"file:nowhere/audit.jsonl\"]",
        "audit.sinks",
        "cannot write to",
    ),
    (
        "[clients.\"a\\u001b[31m\"]\nrole = \"r\"",
        "clients.\"a\\u{1b}[31m\"",
        "control characters",
    ),
    (
        "[roles.\"a\\nb\"]\ntools = []\nmax_records_per_query = 1",
        "roles.\"a\\nb\"",
        "control characters",
    ),
    (
        "[clients.x]\nrole = \"a\\u001b\"",
        "add [roles.a\\u{1b}]",
        "no role is named",
    ),
    ("[mcp]\nlegacy_sse = \"yes\"", "mcp.legacy_sse", "a boolean"),
    (
        "[roles.x]\ntools = [\"drop_tables\"]\nmax_records_per_query = 1",
        "roles.x.tools",
        "no tool is named",
    ),
    (
        "[roles.x]\ntools = []\nmax_records_per_query = 0",
        "roles.x.max_records_per_query",
        "zero",
    ),
    (
        "[roles.x]\ntools = []",
        "roles.x",
        "missing field `max_records_per_query`",
    ),
    (
        "[clients.x]\nrole = \"nobody\"",
        "clients.x.role",
        "no role is named",
    ),
    ("[clients.x]", "clients.x", "missing field `role`"),
    (
        "[limits]\nclient = { requests = 0, per = \"1m\" }",
        "limits.client.requests",
        "zero",
    ),
    (
        "[limits]\nclient = { requests = 5, per = \"30h\" }",
        "limits.client.per",
        "longer than 24h",
    ),
    (
        "[limits]\nanswer = \"shout\"",
        "limits.answer",
        "unknown variant",
    ),
    (
        "[limits.tools]\nnope = { requests = 1, per = \"1m\" }",
        "limits.tools.nope",
        "no tool has this name",
    ),
    (
        "[zoho]\ndata_center = \"mars\"",
        "zoho.data_center",
        "unknown variant",
    ),
    (
        "[zoho]\napi_url = \"ftp://x\"",
        "zoho.api_url: it is",
        "https://HOST",
    ),
    (
        "[zoho]\naccounts_url = \"http://evil.example\"",
        "zoho.accounts_url: it is",
        "an https URL",
    ),
    (
        "[zoho]\ncredentials = \"1000.abcdef\"",
        "zoho.credentials",
        "a reference to a secret",
    ),
    (
        "[auth.api_keys]\nsource = \"zmcp_live_x\"",
        "auth.api_keys.source",
        "a reference to a secret",
    ),
    (
        "[audit]\non_failure = \"panic\"",
        "audit.on_failure",
        "unknown variant",
    ),
    (
        "[audit]\npseudonym_key = \"hunter2hunter2\"",
        "audit.pseudonym_key",
        "a reference to a secret",
    ),
    ("[log]\nformat = \"xml\"", "log.format", "unknown variant"),
    ("x = [", "mine.toml:", ""),
    (
        "[server]\nlisten = \"127.0.0.1:1\"\nlisten = \"127.0.0.1:2\"",
        "mine.toml:",
        "duplicate key",
    ),
];
