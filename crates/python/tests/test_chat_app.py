"""The example `chat_app`, as a person uses it and as machines treat it: killed at any moment, started again, and no job's
end is missing from its session or answered twice.
"""

from __future__ import annotations

import random
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from chat_app_server import Event, Server
from conftest import wait_until
from homing import Homing, Job


@pytest.fixture
def server(home: Path, tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "chats").mkdir()
    server = Server(tmp_path / "chats")
    yield server
    server.close()
    print((tmp_path / "server.log").read_text())


@pytest.fixture
def jobs(server: Server) -> Homing:
    """The home of the server, beside it."""
    return Homing(server.directory / "jobs")


def until_file(path: Path, then: str) -> str:
    return f"run until test -e {path}; do sleep 0.01; done; {then}"


def senders(messages: list[Event]) -> list[object]:
    return [message.data["sender"] for message in messages]


def job_ids(text: object) -> list[str]:
    return re.findall(r"^Background job (\w{12}) ", str(text), re.MULTILINE)


def test_a_job_survives_its_turn_and_its_result_begins_another(server: Server, tmp_path: Path) -> None:
    session = server.open_session()
    stream = server.open_stream(session)
    assert stream.until(lambda event: event.kind == "turn").data == {"running": False}
    server.say(session, until_file(tmp_path / "go", "echo it is built; exit 3"))
    stream.until(lambda event: event.kind == "turn" and event.data["running"] is True)
    stream.until(lambda event: event.is_from("agent", "was started"))
    stream.until(lambda event: event.ends_a_turn)
    (tmp_path / "go").touch()
    stream.until(lambda event: event.is_from("wake", "it is built"))
    answer = stream.until(lambda event: event.is_from("agent", "The result is here."))
    assert "it is built" in str(answer.data["text"]) and "exit code 3" in str(answer.data["text"])
    stream.until(lambda event: event.ends_a_turn)
    stream.close()
    assert senders(server.transcript(session)) == ["person", "call", "result", "agent", "wake", "agent"]


def test_an_active_turn_is_not_interrupted_and_the_session_is_woken_after_it(
    server: Server, jobs: Homing, tmp_path: Path
) -> None:
    session = server.open_session()
    stream = server.open_stream(session)
    server.say(session, until_file(tmp_path / "go", "echo built"))
    stream.until(lambda event: event.is_from("agent", "was started"))
    stream.until(lambda event: event.ends_a_turn)
    server.say(session, "think 3600")
    assert server.try_to_say(session, "me too") == 409
    (tmp_path / "go").touch()
    [job] = jobs.list(session=session)
    busy = wait_until(lambda: jobs.get(job).follow_up.last_error, "the session was busy")
    assert busy == "busy: a turn is running"
    server.client.post(f"/sessions/{session}/stop").raise_for_status()
    stopped = time.monotonic()
    stream.until(lambda event: event.is_from("agent", "(stopped)"))
    stream.until(lambda event: event.is_from("wake", "built"))
    # Without `session_is_free` it would take an hour (`busy_retry`).
    assert time.monotonic() - stopped < 30
    stream.until(lambda event: event.is_from("agent", "The result is here."))
    stream.close()
    assert senders(server.transcript(session))[3:] == ["agent", "person", "agent", "wake", "agent"]


def test_a_result_arrives_once_when_the_server_is_killed_while_the_job_runs(server: Server, tmp_path: Path) -> None:
    session = server.open_session()
    server.say(session, until_file(tmp_path / "go", "echo built"))
    stream = server.open_stream(session)
    stream.until(lambda event: event.is_from("agent", "was started"))
    server.kill()
    stream.close()
    (tmp_path / "go").touch()
    server.start()
    stream = server.open_stream(session)
    stream.until(lambda event: event.is_from("wake", "built"))
    stream.until(lambda event: event.ends_a_turn)
    server.restart()
    assert senders(server.transcript(session)) == ["person", "call", "result", "agent", "wake", "agent"]


