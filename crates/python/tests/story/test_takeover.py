"""The take-over of a store of the seed: finished jobs at once, running jobs when they end. The store does not change."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until

from story.backend import Backend
from story.old_store import OldStore, Record

DUE = "answer(bg_jobs.pending_followups())"

# Ends when the test says so, and by no SIGTERM.
STUBBORN = "trap '' TERM; touch $STORY_MARK/runs; while :; do sleep 0.05; done"


def current(drop_in: Backend, record: Record) -> Any:
    """The record of a job, as a new host sees it."""
    return drop_in.run(f"answer(bg_jobs.get({record['id']!r}))")


def due(drop_in: Backend) -> list[str]:
    return [one["id"] for one in drop_in.run(DUE)]


def is_finished(drop_in: Backend, record: Record) -> Any:
    """The record of a job when it has finished."""

    def seen() -> Any:
        found = current(drop_in, record)
        return None if found["status"] == "running" else found

    return wait_until(seen, "the job has finished")


def test_a_finished_pending_job_is_delivered(drop_in: Backend, old: OldStore) -> None:
    record = old.add(status="failed", exit_code=3, command="make test", session_id="chat-9", max_runtime_s=60)
    old.log(record, b"no rule\n")
    (seen,) = drop_in.run(DUE)
    kept = {key: value for key, value in record.items() if key not in ("log_path", "exit_path", "started_at", "ended_at")}
    assert {key: seen[key] for key in kept} == kept
    for key in ("started_at", "ended_at"):
        assert seen[key] == pytest.approx(record[key], abs=0.001)
    text = drop_in.run(f"answer(bg_jobs.result_text({seen!r}))")
    assert text == "Background job finished with exit code 3.\nCommand: make test\n\nOutput:\nno rule\n"
    drop_in.run(f"bg_jobs.mark_followed_up({record['id']!r}); answer(None)")
    assert due(drop_in) == []


def test_an_integer_session_becomes_its_digits(drop_in: Backend, old: OldStore) -> None:
    record = old.add(session_id=7)
    listed = drop_in.run("answer(bg_jobs.list_for_session(7))")
    assert [(one["id"], one["session_id"]) for one in listed] == [(record["id"], "7")]


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ({"timed_out": True}, "Background job timed out after 3600s."),
        ({"died": True}, "Background job process died unexpectedly (no exit code)."),
    ],
)
def test_the_outcome_is_kept(drop_in: Backend, old: OldStore, ended: dict[str, bool], words: str) -> None:
    record = old.add(status="failed", exit_code=-1, **ended)
    (seen,) = drop_in.run(DUE)
    assert (seen["id"], seen["status"], seen["exit_code"]) == (record["id"], "failed", -1)
    assert drop_in.run(f"answer(bg_jobs.result_text({seen!r}))").startswith(words)


def test_a_followed_up_job_is_listed_and_not_pending(drop_in: Backend, old: OldStore) -> None:
    record = old.add(followed_up=True)
    assert due(drop_in) == []
    (seen,) = drop_in.run("answer(bg_jobs.list_for_session('chat-1'))")
    assert (seen["id"], seen["followed_up"], seen["status"]) == (record["id"], True, "done")


def test_an_old_followed_up_job_is_not_taken_over(drop_in: Backend, old: OldStore) -> None:
    long_ago = time.time() - 7200
    old.add(followed_up=True, started_at=long_ago - 1, ended_at=long_ago)
    kept = old.add(started_at=long_ago - 1, ended_at=long_ago)
    assert list(drop_in.run("answer(bg_jobs.refresh())")) == [kept["id"]]


def test_a_running_job_is_delivered_when_it_ends(drop_in: Backend, old: OldStore) -> None:
    record = old.start(f"echo begin; {drop_in.until('go')}; echo end; exit 3")
    seen = current(drop_in, record)
    assert (seen["status"], seen["exit_code"], seen["pid"]) == ("running", None, record["pid"])
    assert due(drop_in) == []
    drop_in.touch("go")
    old.wait(record)
    ended_at = time.time()
    seen = current(drop_in, record)
    assert (seen["status"], seen["exit_code"], seen["output"]) == ("failed", 3, "begin\nend\n")
    assert seen["ended_at"] == pytest.approx(ended_at, abs=1)
    assert due(drop_in) == [record["id"]]


def test_an_empty_exit_file_is_not_an_exit_code_yet(drop_in: Backend, old: OldStore) -> None:
    record = old.start(f"{drop_in.until('go')}; exit 3")
    exit_path = Path(record["exit_path"])
    exit_path.touch()
    assert current(drop_in, record)["status"] == "running"
    drop_in.touch("go")
    old.wait(record)
    assert current(drop_in, record)["exit_code"] == 3


def test_an_exit_file_that_stays_empty_is_not_an_exit_code(drop_in: Backend, old: OldStore) -> None:
    record = old.add_running()
    Path(record["exit_path"]).touch()
    seen = current(drop_in, record)
    assert (seen["status"], seen["exit_code"], seen.get("died")) == ("failed", -1, True)


@pytest.mark.parametrize(
    ("written", "exit_code"),
    [(b"3\n", 3), (b"3", 3), (b"139\n", 139), (b"\n", None), (b"three\n", None), (b"99999999999\n", None)],
)
def test_an_exit_file_counts_only_with_a_valid_code(
    drop_in: Backend, old: OldStore, written: bytes, exit_code: int | None
) -> None:
    record = old.add_running()
    Path(record["exit_path"]).write_bytes(written)
    seen = current(drop_in, record)
    if exit_code is None:
        assert (seen["status"], seen["exit_code"], seen.get("died")) == ("failed", -1, True)
    else:
        assert (seen["status"], seen["exit_code"], seen.get("died")) == ("failed", exit_code, None)


def test_a_timed_out_job_is_ended_with_its_processes(drop_in: Backend, old: OldStore) -> None:
    record = old.start(f"setsid sleep 3600 & {STUBBORN}", max_runtime_s=0.2)
    wait_until((drop_in.folder / "runs").exists, "the command runs")
    seen = is_finished(drop_in, record)
    assert (seen["exit_code"], seen.get("timed_out")) == (-1, True)
    old.wait(record)
    assert drop_in.has_no_processes(), drop_in.processes()
    assert due(drop_in) == [record["id"]]


def test_a_job_whose_wrapper_was_killed_is_ended(drop_in: Backend, old: OldStore) -> None:
    record = old.start("touch $STORY_MARK/runs; sleep 3600")
    wait_until((drop_in.folder / "runs").exists, "the command runs")
    old.kill_wrapper(record)
    assert current(drop_in, record).get("died") is True
    assert drop_in.has_no_processes(), drop_in.processes()


@pytest.mark.parametrize("limit", [1, 3600])
def test_a_process_with_a_reused_pid_is_not_signalled(drop_in: Backend, old: OldStore, limit: int) -> None:
    with subprocess.Popen(["sleep", "3600"], start_new_session=True) as bystander:
        try:
            record = old.add_running(pid=bystander.pid, max_runtime_s=limit)
            seen = current(drop_in, record)
            assert (seen["status"], seen["exit_code"], seen.get("died")) == ("failed", -1, True)
            assert drop_in.run(f"answer(bg_jobs.kill({record['id']!r}))")["id"] == record["id"]
            with pytest.raises(subprocess.TimeoutExpired):
                bystander.wait(timeout=0.5)
        finally:
            bystander.kill()


def test_a_running_job_can_be_killed_without_a_follow_up(drop_in: Backend, old: OldStore) -> None:
    record = old.start("setsid sleep 3600 & touch $STORY_MARK/runs; sleep 3600")
    wait_until((drop_in.folder / "runs").exists, "the command runs")
    seen = drop_in.run(f"answer(bg_jobs.kill({record['id']!r}))")
    assert (seen["status"], seen["exit_code"], seen.get("killed")) == ("failed", -1, True)
    assert drop_in.has_no_processes(), drop_in.processes()
    assert due(drop_in) == []


def test_a_running_job_marked_as_followed_up_stays_so(drop_in: Backend, old: OldStore) -> None:
    record = old.start(drop_in.until("go"))
    seen = drop_in.run(f"bg_jobs.mark_followed_up({record['id']!r}); answer(bg_jobs.get({record['id']!r}))")
    assert (seen["status"], seen["followed_up"]) == ("running", True)
    drop_in.touch("go")
    old.wait(record)
    assert due(drop_in) == []
    assert current(drop_in, record)["status"] == "done"


def test_a_long_log_is_taken_over_within_limits(drop_in: Backend, old: OldStore) -> None:
    record = old.add()
    old.log(record, b"begin\n" + b"x" * (7 << 20) + b"\nend\n")
    output = current(drop_in, record)["output"]
    assert output.startswith("begin\nxx") and output.endswith("xx\nend\n") and "\n…[truncated]…\n" in output
    assert len(output) == 16000 + len("\n…[truncated]…\n")
    jobs = drop_in.data / "homing" / "jobs" / record["id"]
    assert sum(file.stat().st_size for file in jobs.iterdir()) < 6 << 20
    assert Path(record["log_path"]).stat().st_size > 7 << 20


def test_the_old_store_does_not_change(drop_in: Backend, old: OldStore) -> None:
    old.log(old.add(), b"output\n")
    runs = old.start(drop_in.until("go"))
    before = files_below(drop_in.data)
    assert len(drop_in.run("bg_jobs.launch('true', 's'); answer(bg_jobs.refresh())")) == 3
    drop_in.run(f"bg_jobs.mark_followed_up({runs['id']!r}); answer(None)")
    drop_in.touch("go")
    old.wait(runs)
    assert is_finished(drop_in, runs)["exit_code"] == 0
    after = files_below(drop_in.data)
    # The only one that writes there is the wrapper.
    assert after.pop(Path(runs["exit_path"])) == b"0\n"
    assert after == before


def files_below(data: Path) -> dict[Path, bytes]:
    """The old store and the files of its jobs."""
    files = [data / "bg_jobs.json", *(data / "bg_jobs").iterdir()]
    return {file: file.read_bytes() for file in files}


def test_after_the_take_over_the_old_store_is_not_read_again(drop_in: Backend, old: OldStore) -> None:
    first = old.add()
    assert due(drop_in) == [first["id"]]
    later = old.add()
    assert due(drop_in) == [first["id"]]
    assert current(drop_in, later) is None
    # Reading it would warn.
    old.path.write_text("{")
    assert drop_in.run("warnings.simplefilter('error'); answer(len(bg_jobs.refresh()))") == 1


def test_a_store_that_the_seed_made_is_taken_over(drop_in: Backend, seed: Backend) -> None:
    code = f"""
    marked, due = [ended(bg_jobs.launch(f"echo {{n}}; exit {{n}}", "chat-1")) for n in (0, 3)]
    bg_jobs.mark_followed_up(marked["id"])
    running = bg_jobs.launch({seed.until("go")!r} + "; echo late; exit 4", "chat-2")
    answer([marked, due, running])
    """
    marked, unfollowed, running = seed.run(code)
    before = (seed.data / "bg_jobs.json").read_bytes()
    assert due(drop_in) == [unfollowed["id"]]
    assert current(drop_in, unfollowed)["output"] == "3\n"
    assert current(drop_in, marked)["followed_up"] is True
    assert current(drop_in, running)["status"] == "running"
    drop_in.touch("go")
    seen = is_finished(drop_in, running)
    assert (seen["exit_code"], seen["output"], seen["session_id"]) == (4, "late\n", "chat-2")
    assert due(drop_in) == [unfollowed["id"], running["id"]]
    assert (seed.data / "bg_jobs.json").read_bytes() == before
