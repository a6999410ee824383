// An official TypeScript client signs in with OAuth, knowing nothing but the address of the server.
//
//     node oauth.mjs URL 1|2
//
// The number is the generation of the client. It reads, writes, is asked for more scope on the way,
// and gets it. Each step prints one line of JSON; what they must say is in tests/it/oauth.rs.

const [url, generation] = process.argv.slice(2);
const report = (step, found) => console.log(JSON.stringify({ step, ...found }));

async function library() {
  if (generation === "2") return import("@modelcontextprotocol/client");
  const files = ["index", "streamableHttp"].map((file) => import(`@modelcontextprotocol/sdk/client/${file}.js`));
  return Object.assign({}, ...(await Promise.all(files)));
}

// Remembers what it is given, and follows the address that a person would open.
class Provider {
  redirectUrl = "http://127.0.0.1:9/callback";
  clientMetadata = {
    client_name: "an agent",
    redirect_uris: [this.redirectUrl],
    token_endpoint_auth_method: "none",
  };

  state = () => "a-state";
  clientInformation = () => this.client;
  saveClientInformation = (client) => void (this.client = client);
  tokens = () => this.kept;
  codeVerifier = () => this.verifier;
  saveCodeVerifier = (verifier) => void (this.verifier = verifier);

  saveTokens(tokens) {
    this.kept = tokens;
    report("token", { scope: tokens.scope });
  }

  async redirectToAuthorization(address) {
    const asked = address.searchParams;
    report("authorize", { scope: asked.get("scope"), resource: asked.get("resource") });
    const answer = await fetch(address, { redirect: "manual" });
    this.back = new URL(answer.headers.get("location")).searchParams;
  }
}

const provider = new Provider();

// Does it; where a person has to sign in first, does it again once that has happened.
async function signingIn(transport, act) {
  try {
    return await act();
  } catch (error) {
    if (error.constructor.name !== "UnauthorizedError") throw error;
    await transport.finishAuth(provider.back.get("code"), provider.back.get("iss"));
    return null;
  }
}

async function visit({ Client, StreamableHTTPClientTransport }) {
  const connect = () => {
    const client = new Client({ name: "zoho-mcp-tests", version: "1" });
    const transport = new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { authProvider: provider });
    return { client, transport };
  };
  const first = connect();
  await signingIn(first.transport, () => first.client.connect(first.transport));
  const { client, transport } = connect();
  await client.connect(transport);
  const { tools } = await client.listTools();
  report("list", { tools: tools.map((tool) => tool.name) });
  const call = (name, args) => client.callTool({ name, arguments: args });
  const found = await call("search_contacts", { name: "Giulia", limit: 1 });
  const note = { record_id: found.structuredContent.items[0].id, content: "Wants a call", idempotency_key: "a" };
  const write = () => call("create_note", note);
  const written = (await signingIn(transport, write)) ?? (await write());
  report("write", { isError: written.isError === true });
}

try {
  await visit(await library());
  report("end");
} catch (error) {
  report("failed", { kind: error.constructor.name, text: error.message });
}
// An open stream must not keep the process.
process.exit();
