"""The agent: computes the next step from a transcript. Call a real model in `Model.next_step`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .store import Message


@dataclass(frozen=True)
class Say:
    """The agent answers, and ends its turn."""

    text: str


@dataclass(frozen=True)
class Bash:
    """The agent calls its `bash` tool."""

    command: str


class Model(Protocol):
    """Decides the next step. It is called again after each tool call, until it answers."""

    async def next_step(self, transcript: Sequence[Message]) -> Say | Bash:
        """A real application sends the transcript and the description of the `bash` tool to its model here, and parses
        the answer. `person` and `wake` are messages of the user, `agent` and `call` of the assistant, `result` of the
        tool. The call is cancelled when the person stops the turn.
        """
        ...


class ScriptedModel:
    """A model that follows commands: `run COMMAND` calls the tool, `think SECONDS` waits, and other text is repeated."""

    async def next_step(self, transcript: Sequence[Message]) -> Say | Bash:
        await asyncio.sleep(0.02)
        last = transcript[-1]
        if last.sender == "wake":
            return Say(f"The result is here.\n{last.text}")
        if last.sender == "result":
            return Say(last.text)
        word, _, rest = last.text.partition(" ")
        if word == "run":
            return Bash(rest)
        if word == "think":
            await asyncio.sleep(float(rest))
            return Say("I have thought about it.")
        return Say(f"You said: {last.text}")
