"""Sessions and their turns. A session has at most one running turn. The transcript has each step before it takes effect."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from homing import Homing, HomingError, Wake

from .agent import Bash, Model, Say
from .store import Message, NoSuchSession, Sender, Store

_PAUSE_AFTER_ERROR = 5.0

log = logging.getLogger("chat_app")


class TurnIsRunning(Exception):
    """The session has a running turn."""


@dataclass(eq=False)
class Turn:
    """A running turn. Only its task writes to the transcript."""

    session: str
    task: asyncio.Task[None] | None = None
    thinking: asyncio.Task[Say | Bash] | None = None


class Chats:
    """All sessions of this server."""

    def __init__(self, homing: Homing, store: Store, model: Model) -> None:
        self._homing = homing
        self._store = store
        self._model = model
        self._running: dict[str, Turn] = {}
        self._changes: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Continues the turns that a crash interrupted, then wakes sessions until the block ends."""
        for session in await asyncio.to_thread(self._store.unanswered):
            self._start(self._begin(session))
        consumer = asyncio.create_task(self._wake_sessions())
        try:
            yield
        finally:
            turns = [turn.task for turn in self._running.values() if turn.task is not None]
            for task in (consumer, *turns):
                # The turn continues when the server is started again.
                task.cancel()
            await asyncio.gather(consumer, *turns, return_exceptions=True)

    async def open_session(self) -> str:
        """Opens a session with a new id, so that no result of a deleted session can reach it."""
        session = f"chat-{secrets.token_hex(8)}"
        await asyncio.to_thread(self._store.open_session, session)
        return session

    async def delete_session(self, session: str) -> None:
        """Deletes a session. Its jobs keep running, and their results are not delivered."""
        await asyncio.to_thread(self._store.delete_session, session)
        self.stop(session)
        self._changed(session)

    async def say(self, session: str, text: str) -> None:
        """Adds a message of the person and starts a turn of the agent. Raises `TurnIsRunning` and `NoSuchSession`."""
        await self._begin_with(session, "person", text)

    def stop(self, session: str) -> None:
        """Stops the call of the model."""
        turn = self._running.get(session)
        if turn is not None and turn.thinking is not None:
            turn.thinking.cancel()

    def is_running(self, session: str) -> bool:
        return session in self._running

    async def messages(self, session: str, after: int) -> list[Message]:
        return await asyncio.to_thread(self._store.messages, session, after)

    def next_change(self, session: str) -> asyncio.Event:
        """An event that is set at the next change of the session."""
        return self._changes.setdefault(session, asyncio.Event())

    async def _wake_sessions(self) -> None:
        while True:
            try:
                async with self._homing.wakes("chat-*") as wakes:
                    for session in await asyncio.to_thread(self._store.sessions):
                        # It may have been busy before a crash. Its turn has ended since.
                        if not self.is_running(session):
                            self._homing.session_is_free(session)
                    async for wake in wakes:
                        await self._receive(wake)
            except HomingError as error:
                log.error("sessions are not woken: %s", error)
            await asyncio.sleep(_PAUSE_AFTER_ERROR)

    async def _receive(self, wake: Wake) -> None:
        try:
            # The wake is repeated if the server crashed after it was stored and before it was acknowledged.
            if not await asyncio.to_thread(self._store.knows, wake.id):
                await self._begin_with(wake.session, "wake", wake.text, wake=wake.id)
        except TurnIsRunning:
            await wake.busy()
        except NoSuchSession:
            await wake.gone("the chat was deleted")
        except Exception as error:
            log.exception("cannot deliver a wake to %s", wake.session)
            await wake.failed(str(error))
        else:
            # The message is durable, and the turn has begun.
            await wake.acknowledge()

    def _begin(self, session: str) -> Turn:
        if session in self._running:
            raise TurnIsRunning(session)
        turn = self._running[session] = Turn(session)
        return turn

    async def _begin_with(self, session: str, sender: Sender, text: str, *, wake: str | None = None) -> None:
        """Begins a turn with a message. When this returns, the message is durable."""
        turn = self._begin(session)
        try:
            await asyncio.to_thread(self._store.add, session, sender, text, wake=wake)
        except BaseException:
            self._end(turn)
            raise
        self._start(turn)

    def _start(self, turn: Turn) -> None:
        turn.task = asyncio.create_task(self._run_turn(turn))
        self._changed(turn.session)

    def _end(self, turn: Turn) -> None:
        del self._running[turn.session]
        self._changed(turn.session)
        self._homing.session_is_free(turn.session)

    async def _run_turn(self, turn: Turn) -> None:
        """Runs steps until the agent has answered. Each step depends only on the transcript, so an interrupted turn can
        continue at any step.
        """
        try:
            while (last := (transcript := await self.messages(turn.session, 0))[-1]).sender != "agent":
                if last.sender == "call":
                    await self._add(turn, "result", await asyncio.to_thread(self._bash, turn.session, last))
                    continue
                step = await self._think(turn, transcript)
                if isinstance(step, Bash):
                    await self._add(turn, "call", step.command)
                else:
                    await self._add(turn, "agent", step.text)
        except NoSuchSession:
            log.info("%s was deleted during a turn", turn.session)
        except Exception:
            log.exception("the turn of %s continues when the server is restarted", turn.session)
        finally:
            self._end(turn)

    async def _add(self, turn: Turn, sender: Sender, text: str) -> None:
        await asyncio.to_thread(self._store.add, turn.session, sender, text)
        self._changed(turn.session)

    async def _think(self, turn: Turn, transcript: list[Message]) -> Say | Bash:
        turn.thinking = asyncio.ensure_future(self._model.next_step(transcript))
        try:
            # `wait` does not raise if the model is cancelled, so only a cancellation of the turn ends this task.
            await asyncio.wait([turn.thinking])
            if turn.thinking.cancelled():
                return Say("(stopped)")
            error = turn.thinking.exception()
            return turn.thinking.result() if error is None else Say(f"(the model failed: {error})")
        finally:
            turn.thinking.cancel()
            turn.thinking = None

    def _bash(self, session: str, call: Message) -> str:
        """Launches the job of a call. If it was launched before a crash, the key returns the same job."""
        try:
            job = self._homing.launch(call.text, session=session, key=f"call-{call.id}")
        except HomingError as error:
            return f"Not started: {error}"
        return f"Job {job.id} was started. You will be woken when it has finished. End your turn now."

    def _changed(self, session: str) -> None:
        if (change := self._changes.pop(session, None)) is not None:
            change.set()
