// An official TypeScript client goes through a visit: connect, list, call, be refused, go on.
//
//     node client.mjs URL http|sse 1|2|2-auto
//
// The key is in $API_KEY; the number is the generation of the client, "auto" its negotiation of the
// newest revision. Each step prints one line of JSON; what they must say is in tests/it/clients.rs.

const [url, kind, generation] = process.argv.slice(2);
const info = { name: "zoho-mcp-tests", version: "1" };
// A call that takes longer hangs, and a hanging call is a finding.
const options = { timeout: 20_000 };

const report = (step, found) => console.log(JSON.stringify({ step, ...found }));

async function library() {
  if (generation !== "1") return import("@modelcontextprotocol/client");
  const [client, streamable, sse] = await Promise.all(
    ["index", "streamableHttp", "sse"].map((file) => import(`@modelcontextprotocol/sdk/client/${file}.js`)),
  );
  return { ...client, ...streamable, ...sse };
}

// What the agent gets: a result, or the error that the client throws.
async function call(client, name, args) {
  try {
    const params = { name, arguments: args };
    const result = await (generation === "1"
      ? client.callTool(params, undefined, options)
      : client.callTool(params, options));
    return { isError: result.isError === true, text: result.content[0].text, content: result.structuredContent };
  } catch (error) {
    return { error: { kind: error.constructor.name, message: error.message, code: error.code, data: error.data } };
  }
}

// The sentence that says how long to wait, if there is one.
function refused(answer) {
  const text = answer.error ? answer.error.message + JSON.stringify(answer.error.data ?? null) : answer.text;
  const told = text.match(/Retry after (\d+) second/);
  return told ? Number(told[1]) : null;
}

async function visit(client, transport) {
  report("connect", { protocol: client.getNegotiatedProtocolVersion?.() ?? transport.protocolVersion });
  const { tools } = await client.listTools({}, options);
  report("list", { tools: tools.map((tool) => tool.name) });
  const search = { name: "Giulia", limit: 1 };
  const found = await call(client, "search_contacts", search);
  report("call", found);
  const contact = found.content.items[0].id;
  report("denied", await call(client, "get_dashboard_metrics", {}));
  let answer;
  let wait = null;
  for (let turn = 0; turn < 20 && wait === null; turn += 1) {
    answer = await call(client, "search_contacts", search);
    wait = refused(answer);
  }
  report("limited", { wait, ...answer });
  report("other", await call(client, "get_contact_history", { contact_id: contact }));
  await new Promise((resolve) => setTimeout(resolve, wait * 1000));
  report("again", await call(client, "search_contacts", search));
}

const { Client, SSEClientTransport, StreamableHTTPClientTransport } = await library();
const requestInit = { headers: { "X-API-Key": process.env.API_KEY } };
const transport =
  kind === "sse"
    ? new SSEClientTransport(new URL(`${url}/sse`), { requestInit })
    : new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit });
const client = new Client(info, generation === "2-auto" ? { versionNegotiation: { mode: "auto" } } : {});
try {
  await client.connect(transport, options);
  await visit(client, transport);
  await client.close();
  report("end");
} catch (error) {
  report("failed", { kind: error.constructor.name, text: error.message });
  process.exitCode = 0;
}
// An open stream must not keep the process.
process.exit();
