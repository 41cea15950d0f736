"""The take-over of a store of the seed by several processes at once, by killed processes, and from torn files."""

from __future__ import annotations

import fcntl
import json
import random
import signal
import time
from typing import Any

import pytest
from conftest import DEADLINE, wait_until

from story.backend import Backend, answer_of, kill, line_of
from story.old_store import OldStore, Record

WITH_WARNINGS = """
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as caught:
    {code}
answer([result, [f"{{one.category.__name__}}: {{one.message}}" for one in caught]])
"""


def warned(drop_in: Backend, code: str) -> tuple[Any, list[str]]:
    """The value of an expression, and the warnings that it caused."""
    result, warnings = drop_in.run(WITH_WARNINGS.format(code=f"result = {code}"))
    return result, warnings


def fill(old: OldStore, count: int) -> dict[str, str]:
    """Adds finished jobs. Returns the outputs of those with a pending follow-up."""
    outputs = {}
    for number in range(count):
        record = old.add(followed_up=number % 4 == 0, session_id=f"chat-{number % 3}")
        old.log(record, f"output {number}\n".encode() * 2000)
        if number % 4:
            outputs[record["id"]] = f"output {number}\n"
    return outputs


def test_eight_concurrent_take_overs_import_each_job_once(drop_in: Backend, old: OldStore) -> None:
    outputs = fill(old, 40)
    running = old.start(drop_in.until("end"))
    code = "wait_for('go'); answer([list(bg_jobs.refresh()), [one['id'] for one in bg_jobs.pending_followups()]])"
    hosts = [drop_in.start(code) for _ in range(8)]
    drop_in.touch("go")
    for host in hosts:
        known, due = answer_of(host)
        assert sorted(known) == sorted(old.records)
        assert due == list(outputs)
    drop_in.touch("end")
    old.wait(running)
    # One of them takes it over, and the others notice it a moment later.
    code = """
    while len(due := bg_jobs.pending_followups()) < 31:
        time.sleep(0.01)
    answer([len(bg_jobs.list_for_session("chat-1")), [one["id"] for one in due]])
    """
    hosts = [drop_in.start(code) for _ in range(8)]
    listed = 1 + sum(old.records[id]["session_id"] == "chat-1" for id in old.records if id != running["id"])
    for host in hosts:
        assert answer_of(host) == [listed, [*outputs, running["id"]]]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["_homing.bg_import", "_homing.write_private"])
def test_a_take_over_that_is_killed_at_a_step_is_repeated(
    drop_in: Backend, old: OldStore, step: str, when: str
) -> None:
    outputs = fill(old, 8)
    running = old.start(drop_in.until("go"))
    die_at(drop_in, step, when)
    assert_taken_over(drop_in, [*outputs])
    drop_in.touch("go")
    old.wait(running)
    # The same again, for the one that ran meanwhile.
    die_at(drop_in, step, when)
    assert_taken_over(drop_in, [*outputs, running["id"]])
    assert sorted(drop_in.run("answer(list(bg_jobs.refresh()))")) == sorted(old.records)


def die_at(drop_in: Backend, step: str, when: str) -> None:
    """Runs a host that dies like by `kill -9` before or after a step of the take-over."""
    code = f"""
    import os as os_module, signal
    from homing import _bg_store, _bg_takeover, _homing
    step = _bg_takeover.{step}
    def die(*arguments):
        if "{when}" == "after":
            step(*arguments)
        os_module.kill(os_module.getpid(), signal.SIGKILL)
    _bg_takeover.{step} = die
    bg_jobs.refresh()
    """
    host = drop_in.start(code)
    host.communicate(timeout=DEADLINE)
    assert host.returncode == -signal.SIGKILL


def assert_taken_over(drop_in: Backend, ids: list[str]) -> None:
    assert drop_in.run("answer([one['id'] for one in bg_jobs.pending_followups()])") == ids


