"""Runs a job through the Python package `mcp`, an independent client.

Arguments: revision and transport. The environment contains the address of the server.
"""

import asyncio
import os
import sys
from typing import Any

import mcp_types as types
from pydantic import TypeAdapter

from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client


def server(transport: str):
    if transport == "stdio":
        wanted = {name: os.environ[name] for name in ("HOMING_HOME", "XDG_CONFIG_HOME", "PATH")}
        return StdioServerParameters(command=os.environ["HOMING"], args=["mcp"], env=wanted)
    client = create_mcp_http_client(headers={"Authorization": "Bearer " + os.environ["TOKEN"]})
    return streamable_http_client(os.environ["URL"], http_client=client)


async def ask(client: Client, method: str, **params: Any) -> dict[str, Any]:
    """Sends a request that the package does not know."""
    request = types.Request[dict[str, Any], str](method=method, params=params)
    return await client.session.send_request(request, TypeAdapter(dict[str, Any]))


async def events(client: Client) -> None:
    """Polls an event, and opens a stream."""
    capabilities = (await ask(client, "server/discover"))["capabilities"]
    assert capabilities["extensions"]["io.modelcontextprotocol/events"] == {}, capabilities
    listed = [kind["name"] for kind in (await ask(client, "events/list"))["events"]]
    assert "job.finished" in listed, listed
    polled = await ask(client, "events/poll", name="job.finished")
    assert polled["events"] == [], polled
    ran = await client.call_tool("run_command", {"command": "true"})
    polled = await ask(client, "events/poll", name="job.finished", cursor=polled["cursor"])
    assert [event["data"]["job_id"] for event in polled["events"]] == [ran.meta["homing/job"]["id"]], polled
    async with client.listen(tools_list_changed=True) as stream:
        assert not stream.honored.tools_list_changed, "the list of tools does not change"


async def main(mode: str, transport: str) -> None:
    async with Client(server(transport), mode=mode) as client:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        assert tools[0] == "run_command" and len(tools) == 5, tools

        reported: list[float] = []

        async def progress(done: float, total: float | None, message: str | None) -> None:
            reported.append(done)

        failed = await client.call_tool(
            "run_command", {"command": "sleep 0.2; echo out; exit 3"}, progress_callback=progress
        )
        assert failed.is_error and "exit code 3" in failed.content[0].text, failed
        assert failed.structured_content is None and failed.meta["homing/job"]["exit_code"] == 3, failed
        assert reported, "no progress"

        started = await client.call_tool("run_command", {"command": "sleep 0.3; echo 'a b'", "run_in_background": True})
        job = started.meta["homing/job"]["id"]
        waited = await client.call_tool("wait_for_jobs", {"job_ids": [job]})
        assert waited.meta["homing/jobs"][0]["succeeded"] and "a b" in waited.content[0].text, waited
        read = await client.call_tool("read_output", {"job_id": job, "filter": "^a"})
        assert "\na b\n[end " in read.content[0].text, read
        listed = await client.call_tool("list_jobs", {})
        assert listed.meta["homing/jobs"][0]["id"] == job
        for tool, arguments in (
            ("get_result", {"job_id": job}),
            ("acknowledge_jobs", {"job_ids": [job]}),
            ("kill_jobs", {"job_ids": [job]}),
        ):
            assert not (await client.call_tool(tool, arguments)).is_error, tool
        if mode != "legacy":
            await events(client)
        wrong = await client.call_tool("get_result", {"job_id": "0123456789ab"})
        assert wrong.is_error and "list_jobs" in wrong.content[0].text, wrong


asyncio.run(main(sys.argv[1], sys.argv[2]))