def test_a_session_that_was_busy_before_a_crash_is_woken_after_it(server: Server, jobs: Homing, tmp_path: Path) -> None:
    session = server.open_session()
    server.say(session, until_file(tmp_path / "go", "echo built"))
    server.transcript(session)
    server.say(session, "think 3600")
    (tmp_path / "go").touch()
    [job] = jobs.list(session=session)
    wait_until(lambda: jobs.get(job).follow_up.last_error == "busy: a turn is running", "the session was busy")
    server.restart()
    # The turn was resumed.
    stream = server.open_stream(session)
    stream.until(lambda event: event.kind == "turn" and event.data["running"] is True)
    wait_until(lambda: server.client.post(f"/sessions/{session}/stop").status_code == 202, "it listens")
    stream.until(lambda event: event.is_from("agent", "(stopped)"))
    stream.until(lambda event: event.is_from("wake", "built"))
    stream.close()


def test_a_server_that_is_killed_repeatedly_loses_and_repeats_nothing(
    server: Server, jobs: Homing
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    sessions = [server.open_session() for _ in range(3)]
    accepted: Counter[str] = Counter()
    interrupted: Counter[str] = Counter()
    begin, rounds, seen = time.monotonic(), 0, 0
    while rounds < 30 and time.monotonic() - begin < 60:
        rounds += 1
        for session in sessions:
            answer = server.try_to_say(session, f"run sleep 0.0{chance.randrange(10)}; echo {rounds}")
            assert answer in (202, 409)
            accepted[session] += answer == 202
        if chance.random() < 0.6:
            # During a turn that a wake began.
            stream = server.open_stream(sessions[0], after=seen)
            seen = stream.until(lambda event: event.is_from("wake") or event.ends_a_turn).id or seen
            time.sleep(chance.uniform(0, 0.03))
            stream.close()
        else:
            # Kill it at any time.
            time.sleep(chance.uniform(0, 0.08))
        server.kill()
        interrupted.update(last_senders(server.directory / "chats.db"))
        server.start()
    transcripts = {}
    for session in sessions:
        all_notified(jobs, session)
        transcripts[session] = server.transcript(session)
    print(f"{rounds} rounds, {sum(accepted.values())} jobs, sessions were killed after {interrupted}")

    for session, transcript in transcripts.items():
        order = "".join(str(sender)[0] for sender in senders(transcript))
        assert re.fullmatch("(pcra|wa)*", order), f"{session}: every message is answered once: {order}"
        launched = jobs.list(session=session)
        delivered = Counter(id for message in transcript if message.is_from("wake") for id in job_ids(message.data["text"]))
        assert delivered == {job.id: 1 for job in launched}, f"{session}: each job is delivered exactly once"
        calls = Counter(f"call-{message.id}" for message in transcript if message.is_from("call"))
        assert calls == Counter(job.key for job in launched), f"{session}: each call launched one job"
        assert len(calls) == accepted[session], f"{session}: each message that was accepted is there"
    assert rounds >= 3


def last_senders(database: Path) -> list[str]:
    """Who wrote the last message of each session, while no server runs."""
    last = "SELECT sender FROM messages WHERE id IN (SELECT max(id) FROM messages GROUP BY session)"
    with closing(sqlite3.connect(database)) as connection:
        return [sender for (sender,) in connection.execute(last)]


def all_notified(jobs: Homing, session: str) -> None:
    def are_notified() -> bool:
        launched: list[Job] = jobs.list(session=session)
        return all(job.follow_up.state == "acknowledged" for job in launched)

    wait_until(are_notified, f"{session} was notified of everything")


def test_a_deleted_session_is_not_woken(server: Server, jobs: Homing, tmp_path: Path) -> None:
    deleted, other = server.open_session(), server.open_session()
    stream = server.open_stream(deleted)
    server.say(deleted, until_file(tmp_path / "go", "echo built"))
    stream.until(lambda event: event.is_from("agent", "was started"))
    stream.until(lambda event: event.ends_a_turn)
    assert server.client.delete(f"/sessions/{deleted}").status_code == 204
    stream.until(lambda event: event.kind == "deleted")
    stream.close()
    (tmp_path / "go").touch()
    [job] = jobs.list(session=deleted)
    wait_until(lambda: jobs.get(job).follow_up.state == "dead", "the follow-up is dead")
    assert jobs.get(job).follow_up.last_error == "gone: the chat was deleted"
    server.say(other, "hello")
    assert senders(server.transcript(other)) == ["person", "agent"]
    for path, method in [("events", "GET"), ("messages", "POST")]:
        body = {"text": "hello"} if method == "POST" else None
        assert server.client.request(method, f"/sessions/{deleted}/{path}", json=body).status_code == 404


def test_a_stream_continues_after_the_last_event(server: Server) -> None:
    session = server.open_session()
    whole = server.open_stream(session)
    for text in ("run echo one", "hello", "run echo two"):
        server.say_when_free(session, text)
    wait_until(lambda: len(wakes_in(server.transcript(session))) == 2, "both results are in")
    everything = server.transcript(session)
    ids = [event.id for event in everything]
    assert len(ids) == len(set(ids)) and ids == sorted(ids, key=lambda id: id or 0)
    whole.until(lambda event: event.id == ids[-1])
    assert [event for event in whole.events if event.kind == "message"] == everything
    for seen, last in enumerate(everything, start=1):
        stream = server.open_stream(session, after=last.id)
        stream.until(lambda event: event.ends_a_turn)
        stream.close()
        assert [event for event in stream.events if event.kind == "message"] == everything[seen:]
    whole.close()


def test_a_reconnecting_browser_misses_and_repeats_nothing(server: Server) -> None:
    session = server.open_session()
    received: list[Event] = []
    for number in range(4):
        stream = server.open_stream(session, after=received[-1].id if received else None)
        server.say_when_free(session, f"run echo {number}")
        stream.until(lambda event: event.is_from("result"))
        server.restart()
        stream.close()
        received += [event for event in stream.events if event.kind == "message"]
    wait_until(lambda: len(wakes_in(server.transcript(session))) == 4, "all results are in")
    stream = server.open_stream(session, after=received[-1].id)
    stream.until(lambda event: event.ends_a_turn)
    stream.close()
    received += [event for event in stream.events if event.kind == "message"]
    assert received == server.transcript(session)


def wakes_in(transcript: list[Event]) -> list[str]:
    return [id for message in transcript if message.is_from("wake") for id in job_ids(message.data["text"])]


def test_two_sessions_never_see_each_others_results(server: Server, jobs: Homing) -> None:
    sessions = {server.open_session(): name for name in ("apple", "pear")}
    for _ in range(4):
        for session, name in sessions.items():
            server.say_when_free(session, f"run echo {name}")
    for session in sessions:
        server.transcript(session)
        assert len(jobs.list(session=session)) == 4
        all_notified(jobs, session)
    for session, name in sessions.items():
        transcript = server.transcript(session)
        other = "pear" if name == "apple" else "apple"
        assert not any(other in str(message.data["text"]) for message in transcript)
        assert sorted(wakes_in(transcript)) == sorted(job.id for job in jobs.list(session=session))


def test_html_in_output_stays_text(server: Server) -> None:
    session = server.open_session()
    stream = server.open_stream(session)
    html = "<script>alert(1)</script>"
    # Neither HTML nor a separate event.
    server.say(session, f"run printf '%s\\n\\nevent: turn\\ndata: {{}}\\n\\n' '{html}'")
    wake = stream.until(lambda event: event.is_from("wake"))
    stream.close()
    assert html in str(wake.data["text"]) and "\n\nevent: turn\ndata: {}\n" in str(wake.data["text"])
    assert [event.kind for event in stream.events if event.kind not in ("message", "turn")] == []
    page, script = server.client.get("/"), server.client.get("/page.js")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    code = re.sub(r"//.*", "", script.text)
    assert "textContent" in code and "innerHTML" not in code and "insertAdjacentHTML" not in code


def test_requests_of_other_origins_are_refused(server: Server) -> None:
    assert server.client.post("/sessions", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert server.client.post("/sessions", headers={"Host": "elsewhere.example"}).status_code == 400


def test_a_server_stops_with_open_streams_and_restarts(server: Server, tmp_path: Path) -> None:
    session = server.open_session()
    stream = server.open_stream(session)
    server.say(session, until_file(tmp_path / "go", "echo built"))
    stream.until(lambda event: event.is_from("agent", "was started"))
    server.end()
    stream.close()
    (tmp_path / "go").touch()
    server.start()
    stream = server.open_stream(session)
    stream.until(lambda event: event.is_from("wake", "built"))
    stream.close()
