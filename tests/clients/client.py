"""The official Python client goes through a visit: connect, list, call, be refused, go on.

    client.py URL http|sse [MODE]

The key is in $API_KEY. Each step prints one line of JSON; what they must say is in
tests/it/clients.rs.
"""

import asyncio
import json
import os
import re
import sys

from mcp import Client, MCPError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

# A call that takes longer hangs, and a hanging call is a finding.
PATIENCE = 20


def report(step, **found):
    print(json.dumps({"step": step, **found}), flush=True)


def transport(url, kind, headers):
    if kind == "sse":
        return sse_client(f"{url}/sse", headers=headers)
    return streamable_http_client(
        f"{url}/mcp", http_client=create_mcp_http_client(headers=headers)
    )


def root(error):
    """The error inside the groups that the client's tasks wrap around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def call(client, tool, arguments):
    """What the agent gets: a result, or the error that the client raises."""
    try:
        result = await client.call_tool(tool, arguments)
    except MCPError as error:
        return {
            "error": {
                "code": error.error.code,
                "message": error.error.message,
                "data": error.error.data,
            }
        }
    return {
        "isError": result.is_error,
        "text": result.content[0].text,
        "content": result.structured_content,
    }


def refused(answer):
    """The sentence that says how long to wait, if there is one."""
    text = answer["error"]["message"] if "error" in answer else answer["text"]
    told = re.search(r"Retry after (\d+) second", text)
    return int(told.group(1)) if told else None


async def visit(client):
    report("connect", protocol=client.protocol_version)
    tools = (await client.list_tools()).tools
    report("list", tools=[tool.name for tool in tools])
    search = {"name": "Giulia", "limit": 1}
    found = await call(client, "search_contacts", search)
    report("call", **found)
    contact = found["content"]["items"][0]["id"]
    report("denied", **await call(client, "get_dashboard_metrics", {}))
    wait = None
    for _ in range(20):
        answer = await call(client, "search_contacts", search)
        if (wait := refused(answer)) is not None:
            break
    report("limited", wait=wait, **answer)
    report(
        "other", **await call(client, "get_contact_history", {"contact_id": contact})
    )
    await asyncio.sleep(wait)
    report("again", **await call(client, "search_contacts", search))


async def main():
    url, kind = sys.argv[1:3]
    mode = sys.argv[3] if len(sys.argv) > 3 else "auto"
    headers = {"X-API-Key": os.environ["API_KEY"]}
    try:
        async with Client(
            transport(url, kind, headers), mode=mode, read_timeout_seconds=PATIENCE
        ) as client:
            await visit(client)
    except BaseException as error:
        cause = root(error)
        report("failed", kind=type(cause).__name__, text=str(cause))
        return
    report("end")


asyncio.run(main())