@pytest.mark.parametrize("part", range(8))
def test_a_take_over_that_is_killed_in_the_middle_is_repeated(drop_in: Backend, old: OldStore, part: int) -> None:
    outputs = fill(old, 40)
    running = old.start(drop_in.until("go"))
    before = old.path.read_bytes()
    chance = random.Random(part)
    for _ in range(4):
        host = drop_in.start("answer('ready'); bg_jobs.refresh(); answer('done')")
        assert line_of(host) == "ready"
        # The take-over lasts about a tenth of a second; kill it at any point.
        time.sleep(0.015 * part + chance.uniform(0, 0.015))
        kill(host)
    drop_in.touch("go")
    old.wait(running)
    seen = drop_in.run("answer([[one['id'], bg_jobs.get(one['id'])['output']] for one in bg_jobs.pending_followups()])")
    assert [id for id, _ in seen] == [*outputs, running["id"]]
    assert all(len(output) > 16000 and output.startswith(outputs[id]) for id, output in seen if id in outputs)
    assert sorted(drop_in.run("answer(list(bg_jobs.refresh()))")) == sorted(old.records)
    assert old.path.read_bytes() == before


def test_a_job_acknowledged_between_two_attempts_stays_acknowledged(drop_in: Backend, old: OldStore) -> None:
    outputs = fill(old, 8)
    marked = next(iter(outputs))
    drop_in.run(f"bg_jobs.mark_followed_up({marked!r}); answer(None)")
    # As if it had been killed before it saved the end of the take-over.
    (drop_in.data / "homing" / "taken-over.json").unlink()
    assert drop_in.run("answer([one['id'] for one in bg_jobs.pending_followups()])") == list(outputs)[1:]


