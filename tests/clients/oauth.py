"""The official Python client signs in with OAuth, knowing nothing but the address of the server.

    oauth.py URL

It reads, writes, is asked for more scope on the way, and gets it. Each step prints one line of
JSON; what they must say is in tests/it/oauth.rs.
"""

import asyncio
import json
import sys
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider, TokenStorage
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import OAuthClientMetadata

BACK = "http://127.0.0.1:9/callback"
PATIENCE = 60


def report(step, **found):
    print(json.dumps({"step": step, **found}), flush=True)


class Memory(TokenStorage):
    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens
        report("token", scope=tokens.scope)

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client_info):
        self.client = client_info


class Browser:
    """Follows the address that a person would open, up to where it leads back."""

    async def open(self, url):
        asked = parse_qs(urlsplit(url).query)
        report("authorize", scope=asked.get("scope", [None])[0], resource=asked["resource"][0])
        async with httpx2.AsyncClient(trust_env=False) as http:
            answer = await http.get(url, follow_redirects=False)
        self.query = parse_qs(urlsplit(answer.headers["location"]).query)

    async def back(self):
        return AuthorizationCodeResult(
            code=self.query["code"][0],
            state=self.query["state"][0],
            iss=self.query["iss"][0],
        )


async def visit(url):
    browser = Browser()
    metadata = OAuthClientMetadata(
        client_name="an agent",
        redirect_uris=[BACK],
        token_endpoint_auth_method="none",
    )
    provider = OAuthClientProvider(
        server_url=f"{url}/mcp",
        client_metadata=metadata,
        storage=Memory(),
        redirect_handler=browser.open,
        callback_handler=browser.back,
    )
    http = create_mcp_http_client(auth=provider)
    async with Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client:
        tools = (await client.list_tools()).tools
        report("list", tools=[tool.name for tool in tools])
        found = await client.call_tool("search_contacts", {"name": "Giulia", "limit": 1})
        contact = found.structured_content["items"][0]["id"]
        note = {"record_id": contact, "content": "Wants a call", "idempotency_key": "a"}
        written = await client.call_tool("create_note", note)
        report("write", isError=written.is_error)


async def main():
    try:
        await asyncio.wait_for(visit(sys.argv[1]), PATIENCE)
    except BaseException as error:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        report("failed", kind=type(error).__name__, text=str(error))
        return
    report("end")


asyncio.run(main())
