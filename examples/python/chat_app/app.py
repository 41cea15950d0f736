"""A small chat application: FastAPI, server-sent events, and an agent whose `bash` tool launches jobs with homing. No
stream stays open for a job. The result wakes its session. When the server is killed (`kill -9`) at any moment and started
again, nothing is lost, answered twice or launched twice.

    pip install homing fastapi uvicorn
    python -m uvicorn --app-dir examples/python --timeout-graceful-shutdown 2 chat_app.app:app

Then open http://127.0.0.1:8000, and type `run sleep 5; echo built`. All data is in
`$CHAT_APP_DIRECTORY` (default `./chats`). The agent follows a script; `agent.py` shows where to call a model.

| duty of a host | implemented by |
|---|---|
| store each message on disk before it is acknowledged | `Store.add` |
| accept a wake only while no turn is running, else answer `busy` | `Chats._receive`, `Chats._begin` |
| report the end of a turn | `session_is_free` in `Chats._end` |
| answer `gone` for a deleted session, and never reuse its id | `Chats._receive`, `Chats.open_session` |
| store the id of a wake, so that a repeated wake is not answered twice | `Store.knows`, in `Chats._receive` |
| continue a turn that a crash interrupted | `Chats.serving`, `Chats._run_turn` |
| launch no job twice when a turn is continued | `Chats._bash` |
| consume wakes for as long as the server runs | `Chats._wake_sessions`, a task of the lifespan |
| keep disk access off the event loop | `asyncio.to_thread` |
| let a browser reconnect: events have ids, and it continues after `Last-Event-ID` | `_events` |
| treat output of jobs as data, never as HTML | JSON in events, `textContent` in `page.js` |

**Several processes.** If several processes consume the wakes of a home, one of them gets the wakes. When it ends, another
takes over at once. You need no leader election. The rest of this example is one process: running turns and waiting streams
are in memory, and a second server on the same directory exits. With several workers, store running turns in the database,
and notify the other workers of changes. `session_is_free` affects only the wakes of its own process, so answer
`busy(retry_after=1)`.

**Access.** Every client of the server can run commands. It listens on the loopback interface and refuses requests from pages
of other origins.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, cast

from fastapi import Body, Depends, FastAPI, Header, HTTPException, Request
from fastapi.responses import FileResponse, StreamingResponse
from homing import Homing
from starlette.middleware.trustedhost import TrustedHostMiddleware

from .agent import ScriptedModel
from .chats import Chats, TurnIsRunning
from .store import NoSuchSession, Store

KEEP_ALIVE = 15.0
"""Seconds without a message until a comment is sent, so that proxies do not close the stream as idle."""

_HERE = Path(__file__).parent


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[dict[str, Chats]]:
    directory = Path(os.environ.get("CHAT_APP_DIRECTORY", "chats"))
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = await asyncio.to_thread(Store, directory / "chats.db")
    try:
        chats = Chats(await asyncio.to_thread(Homing, directory / "jobs"), store, ScriptedModel())
        async with chats.serving():
            yield {"chats": chats}
    finally:
        await asyncio.to_thread(store.close)


def _own_pages_only(sec_fetch_site: Annotated[str, Header()] = "none") -> None:
    if sec_fetch_site not in ("none", "same-origin"):
        raise HTTPException(403, "requests from other pages are refused")


def _chats(request: Request) -> Chats:
    return cast(Chats, request.state.chats)


AllChats = Annotated[Chats, Depends(_chats)]

app = FastAPI(title="chat_app", lifespan=_lifespan, dependencies=[Depends(_own_pages_only)])
# Requests for other host names are refused (DNS rebinding).
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])


@app.get("/")
async def page() -> FileResponse:
    """The page."""
    policy = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'"
    return FileResponse(_HERE / "page.html", headers={"Content-Security-Policy": policy})


@app.get("/page.js")
async def script() -> FileResponse:
    """Its script."""
    return FileResponse(_HERE / "page.js")


@app.post("/sessions", status_code=201)
async def open_session(chats: AllChats) -> dict[str, str]:
    """Opens a session."""
    return {"session": await chats.open_session()}


@app.delete("/sessions/{session}", status_code=204)
async def delete_session(session: str, chats: AllChats) -> None:
    """Deletes a session."""
    await chats.delete_session(session)


@app.post("/sessions/{session}/messages", status_code=202)
async def say(session: str, text: Annotated[str, Body(embed=True, min_length=1)], chats: AllChats) -> dict[str, str]:
    """Sends a message to the agent. Its answer is an event. 409 while a turn is running."""
    try:
        await chats.say(session, text)
    except NoSuchSession:
        raise HTTPException(404, "this session does not exist") from None
    except TurnIsRunning:
        raise HTTPException(409, "a turn is running") from None
    return {"status": "accepted"}


@app.post("/sessions/{session}/stop", status_code=202)
async def stop(session: str, chats: AllChats) -> dict[str, str]:
    """Makes the agent stop thinking."""
    chats.stop(session)
    return {"status": "accepted"}


@app.get("/sessions/{session}/events")
async def events(
    session: str, chats: AllChats, last_event_id: Annotated[int, Header(ge=0)] = 0
) -> StreamingResponse:
    """The messages of a session: from the beginning, or after the last event that the browser has received."""
    try:
        await chats.messages(session, last_event_id)
    except NoSuchSession:
        # A browser does not reconnect after this status.
        raise HTTPException(404, "this session does not exist") from None
    return StreamingResponse(
        _events(session, chats, last_event_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"},
    )


async def _events(session: str, chats: Chats, after: int) -> AsyncIterator[str]:
    shown = None
    while True:
        # Before reading, so that no change in between is missed.
        change = chats.next_change(session)
        is_running = chats.is_running(session)
        try:
            messages = await chats.messages(session, after)
        except NoSuchSession:
            yield "event: deleted\ndata: {}\n\n"
            return
        for message in messages:
            # JSON contains no newline, so the output of a job cannot end the event.
            data = json.dumps({"sender": message.sender, "text": message.text})
            yield f"id: {message.id}\nevent: message\ndata: {data}\n\n"
            after = message.id
        if is_running != shown:
            yield f"event: turn\ndata: {json.dumps({'running': is_running})}\n\n"
            shown = is_running
        try:
            await asyncio.wait_for(change.wait(), KEEP_ALIVE)
        except asyncio.TimeoutError:
            yield ": still here\n\n"