def test_a_job_imported_but_not_yet_saved_is_listed_once(drop_in: Backend, old: OldStore) -> None:
    running = old.start(drop_in.until("go"))
    later = old.add(started_at=running["started_at"] + 0.01, ended_at=running["started_at"] + 1)
    drop_in.run("answer(len(bg_jobs.refresh()))")
    note = drop_in.data / "homing" / "taken-over.json"
    unnoted = note.read_text()
    drop_in.touch("go")
    old.wait(running)
    ids = [running["id"], later["id"]]
    code = "answer([one['id'] for one in bg_jobs.list_for_session('chat-1')])"
    assert drop_in.run(code) == ids
    note.write_text(unnoted)
    # Another process is about to save it.
    with open(drop_in.data / "homing" / "taken-over.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert drop_in.run(code) == ids
        assert drop_in.run(f"answer(bg_jobs.get({running['id']!r}))")["status"] == "done"
        assert drop_in.run("answer([one['id'] for one in bg_jobs.pending_followups()])") == ids
    # The process that marked it died before it saved that.
    note.write_text(unnoted)
    assert drop_in.run(f"bg_jobs.mark_followed_up({running['id']!r}); answer(len(bg_jobs.pending_followups()))") == 1


def test_all_jobs_are_listed_in_the_order_of_launch(drop_in: Backend, old: OldStore) -> None:
    first = old.add()
    running = old.start(drop_in.until("go"))
    last = old.add(started_at=running["started_at"] + 0.01, ended_at=running["started_at"] + 1)
    assert drop_in.run("answer(list(bg_jobs.refresh()))") == [first["id"], running["id"], last["id"]]
    drop_in.touch("go")


def test_a_torn_store_causes_a_warning_and_is_taken_over_when_complete(drop_in: Backend, old: OldStore) -> None:
    record = old.add()
    whole = old.path.read_bytes()
    old.path.write_bytes(whole[: len(whole) // 2])
    result, warnings = warned(drop_in, "[ended(bg_jobs.launch('exit 3', 's'))['exit_code'], bg_jobs.refresh() and None]")
    assert result == [3, None]
    assert len(warnings) == 1 and warnings[0].startswith(f"RuntimeWarning: {old.path} is not taken over")
    host = drop_in.start("answer(len(bg_jobs.refresh())); wait_for('go'); answer(len(bg_jobs.refresh()))")
    assert line_of(host) == 1
    old.path.write_bytes(whole)
    drop_in.touch("go")
    # The process that issued the warning sees it too.
    assert answer_of(host) == 2
    assert drop_in.run(f"answer(bg_jobs.get({record['id']!r}))")["exit_code"] == 0


def test_an_invalid_store_causes_a_warning(drop_in: Backend, old: OldStore) -> None:
    for content in ("[]", "", "null", '"jobs"', "\x00" * 100):
        old.path.write_text(content)
        result, warnings = warned(drop_in, "bg_jobs.refresh()")
        assert result == {} and len(warnings) == 1, (content, warnings)


WRONG: list[object] = [
    None,
    [],
    "a record",
    {},
    {"session_id": None},
    {"command": 5},
    {"started_at": "yesterday"},
    {"started_at": float("nan")},
    {"started_at": float("inf")},
    {"session_id": "two\nlines"},
    {"session_id": ""},
    {"id": "another"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_an_invalid_record_causes_a_warning_and_the_others_are_imported(
    drop_in: Backend, old: OldStore, wrong: object
) -> None:
    first = old.add()
    spoiled = old.add()["id"]
    last = old.add()
    old.path.write_text(json.dumps({**old.records, spoiled: wrong_record(old.records[spoiled], wrong)}))
    result, warnings = warned(drop_in, "list(bg_jobs.refresh())")
    assert sorted(result) == [first["id"], last["id"]]
    assert len(warnings) == 1 and spoiled in warnings[0], warnings
    # Only once.
    assert warned(drop_in, "len(bg_jobs.refresh())") == (2, [])


def wrong_record(record: Record, wrong: object) -> object:
    """The invalid value in place of the record; a non-empty dictionary replaces only its keys."""
    return {**record, **wrong} if isinstance(wrong, dict) and wrong else wrong


ODD: list[dict[str, object]] = [
    {"pid": "4242"},
    {"pid": -1},
    {"pid": None},
    {"pid": 1 << 70},
    {"max_runtime_s": "long"},
    {"max_runtime_s": float("inf")},
    {"max_runtime_s": -5},
    {"max_runtime_s": None},
    {"exit_code": "3"},
    {"exit_code": 1 << 40},
    {"exit_code": None},
    {"ended_at": None},
    {"ended_at": "now"},
    {"ended_at": float("nan")},
    {"log_path": None},
    {"log_path": "/dev/zero"},
    {"log_path": "/"},
    {"command": ""},
    {"command": "nul \0 in it"},
    {"command": "half a \ud83d pair"},
    {"followed_up": 1},
]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_an_odd_value_in_a_record_does_not_stop_the_take_over(drop_in: Backend, old: OldStore, odd: dict[str, object]) -> None:
    first = old.add()
    spoiled = [old.add(**odd)["id"], old.add_running(**odd)["id"]]
    last = old.add()
    code = """
    due = bg_jobs.pending_followups()
    answer([sorted(bg_jobs.refresh()), [bg_jobs.result_text(one) for one in due], [one["id"] for one in due]])
    """
    known, texts, due = drop_in.run(code)
    assert len(texts) == len(due)
    assert {*known, *spoiled} == set(old.records)
    assert {first["id"], last["id"]} <= set(due)
    # The imported jobs stay known.
    assert drop_in.run(code) == [known, texts, due]


def test_a_host_learns_of_a_job_that_another_host_imported(drop_in: Backend, old: OldStore) -> None:
    running = old.start(f"{drop_in.until('end')}; exit 3")
    code = "answer(len(bg_jobs.refresh())); wait_for('go'); answer([one['exit_code'] for one in bg_jobs.refresh().values()])"
    host = drop_in.start(code)
    assert line_of(host) == 1
    drop_in.touch("end")
    old.wait(running)
    wait_until(lambda: drop_in.run("answer(len(bg_jobs.pending_followups()))") == 1, "another host takes it over")
    drop_in.touch("go")
    assert answer_of(host) == [3]
