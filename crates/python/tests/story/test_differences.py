"""The differences between `homing.bg_jobs` and the seed that its documentation lists."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from conftest import wait_until

from story.backend import Backend


def test_a_killed_job_leaves_no_process_and_no_follow_up(drop_in: Backend) -> None:
    code = """
    record = bg_jobs.launch("setsid sleep 3600 & touch $STORY_MARK/runs; sleep 3600", "s")
    wait_for("runs")
    answer([bg_jobs.kill(record["id"]), bg_jobs.get(record["id"]), bg_jobs.pending_followups()])
    """
    killed, seen, due = drop_in.run(code)
    assert (killed["status"], killed["exit_code"], killed["killed"], due) == ("failed", -1, True, [])
    assert seen == {**killed, "output": ""}
    assert drop_in.has_no_processes(), drop_in.processes()
    text = drop_in.run(f"answer(bg_jobs.result_text({killed!r}))")
    assert text.startswith("Background job was killed.\nCommand: setsid")


def test_killing_a_finished_job_changes_nothing(drop_in: Backend) -> None:
    code = """
    record = ended(bg_jobs.launch("exit 3", "s"))
    answer([bg_jobs.kill(record["id"]), len(bg_jobs.pending_followups()), bg_jobs.kill("0123456789ab"), bg_jobs.kill("x")])
    """
    killed, due, unknown, nonsense = drop_in.run(code)
    assert (killed["exit_code"], "killed" in killed, due, unknown, nonsense) == (3, False, 1, None, None)


def test_a_job_marked_while_it_runs_has_no_follow_up(drop_in: Backend) -> None:
    code = f"""
    record = bg_jobs.launch({drop_in.until("go")!r}, "s")
    bg_jobs.mark_followed_up(record["id"])
    marked = bg_jobs.get(record["id"])
    open("go", "w").close()
    answer([marked["status"], marked["followed_up"], ended(record)["followed_up"], bg_jobs.pending_followups()])
    """
    assert drop_in.run(code) == ["running", True, True, []]


def test_leftovers_end_with_the_job(drop_in: Backend) -> None:
    record = drop_in.run("answer(ended(bg_jobs.launch('setsid sleep 3600 & sleep 3600 & exit 3', 's')))")
    assert record["exit_code"] == 3
    assert drop_in.has_no_processes(), drop_in.processes()


def test_a_job_gets_its_id_and_session(drop_in: Backend) -> None:
    record = drop_in.run("answer(ended(bg_jobs.launch('echo $HOMING_JOB $HOMING_SESSION', 'chat-1')))")
    assert record["output"] == f"{record['id']} chat-1\n"


def test_texts_have_no_control_codes_and_the_last_state_of_a_progress_bar(drop_in: Backend) -> None:
    command = r"printf '\033[31mred\033[0m\n10%%\r 50%%\r100%%\ndone\n'"
    assert drop_in.run(f"answer(ended(bg_jobs.launch({command!r}, 's')))")["output"] == "red\n100%\ndone\n"


@pytest.mark.parametrize(
    "arguments",
    [
        "'', 's'",
        "' \\n', 's'",
        "'true', ''",
        "'true', 'x' * 257",
        "'true', 'two\\nlines'",
        "'true', 's', max_runtime_s=0",
        "'true', 's', max_runtime_s=-1",
        "'true', 's', max_runtime_s=float('nan')",
    ],
)
def test_an_invalid_request_is_refused(drop_in: Backend, arguments: str) -> None:
    code = f"""
    try:
        bg_jobs.launch({arguments})
    except ValueError as error:
        answer([str(error), bg_jobs.refresh()])
    """
    message, records = drop_in.run(code)
    assert message and records == {}


@pytest.mark.parametrize(("cwd", "error"), [("nowhere", "FileNotFoundError"), ("file", "NotADirectoryError")])
def test_an_invalid_directory_is_named(drop_in: Backend, cwd: str, error: str) -> None:
    drop_in.touch("file")
    folder = str(drop_in.folder / cwd)
    code = f"""
    try:
        bg_jobs.launch("true", "s", cwd={folder!r})
    except OSError as error:
        answer([type(error).__name__, error.filename, bg_jobs.refresh()])
    """
    assert drop_in.run(code) == [error, folder, {}]


def test_infinity_disables_the_timeout(drop_in: Backend) -> None:
    code = "answer(ended(bg_jobs.launch('true', 's', max_runtime_s=float('inf')))['max_runtime_s'])"
    assert drop_in.run(code) == float("inf")


def test_threads_and_forks_may_launch_at_once(drop_in: Backend) -> None:
    code = """
    import threading
    def launch():
        for _ in range(5):
            bg_jobs.launch("true", "s")
    launch()
    threads = [threading.Thread(target=launch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if (child := os.fork()) == 0:
        try:
            launch()
            os._exit(len(bg_jobs.refresh()))
        finally:
            os._exit(255)
    launch()
    answer([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) >= 30, len(bg_jobs.refresh())])
    """
    assert drop_in.run(code) == [True, 35]
    wait_until(lambda: not drop_in.processes(), "the jobs end")


def test_the_exit_file_is_written_by_a_poll(drop_in: Backend) -> None:
    record = drop_in.run("answer(bg_jobs.launch('sleep 3600', 's', max_runtime_s=0.2))")
    exit_path = Path(record["exit_path"])
    assert drop_in.has_no_processes(), drop_in.processes()
    assert not exit_path.exists()
    assert drop_in.run("answer(len(bg_jobs.pending_followups()))") == 1
    assert exit_path.read_text() == "-1\n"


def test_a_job_with_a_stopped_supervisor_stays_running(drop_in: Backend) -> None:
    record = drop_in.run(f"answer(bg_jobs.launch({drop_in.until('go')!r} + '; touch $STORY_MARK/ends; exit 7', 's'))")
    supervisor = drop_in.recorder_of(record)
    os.kill(supervisor, signal.SIGSTOP)
    drop_in.touch("go")
    wait_until((drop_in.folder / "ends").exists, "the command ends")
    assert drop_in.run(f"answer(bg_jobs.get({record['id']!r})['status'])") == "running"
    os.kill(supervisor, signal.SIGCONT)
    assert drop_in.run(f"answer(ended({record!r})['exit_code'])") == 7


@pytest.mark.parametrize("spoil", ["half", "empty", "garbage", "gone"])
@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-shm"])
def test_a_damaged_ledger_is_rebuilt(drop_in: Backend, name: str, spoil: str) -> None:
    code = """
    records = [ended(bg_jobs.launch(f"echo {n}; exit {n}", "s")) for n in range(6)]
    for one in records[:3]:
        bg_jobs.mark_followed_up(one["id"])
    answer([bg_jobs.get(one["id"]) for one in records])
    """
    records = drop_in.run(code)
    file = drop_in.data / "homing" / name
    before = file.read_bytes()
    half = len(before) // 2
    if spoil == "gone":
        file.unlink()
    else:
        file.write_bytes({"half": before[:half], "empty": b"", "garbage": before[:half] + b"\xa5" * half}[spoil])
    seen = drop_in.run("answer([bg_jobs.get(one['id']) for one in bg_jobs.list_for_session('s')])")
    unmarked = [{**one, "followed_up": False} for one in seen]
    assert unmarked == [{**one, "followed_up": False} for one in records]
    due = drop_in.run("answer([one['id'] for one in bg_jobs.pending_followups()])")
    # Only the ledger stores acknowledgements. Notifying twice is better than never.
    assert {one["id"] for one in records[3:]} <= set(due)
