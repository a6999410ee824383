//! What the demo tells a person: where it is, which keys there are, what to paste where.

use std::{collections::BTreeMap, io::Write as _};

use super::output;

/// Prints to standard error; standard output is the audit log's.
pub(super) fn print(url: &str, sandbox: &str, clients: &BTreeMap<&str, &str>) {
    // A demo whose banner nobody reads is as good a demo.
    let _ = output::notes().write_all(text(url, sandbox, clients).as_bytes());
}

fn text(url: &str, sandbox: &str, clients: &BTreeMap<&str, &str>) -> String {
    let keys: String = clients
        .iter()
        .map(|(client, key)| format!("  {client:<24} {key}\n"))
        .collect();
    let key = clients
        .get(SHOWN)
        .or_else(|| clients.values().next())
        .copied()
        .unwrap_or_default();
    format!(
        r#"
zoho-mcp demo: an MCP server in front of a CRM full of invented people

  MCP       {url}/mcp        (older agents: {url}/sse)
  health    {url}/health
  sandbox   {sandbox}
  audit     this process's standard output, one JSON object a line

API keys, good until this process ends (send one as X-API-Key or as a bearer token):
{keys}
Call a tool:
  curl -s {url}/mcp -H 'X-API-Key: {key}' -H 'Content-Type: application/json' \
    -d '{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"search_contacts","arguments":{{"name":"Giulia"}}}}}}'

Claude Code:
  claude mcp add --transport http zoho-demo {url}/mcp --header "X-API-Key: {key}"

Claude Desktop (claude_desktop_config.json; it reaches HTTP servers through mcp-remote):
  {{"mcpServers":{{"zoho-demo":{{"command":"npx","args":["-y","mcp-remote","{url}/mcp","--header","X-API-Key:${{KEY}}"],"env":{{"KEY":"{key}"}}}}}}}}

Cursor (~/.cursor/mcp.json):
  {{"mcpServers":{{"zoho-demo":{{"url":"{url}/mcp","headers":{{"X-API-Key":"{key}"}}}}}}}}

VS Code (.vscode/mcp.json):
  {{"servers":{{"zoho-demo":{{"type":"http","url":"{url}/mcp","headers":{{"X-API-Key":"{key}"}}}}}}}}

Then ask: "Find a contact called Giulia and tell me what happened with her lately."
Ctrl-C ends it.

"#
    )
}

/// The client that can read and write.
const SHOWN: &str = "customer-service-agent";
