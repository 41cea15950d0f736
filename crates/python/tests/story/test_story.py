"""The behaviour that every caller of `bg_jobs` relies on, in both modules: records, wording, follow-ups, restarts."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from conftest import wait_until

from story.backend import Backend, kill, line_of

KEYS = {
    "id",
    "session_id",
    "command",
    "status",
    "pid",
    "started_at",
    "ended_at",
    "exit_code",
    "max_runtime_s",
    "followed_up",
    "log_path",
    "exit_path",
}


def test_a_launch_returns_the_record_of_a_running_job(backend: Backend) -> None:
    before = time.time()
    code = f"answer(bg_jobs.launch({backend.until('go')!r}, 'chat-1', max_runtime_s=60))"
    record = backend.run(code)
    assert set(record) == KEYS
    assert {key: record[key] for key in ("session_id", "command", "status", "ended_at", "exit_code", "followed_up")} == {
        "session_id": "chat-1",
        "command": backend.until("go"),
        "status": "running",
        "ended_at": None,
        "exit_code": None,
        "followed_up": False,
    }
    assert (len(record["id"]), type(record["pid"]), record["max_runtime_s"]) == (12, int, 60)
    # In homing, times are kept in milliseconds.
    assert before - 0.001 <= record["started_at"] <= time.time()
    assert all(Path(record[key]).is_relative_to(backend.data) for key in ("log_path", "exit_path"))
    seen = backend.run("answer(bg_jobs.refresh())")
    assert seen == {record["id"]: record}
    backend.touch("go")


def test_the_default_timeout_is_an_hour(backend: Backend) -> None:
    assert backend.run("answer(ended(bg_jobs.launch('true', 's')))")["max_runtime_s"] == 3600
    assert backend.run("answer(bg_jobs.DEFAULT_MAX_RUNTIME_S)") == 3600


@pytest.mark.parametrize(
    ("command", "status", "exit_code"),
    [
        ("true", "done", 0),
        ("exit 7", "failed", 7),
        ("false || exit 0", "done", 0),
        ("if true; then (exit 3)", "failed", 2),
        ("no-such-program-anywhere", "failed", 127),
        ("exit 5 # \\", "failed", 5),
    ],
)
def test_the_outcome_of_a_command_is_recorded(backend: Backend, command: str, status: str, exit_code: int) -> None:
    record = backend.run(f"answer(ended(bg_jobs.launch({command!r}, 's')))")
    assert (record["status"], record["exit_code"]) == (status, exit_code)
    assert record["started_at"] <= record["ended_at"] <= time.time()
    assert not record.keys() & {"timed_out", "died", "killed"}
    assert Path(record["exit_path"]).read_text().strip() == str(exit_code)


def test_a_command_runs_in_its_cwd(backend: Backend) -> None:
    record = backend.run(f"answer(ended(bg_jobs.launch('pwd -P', 's', cwd={str(backend.folder)!r})))")
    assert record["output"] == f"{backend.folder.resolve()}\n"


def test_a_result_has_the_known_wording(backend: Backend) -> None:
    code = """
    def text(command):
        record = ended(bg_jobs.launch(command, "chat-1"))
        return bg_jobs.result_text(record)
    answer([text(one) for one in ("echo hi; echo there >&2; exit 3", "true")])
    """
    assert backend.run(code) == [
        "Background job finished with exit code 3.\nCommand: echo hi; echo there >&2; exit 3\n\nOutput:\nhi\nthere\n",
        "Background job finished with exit code 0.\nCommand: true\n\nOutput:\n(no output)",
    ]


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ({"exit_code": -1, "timed_out": True}, "Background job timed out after 60s."),
        ({"exit_code": -1, "died": True}, "Background job process died unexpectedly (no exit code)."),
        ({"exit_code": 4}, "Background job finished with exit code 4."),
    ],
)
def test_a_record_without_output_has_the_known_wording(
    backend: Backend, ended: dict[str, object], words: str
) -> None:
    record = {"id": "0" * 12, "command": "make", "status": "failed", "max_runtime_s": 60, **ended}
    text = backend.run(f"answer(bg_jobs.result_text({record!r}))")
    assert text == f"{words}\nCommand: make\n\nOutput:\n(no output)"


def test_a_long_output_is_shortened_to_head_and_tail(backend: Backend) -> None:
    letters = "printf 'a%.0s' {1..8000}; printf 'é%.0s' {1..NUMBER}; printf 'z%.0s' {1..7999}"
    code = f"answer([ended(bg_jobs.launch({letters!r}.replace('NUMBER', n), 's'))['output'] for n in ('1', '2', '9999')])"
    fits, is_long, is_longer = backend.run(code)
    assert fits == "a" * 8000 + "é" + "z" * 7999
    assert is_long == is_longer == "a" * 8000 + "\n…[truncated]…\n" + "é" + "z" * 7999


def test_a_session_lists_its_own_jobs(backend: Backend) -> None:
    code = """
    mine, other, second = [ended(bg_jobs.launch("true", session)) for session in ("mine", "other", "mine")]
    answer([mine["id"], second["id"]])
    """
    ids = backend.run(code)
    assert [one["id"] for one in backend.run("answer(bg_jobs.list_for_session('mine'))")] == ids
    assert backend.run("answer(bg_jobs.list_for_session('unknown'))") == []


def test_no_session_lists_no_job(backend: Backend) -> None:
    assert backend.run("ended(bg_jobs.launch('true', 'a')); answer(bg_jobs.list_for_session(None))") == []


def test_a_session_may_be_a_number(backend: Backend) -> None:
    code = """
    record = ended(bg_jobs.launch("true", 5))
    answer([record["id"], [one["id"] for one in bg_jobs.list_for_session(5)], bg_jobs.list_for_session(6)])
    """
    id, listed, others = backend.run(code)
    assert (listed, others) == ([id], [])


@pytest.mark.parametrize("names", [("_DATA_DIR", "_JOBS_DIR", "_STORE"), ("_JOBS_DIR", "_STORE")])
def test_tests_can_move_the_store(backend: Backend, names: tuple[str, ...]) -> None:
    code = f"""
    places = {{"_DATA_DIR": ".", "_JOBS_DIR": "bg_jobs", "_STORE": "bg_jobs.json"}}
    before = {{name: getattr(bg_jobs, name) for name in {names!r}}}
    for name in before:
        assert before[name].name == bg_jobs._DATA_DIR.joinpath(places[name]).name
        setattr(bg_jobs, name, bg_jobs._DATA_DIR.parent / "elsewhere" / places[name])
    record = ended(bg_jobs.launch("echo hi", "s"))
    elsewhere = [[one["id"] for one in bg_jobs.pending_followups()], bg_jobs.result_text(record)]
    for name, value in before.items():
        setattr(bg_jobs, name, value)
    answer([record["id"], elsewhere, bg_jobs.refresh()])
    """
    id, (due, text), here = backend.run(code)
    assert (due, here) == ([id], {})
    assert "hi" in text
    assert (backend.folder / "elsewhere").is_dir()


def test_get_returns_the_record_with_its_output(backend: Backend) -> None:
    record = backend.run("answer(ended(bg_jobs.launch('echo one; echo two', 's')))")
    assert set(record) == KEYS | {"output"}
    assert backend.run(f"answer(bg_jobs.get({record['id']!r}))") == record
    assert record["output"] == "one\ntwo\n"


def test_an_unknown_id_is_none(backend: Backend) -> None:
    code = "bg_jobs.mark_followed_up('0123456789ab'); answer([bg_jobs.get('0123456789ab'), bg_jobs.refresh()])"
    assert backend.run(code) == [None, {}]


def test_a_finished_job_is_pending_until_it_is_marked(backend: Backend) -> None:
    code = f"""
    done, failed = [ended(bg_jobs.launch(command, "s")) for command in ("true", "false")]
    running = bg_jobs.launch({backend.until("go")!r}, "s")
    answer([done["id"], failed["id"]])
    """
    done, failed = backend.run(code)
    due = "answer([one['id'] for one in bg_jobs.pending_followups()])"
    assert backend.run(due) == [done, failed]
    assert backend.run(f"bg_jobs.mark_followed_up({done!r}); bg_jobs.mark_followed_up({done!r}); {due}") == [failed]
    assert backend.run(f"answer(bg_jobs.get({done!r})['followed_up'])") is True
    assert backend.run(f"bg_jobs.mark_followed_up({failed!r}); {due}") == []
    backend.touch("go")


def test_a_followed_up_job_is_deleted_after_the_retention(backend: Backend) -> None:
    code = """
    marked, due = [ended(bg_jobs.launch("echo hi", "s")) for _ in range(2)]
    bg_jobs.mark_followed_up(marked["id"])
    answer([marked, due["id"]])
    """
    marked, due = backend.run(code)
    assert list(backend.run("answer(bg_jobs.refresh())")) == [marked["id"], due]
    is_gone = f"keep_for(0.1); answer(bg_jobs.get({marked['id']!r}) is None)"
    wait_until(lambda: backend.run(is_gone), "the job is forgotten")
    assert not Path(marked["log_path"]).exists() and not Path(marked["exit_path"]).exists()
    assert list(backend.run("answer(bg_jobs.refresh())")) == [due]


def test_a_restarted_host_finds_all_jobs(backend: Backend) -> None:
    code = f"answer([bg_jobs.launch('echo hi; {backend.until('go')}; exit 3', 'chat-1')['id']])"
    (id,) = backend.run(code)
    assert backend.run(f"answer(bg_jobs.get({id!r}))")["status"] == "running"
    backend.touch("go")
    record = backend.run(f"answer(ended(bg_jobs.get({id!r})))")
    assert (record["status"], record["exit_code"], record["output"]) == ("failed", 3, "hi\n")
    assert [one["id"] for one in backend.run("answer(bg_jobs.pending_followups())")] == [id]


def test_a_job_survives_the_kill_of_its_host(backend: Backend) -> None:
    host = backend.start(f"answer(bg_jobs.launch('{backend.until('go')}; exit 3', 'chat-1')); time.sleep(3600)")
    record = line_of(host)
    kill(host)
    assert backend.run("answer(bg_jobs.refresh())") == {record["id"]: record}
    backend.touch("go")
    assert backend.run(f"answer(ended({record!r}))")["exit_code"] == 3
