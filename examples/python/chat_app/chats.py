"""Sessions and their turns: at most one turn of a session is live, and everything it does is in the transcript first."""

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

_PAUSE_AFTER_TROUBLE = 5.0

log = logging.getLogger("chat_app")


class TurnIsLive(Exception):
    """The session is in the middle of a turn."""


@dataclass(eq=False)
class Turn:
    """A live turn. Whoever has it may write to the transcript, and nobody else."""

    session: str
    task: asyncio.Task[None] | None = None
    thinking: asyncio.Task[Say | Bash] | None = None


class Chats:
    """All sessions of this server."""

    def __init__(self, homing: Homing, store: Store, model: Model) -> None:
        self._homing = homing
        self._store = store
        self._model = model
        self._live: dict[str, Turn] = {}
        self._changes: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Takes up the turns that a crash cut short, then wakes sessions for as long as this lasts."""
        for session in await asyncio.to_thread(self._store.unanswered):
            self._start(self._begin(session))
        consumer = asyncio.create_task(self._wake_sessions())
        try:
            yield
        finally:
            turns = [turn.task for turn in self._live.values() if turn.task is not None]
            for task in (consumer, *turns):
                # What a turn has not done yet is done when the server is back.
                task.cancel()
            await asyncio.gather(consumer, *turns, return_exceptions=True)

    async def open_session(self) -> str:
        """Opens a session. Its id was never used before: no result of a deleted one can reach it."""
        session = f"chat-{secrets.token_hex(8)}"
        await asyncio.to_thread(self._store.open_session, session)
        return session

    async def delete_session(self, session: str) -> None:
        """Deletes it. Its jobs go on, and nobody is told of them."""
        await asyncio.to_thread(self._store.delete_session, session)
        self.stop(session)
        self._changed(session)

    async def say(self, session: str, text: str) -> None:
        """The person says something, and the agent's turn begins. Raises `TurnIsLive` and `NoSuchSession`."""
        await self._begin_with(session, "person", text)

    def stop(self, session: str) -> None:
        """The person wants the agent to stop thinking."""
        turn = self._live.get(session)
        if turn is not None and turn.thinking is not None:
            turn.thinking.cancel()

    def is_live(self, session: str) -> bool:
        return session in self._live

    async def messages(self, session: str, after: int) -> list[Message]:
        return await asyncio.to_thread(self._store.messages, session, after)

    def next_change(self, session: str) -> asyncio.Event:
        """What is set as soon as anything about the session changes."""
        return self._changes.setdefault(session, asyncio.Event())

    async def _wake_sessions(self) -> None:
        while True:
            try:
                async with self._homing.wakes("chat-*") as wakes:
                    for session in await asyncio.to_thread(self._store.sessions):
                        # Before a crash it may have been busy, and its turn is over since.
                        if not self.is_live(session):
                            self._homing.session_is_free(session)
                    async for wake in wakes:
                        await self._hear(wake)
            except HomingError as error:
                log.error("sessions are not woken: %s", error)
            await asyncio.sleep(_PAUSE_AFTER_TROUBLE)

    async def _hear(self, wake: Wake) -> None:
        try:
            # It comes again where a crash came between the transcript and the acknowledgement.
            if not await asyncio.to_thread(self._store.knows, wake.id):
                await self._begin_with(wake.session, "wake", wake.text, wake=wake.id)
        except TurnIsLive:
            await wake.busy()
        except NoSuchSession:
            await wake.gone("the chat was deleted")
        except Exception as error:
            log.exception("%s is not told", wake.session)
            await wake.failed(str(error))
        else:
            # It is safe, and so is the turn that it began.
            await wake.acknowledge()

    def _begin(self, session: str) -> Turn:
        if session in self._live:
            raise TurnIsLive(session)
        turn = self._live[session] = Turn(session)
        return turn

    async def _begin_with(self, session: str, sender: Sender, text: str, *, wake: str | None = None) -> None:
        """Begins a turn with a message. When this returns, neither can be lost."""
        turn = self._begin(session)
        try:
            await asyncio.to_thread(self._store.add, session, sender, text, wake=wake)
        except BaseException:
            self._end(turn)
            raise
        self._start(turn)

    def _start(self, turn: Turn) -> None:
        turn.task = asyncio.create_task(self._take(turn))
        self._changed(turn.session)

    def _end(self, turn: Turn) -> None:
        del self._live[turn.session]
        self._changed(turn.session)
        self._homing.session_is_free(turn.session)

    async def _take(self, turn: Turn) -> None:
        """Goes from step to step until the agent has answered. Each step begins with what the transcript says, so that
        a turn can be taken up at any of them.
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
            log.info("%s was deleted in the middle of a turn", turn.session)
        except Exception:
            log.exception("the turn of %s is taken up again when the server is restarted", turn.session)
        finally:
            self._end(turn)

    async def _add(self, turn: Turn, sender: Sender, text: str) -> None:
        await asyncio.to_thread(self._store.add, turn.session, sender, text)
        self._changed(turn.session)

    async def _think(self, turn: Turn, transcript: list[Message]) -> Say | Bash:
        turn.thinking = asyncio.ensure_future(self._model.next_step(transcript))
        try:
            # Awaited by `wait`, the model's cancellation is not taken for that of the turn.
            await asyncio.wait([turn.thinking])
            if turn.thinking.cancelled():
                return Say("(stopped)")
            error = turn.thinking.exception()
            return turn.thinking.result() if error is None else Say(f"(the model failed: {error})")
        finally:
            turn.thinking.cancel()
            turn.thinking = None

    def _bash(self, session: str, call: Message) -> str:
        """Launches the job of a call. Where that was done before a crash, the key finds it."""
        try:
            job = self._homing.launch(call.text, session=session, key=f"call-{call.id}")
        except HomingError as error:
            return f"Not started: {error}"
        return f"Job {job.id} was started. You will be woken when it is over; end your turn now."

    def _changed(self, session: str) -> None:
        if (change := self._changes.pop(session, None)) is not None:
            change.set()
