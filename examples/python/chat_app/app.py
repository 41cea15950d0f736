"""A chat app in miniature: FastAPI, server-sent events, and an agent whose `bash` tool launches jobs with homing. No
stream is held open for a job. Its session is woken by the result, and nothing is lost, answered twice or launched twice
when the server is killed (`kill -9`) at any moment and started again.

    pip install homing fastapi uvicorn
    python -m uvicorn --app-dir examples/python --timeout-graceful-shutdown 2 chat_app.app:app

Then open http://127.0.0.1:8000, and type `run sleep 5; echo built`. `$CHAT_APP_DIRECTORY` (`./chats` without it) holds
everything. The agent follows a script; `agent.py` says where a model goes.

| what a host has to do | here |
|---|---|
| have what was said on disk before anything is acknowledged | `Store.add` |
| take a wake only while no turn is live, say `busy` otherwise | `Chats._hear`, `Chats._begin` |
| say when a turn is over | `session_is_free` in `Chats._end` |
| say `gone` for a session that was deleted, and never use its id again | `Chats._hear`, `Chats.open_session` |
| remember a wake's id, so that it is not answered twice when it comes again | `Store.knows`, in `Chats._hear` |
| take up a turn that a crash cut short | `Chats.serving`, `Chats._take` |
| launch nothing twice when a turn is taken up | `Chats._bash` |
| consume wakes for as long as the server runs | `Chats._wake_sessions`, a task of the lifespan |
| keep what waits for the disk off the event loop | `asyncio.to_thread` |
| let a browser reconnect: events have ids, `Last-Event-ID` is where it goes on | `_events` |
| take what jobs print for data, never for HTML | JSON in events, `textContent` in `page.js` |

**Several processes.** Of all processes that consume the wakes of a home, one gets them; when it ends, however, another
takes over within moments. So wakes need no leader of your own. The rest of this miniature is one process: who has the
turn and who waits for changes is in memory, and a second server on the same directory gives up. With several workers, the
transcript's database has to know which session has a live turn and to notify of changes; and since
`session_is_free` reaches the wakes of its own process only, say `busy(retry_after=1)`.

**Who may use it.** Whoever reaches the server can run commands. It listens on the loopback, and refuses pages of others.
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
from .chats import Chats, TurnIsLive
from .store import NoSuchSession, Store

KEEP_ALIVE = 15.0
"""Seconds without a message after which a comment is sent, so that nobody on the way takes the stream for dead."""

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
        raise HTTPException(403, "this is not for other pages")


def _chats(request: Request) -> Chats:
    return cast(Chats, request.state.chats)


AllChats = Annotated[Chats, Depends(_chats)]

app = FastAPI(title="chat_app", lifespan=_lifespan, dependencies=[Depends(_own_pages_only)])
# A name of somebody else that points here is refused.
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])


@app.get("/")
async def page() -> FileResponse:
    """The page of a person."""
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
    """Deletes one."""
    await chats.delete_session(session)


@app.post("/sessions/{session}/messages", status_code=202)
async def say(session: str, text: Annotated[str, Body(embed=True, min_length=1)], chats: AllChats) -> dict[str, str]:
    """Says something to the agent; what it answers is an event. 409 while a turn is live."""
    try:
        await chats.say(session, text)
    except NoSuchSession:
        raise HTTPException(404, "there is no such session") from None
    except TurnIsLive:
        raise HTTPException(409, "a turn is live") from None
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
    """What is said in a session, from the beginning or behind the event that the browser has seen last."""
    try:
        await chats.messages(session, last_event_id)
    except NoSuchSession:
        # A browser does not try again then.
        raise HTTPException(404, "there is no such session") from None
    return StreamingResponse(
        _events(session, chats, last_event_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"},
    )


async def _events(session: str, chats: Chats, after: int) -> AsyncIterator[str]:
    shown = None
    while True:
        # Before looking: what changes in between is not missed.
        change = chats.next_change(session)
        live = chats.is_live(session)
        try:
            messages = await chats.messages(session, after)
        except NoSuchSession:
            yield "event: deleted\ndata: {}\n\n"
            return
        for message in messages:
            # JSON has no newline in it, so that nothing a job printed can end the event.
            data = json.dumps({"sender": message.sender, "text": message.text})
            yield f"id: {message.id}\nevent: message\ndata: {data}\n\n"
            after = message.id
        if live != shown:
            yield f"event: turn\ndata: {json.dumps({'live': live})}\n\n"
            shown = live
        try:
            await asyncio.wait_for(change.wait(), KEEP_ALIVE)
        except asyncio.TimeoutError:
            yield ": still here\n\n"
