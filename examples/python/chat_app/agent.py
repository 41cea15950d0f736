"""The agent: from a transcript to its next step. The call of the real model goes into `Model.next_step`."""

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
    """What decides. It is asked again after each call of a tool, until it has something to say."""

    async def next_step(self, transcript: Sequence[Message]) -> Say | Bash:
        """Here a real application sends the transcript to its model, together with the description of the `bash` tool,
        and reads the answer. `person` and `wake` are the user's messages there, `agent` and `call` are the
        assistant's, `result` is the tool's. It is cancelled when the person stops the turn.
        """
        ...


class ScriptedModel:
    """A model that does what it is told: `run COMMAND` calls the tool, `think SECONDS` takes that long, everything else
    is repeated.
    """

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
