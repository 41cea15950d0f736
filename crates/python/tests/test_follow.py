"""Following the output of a job while it writes."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from pathlib import Path

import pytest
from conftest import DEADLINE, wait_until

from homing import Homing, InvalidRequest, Job, NoSuchJob, OutputPiece

SENTENCE = "one\ntwo über\n\x1b[1mthree\x1b[0m\n0 %\r100 %\nunfinished"
READABLE = "one\ntwo über\nthree\n100 %\nunfinished"


def writes_on_request(homing: Homing, folder: Path) -> Job:
    """A job that writes the sentence byte by byte, each byte when the file with its number exists."""
    for number, byte in enumerate(SENTENCE.encode()):
        (folder / f"{number}.byte").write_bytes(bytes([byte]))
    count = len(SENTENCE.encode())
    return homing.launch(f"for i in $(seq 0 {count - 1}); do until [ -e {folder}/$i ]; do sleep 0.01; done; cat {folder}/$i.byte; done")


def test_every_byte_is_returned_as_it_is_written(homing: Homing, tmp_path: Path) -> None:
    job = writes_on_request(homing, tmp_path)
    expected = SENTENCE.encode()
    seen, text = b"", ""
    (tmp_path / "0").touch()
    for piece in job.follow():
        assert piece.offset == len(seen) and piece.end == piece.offset + len(piece.data)
        seen += piece.data
        text += piece.text
        assert expected.startswith(seen) and READABLE.startswith(text)
        # Request the next byte only after this one has arrived: no byte is held back.
        (tmp_path / str(len(seen))).touch()
    assert (seen, text) == (expected, READABLE)
    assert job.refresh().succeeded
    # A finished job can be followed too, from any offset.
    assert b"".join(piece.data for piece in job.follow(4)) == expected[4:]
    assert list(job.follow(10_000)) == []


def test_many_jobs_are_followed_in_one_event_loop(homing: Homing, tmp_path: Path) -> None:
    async def read(job: Job, folder: Path) -> str:
        (folder / "0").touch()
        text, size = "", 0
        async for piece in job.follow_async():
            text, size = text + piece.text, size + len(piece.data)
            (folder / str(size)).touch()
        return text

    async def story() -> list[str]:
        readers = []
        for number in range(8):
            folder = tmp_path / f"job-{number}"
            folder.mkdir()
            readers.append(read(await asyncio.to_thread(writes_on_request, homing, folder), folder))
        return await asyncio.gather(*readers)

    assert asyncio.run(story()) == [READABLE] * 8


def test_following_a_silent_job_costs_nothing_and_can_be_cancelled(homing: Homing) -> None:
    job = homing.launch("echo begun; sleep 600")

    async def story() -> None:
        async def follow(pieces: list[OutputPiece]) -> None:
            async for piece in job.follow_async():
                pieces.append(piece)

        pieces: list[OutputPiece] = []
        following = asyncio.create_task(follow(pieces))
        while not pieces:
            await asyncio.sleep(0.01)
        before = time.process_time()
        await asyncio.sleep(1)
        # A busy loop would use the whole second.
        assert time.process_time() - before < 0.5
        descriptors = len(os.listdir("/proc/self/fd"))
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        del following
        while len(os.listdir("/proc/self/fd")) >= descriptors:
            gc.collect()
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(story(), DEADLINE))
    assert job.refresh().state == "running"


def test_omitted_output_is_named(homing: Homing) -> None:
    job = homing.launch("echo first; head -c 20000000 /dev/zero | tr '\\0' x | fold -w 99; echo; echo last")
    wait_until(lambda: job.refresh().is_finished, "it has finished")
    pieces = list(job.follow())
    text = "".join(piece.text for piece in pieces)
    assert text.startswith("first\nxxx") and text.endswith("\nlast\n")
    [gap] = [(before, after) for before, after in zip(pieces, pieces[1:]) if before.end != after.offset]
    assert f"… {gap[1].offset - gap[0].end:,} bytes omitted …\n" in text
    assert pieces[-1].end == job.refresh().output_size.total_bytes


def test_following_an_unknown_job_is_an_error(homing: Homing) -> None:
    with pytest.raises(NoSuchJob):
        homing.follow("00000000")
    with pytest.raises(InvalidRequest, match="not be negative"):
        homing.launch("true").follow(-1)
