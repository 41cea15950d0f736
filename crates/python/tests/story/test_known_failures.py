"""Scenarios in which the seed is known to fail and `homing.bg_jobs` does not. Both run each scenario."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import wait_until

from story.backend import Backend, answer_of

MIB = 1 << 20

# An unrelated process, which must not be mistaken for a process of the job.
BYSTANDER = ["sleep", "3600"]


@pytest.mark.seed_fails("it loads, changes and saves all records: the last one to save wins")
def test_eight_processes_that_launch_at_once_keep_every_record(backend: Backend) -> None:
    code = "wait_for('go'); answer([bg_jobs.launch('true', 's')['id'] for _ in range(25)])"
    launchers = [backend.start(code) for _ in range(8)]
    backend.touch("go")
    launched = [id for launcher in launchers for id in answer_of(launcher)]
    assert len(set(launched)) == 200
    assert set(backend.run("answer(list(bg_jobs.refresh()))")) == set(launched)
    wait_until(lambda: not backend.processes(), "the jobs end")


@pytest.mark.seed_fails("an exit file that is still empty counts as exit code 1")
def test_an_empty_exit_file_is_not_an_exit_code_yet(backend: Backend) -> None:
    record = backend.run(f"answer(bg_jobs.launch({backend.until('go')!r} + '; exit 7', 's'))")
    # As the shell creates it, before it writes the code.
    Path(record["exit_path"]).touch()
    assert backend.run(f"answer(bg_jobs.get({record['id']!r}))")["status"] == "running"
    backend.touch("go")
    assert backend.run(f"answer(ended({record!r}))")["exit_code"] == 7


def test_no_poll_returns_a_wrong_exit_code(drop_in: Backend) -> None:
    code = """
    for _ in range(30):
        bg_jobs.launch("exit 7", "s")
    while True:
        records = bg_jobs.refresh().values()
        seen = {(one["status"], one["exit_code"], one["ended_at"] is None) for one in records}
        assert seen <= {("running", None, True), ("failed", 7, False)}, seen
        if len(seen) == 1 and ("failed", 7, False) in seen:
            break
    answer(len(bg_jobs.pending_followups()))
    """
    assert drop_in.run(code) == 30


def at_its_limit(backend: Backend, command: str) -> None:
    """Runs a job into its timeout while a host polls. No process of it may be left when that is recorded."""
    code = f"""
    record = bg_jobs.launch({command!r}, "s", max_runtime_s=0.5)
    while not bg_jobs.pending_followups():
        time.sleep(0.02)
    answer(bg_jobs.get(record["id"]))
    """
    record = backend.run(code)
    assert (record["status"], record["exit_code"], record["timed_out"]) == ("failed", -1, True)
    assert backend.has_no_processes(), backend.processes()


@pytest.mark.seed_fails("it sends SIGTERM and nothing after")
def test_a_job_that_ignores_sigterm_is_gone_after_its_timeout(backend: Backend) -> None:
    at_its_limit(backend, "trap '' TERM; while :; do sleep 0.1; done")


@pytest.mark.seed_fails("it ends a process group, and the child has one of its own")
def test_a_child_with_its_own_session_is_gone_after_the_timeout(backend: Backend) -> None:
    at_its_limit(backend, "setsid sleep 3600 & sleep 3600")


def test_a_job_that_handles_sigterm_is_gone_after_its_timeout(backend: Backend) -> None:
    at_its_limit(backend, "sleep 3600")


@pytest.mark.seed_fails("only who polls ends a job")
def test_the_timeout_is_enforced_without_polling(backend: Backend) -> None:
    record = backend.run("answer(bg_jobs.launch('sleep 3600', 's', max_runtime_s=0.5))")
    assert backend.has_no_processes(), backend.processes()
    assert backend.run(f"answer(bg_jobs.get({record['id']!r}))")["timed_out"]


@pytest.mark.seed_fails("a store that cannot be read counts as empty")
def test_a_store_torn_in_half_keeps_every_job(backend: Backend) -> None:
    code = "answer([ended(bg_jobs.launch(f'echo {n}; exit {n}', 's')) for n in range(6)])"
    records = backend.run(code)
    tear(backend)
    # The old module deletes records only when it writes.
    backend.run("ended(bg_jobs.launch('true', 'other')); answer(None)")
    assert backend.run("answer([bg_jobs.get(one['id']) for one in bg_jobs.list_for_session('s')])") == records
    assert len(backend.run("answer(bg_jobs.pending_followups())")) == 7


def tear(backend: Backend) -> None:
    """Cuts the store in half."""
    store = backend.data / ("bg_jobs.json" if backend.is_seed else "homing/ledger.db")
    if not backend.is_seed:
        # Move everything into the one file that is cut.
        with sqlite3.connect(store) as ledger:
            ledger.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ledger.close()
    half = store.stat().st_size // 2
    with open(store, "r+b") as file:
        file.truncate(half)


@pytest.mark.seed_fails("a job ended when it was polled")
def test_ended_at_is_the_time_of_the_end(backend: Backend) -> None:
    started = backend.run("answer(bg_jobs.launch('date +%s.%N > $STORY_MARK/new; mv $STORY_MARK/new $STORY_MARK/end', 's'))")
    end = backend.folder / "end"
    wait_until(end.exists, "the job ends")
    # This test needs time to pass.
    time.sleep(3)
    record = backend.run(f"answer(ended({started!r}))")
    assert abs(record["ended_at"] - float(end.read_text())) < 1


@pytest.mark.seed_fails("it knows exit codes and no signals")
def test_a_signal_that_ends_a_job_is_named(backend: Backend) -> None:
    code = """
    record = ended(bg_jobs.launch("ulimit -c 0; kill -SEGV $$", "s"))
    answer([record["exit_code"], bg_jobs.result_text(record)])
    """
    exit_code, text = backend.run(code)
    assert exit_code == 139
    assert "exit code 139 (SIGSEGV)" in text


def large_output(backend: Backend) -> Any:
    """Runs a job with 200 MB of output. Returns the memory that reading it took, and the text."""
    code = """
    import resource
    def peak_kib():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    record = bg_jobs.launch("echo begin; yes | head -c 200000000; echo end", "s")
    wait_for_end(record)
    before = peak_kib()
    output = bg_jobs.get(record["id"])["output"]
    answer([(peak_kib() - before) * 1024, output])
    """
    return backend.run(code)


@pytest.mark.seed_fails("it keeps all of it")
def test_large_output_stays_within_bounds_on_disk(backend: Backend) -> None:
    large_output(backend)
    assert sum(file.stat().st_blocks * 512 for file in backend.data.rglob("*") if file.is_file()) <= 16 * MIB


@pytest.mark.seed_fails("it reads all of it")
def test_large_output_is_read_within_bounds_of_memory(backend: Backend) -> None:
    memory, output = large_output(backend)
    assert output.startswith("begin\ny\n") and output.endswith("y\nend\n") and "[truncated]" in output
    assert memory <= 100 * MIB


def lives_on(process: subprocess.Popen[bytes]) -> bool:
    """Whether a process is alive and not about to end."""
    try:
        process.wait(timeout=0.5)
    except subprocess.TimeoutExpired:
        return True
    return False


@pytest.mark.seed_fails("it trusts a pid that another process may have")
def test_a_process_with_a_reused_pid_is_not_signalled(backend: Backend) -> None:
    with subprocess.Popen(BYSTANDER, start_new_session=True) as bystander:
        try:
            record = {
                "id": "0123456789ab",
                "session_id": "s",
                "command": "make",
                "status": "running",
                "pid": bystander.pid,
                "started_at": time.time() - 60,
                "ended_at": None,
                "exit_code": None,
                "max_runtime_s": 1,
                "followed_up": False,
                "log_path": str(backend.data / "bg_jobs/0123456789ab.log"),
                "exit_path": str(backend.data / "bg_jobs/0123456789ab.exit"),
            }
            (backend.data / "bg_jobs").mkdir(parents=True)
            (backend.data / "bg_jobs.json").write_text(json.dumps({record["id"]: record}))
            (due,) = backend.run("answer(bg_jobs.pending_followups())")
            assert (due["status"], due["exit_code"]) == ("failed", -1)
            assert lives_on(bystander)
        finally:
            bystander.kill()


@pytest.mark.seed_fails("who would record the exit is gone, and the job lives on")
def test_a_job_ends_with_its_recorder(backend: Backend) -> None:
    record = backend.run("answer(bg_jobs.launch('touch $STORY_MARK/runs; sleep 3600', 's'))")
    wait_until((backend.folder / "runs").exists, "the command runs")
    recorder = backend.recorder_of(record)
    assert recorder in backend.processes()
    os.kill(recorder, signal.SIGKILL)
    code = f"""
    deadline = time.monotonic() + 10
    while bg_jobs.get({record["id"]!r})["status"] == "running" and time.monotonic() < deadline:
        time.sleep(0.02)
    answer(bg_jobs.get({record["id"]!r}))
    """
    seen = backend.run(code)
    assert (seen["status"], seen["exit_code"], seen.get("died")) == ("failed", -1, True)
    assert backend.has_no_processes(), backend.processes()
