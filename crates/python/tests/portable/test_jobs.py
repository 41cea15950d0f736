"""Jobs of the module `homing`: launch, wait, follow, kill, errors."""

from __future__ import annotations

import _thread
import asyncio
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from conftest import DEADLINE, wait_until

import homing as module
from homing import Homing, HomingError, InvalidRequest, NoSuchJob, StillRunning
from portable.commands import python, waits_for

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def test_a_job_is_launched_waited_for_and_read(homing: Homing) -> None:
    job = homing.launch(python("print('hello'); sys.exit(3)"), session="chat-1", name="greeting")
    assert (job.session, job.name) == ("chat-1", "greeting")
    finished = job.wait(DEADLINE)
    assert finished.outcome is not None and (finished.outcome.kind, finished.outcome.exit_code) == ("exited", 3)
    assert finished.output().text == "hello\n"
    assert "exit code 3" in finished.result_text() and finished.follow_up.state == "pending"
    assert finished.acknowledge().follow_up.state == "acknowledged"
    assert [one.id for one in homing.list()] == [job.id] and homing.get(job.id[:6]) == finished.refresh()


def test_a_script_is_run_by_the_shell_of_the_system(homing: Homing) -> None:
    finished = homing.launch("echo hello&& exit 3").wait(DEADLINE)
    assert finished.outcome is not None and finished.outcome.exit_code == 3
    assert finished.output().text.split() == ["hello"]


def test_arguments_and_the_environment_arrive_unchanged(homing: Homing, tmp_path: Path) -> None:
    folder = tmp_path / "with blanks & ünïcode"
    folder.mkdir()
    arguments = ["a b", "", 'quote " and \\', "%PATH% $HOME *", "ü"]
    code = "print(ascii([os.getcwd(), os.environ['SECRET'], os.environ['HOMING_SESSION'], *sys.argv[1:]]))"
    job = homing.launch(python(code, *arguments), cwd=folder, env={"SECRET": "s3cret"}, session="chat-1")
    printed = job.wait(DEADLINE).output().text
    assert printed == ascii([str(folder), "s3cret", "chat-1", *arguments]) + "\n"


def test_a_job_survives_the_interpreter_that_launched_it(home: Path, tmp_path: Path) -> None:
    script = f"""
import os
from homing import Homing
print(Homing({str(home)!r}).launch({waits_for(tmp_path / "go")!r}).id, flush=True)
os.abort()
"""
    pipe = subprocess.PIPE
    done = subprocess.run([sys.executable, "-c", script], stdout=pipe, stderr=pipe, text=True, timeout=DEADLINE)
    assert done.returncode != 0
    job = Homing(home).get(done.stdout.strip())
    assert job.state == "running"
    (tmp_path / "go").touch()
    assert job.wait(DEADLINE).output().text == "late\n"


def test_waits_end_in_time(homing: Homing, tmp_path: Path) -> None:
    quick, slow = homing.launch(python("sys.exit(1)")), homing.launch(waits_for(tmp_path / "go"))
    jobs = homing.wait(slow, quick, any=True, timeout=DEADLINE)
    assert [job.is_finished for job in jobs] == [False, True]
    with pytest.raises(StillRunning, match=slow.id):
        slow.wait(timeout=0.05)
    # A wait in another thread does not keep this one from creating the file.
    waiting = threading.Thread(target=slow.wait, args=(DEADLINE,))
    waiting.start()
    (tmp_path / "go").touch()
    waiting.join(DEADLINE)
    assert not waiting.is_alive()


def test_a_signal_interrupts_a_wait_of_the_main_thread(homing: Homing, tmp_path: Path) -> None:
    job = homing.launch(waits_for(tmp_path / "go"))
    wakeup = signal.set_wakeup_fd(-1)
    # A program in the background may have been started with ignored signals.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        waits = (job.wait, lambda: list(job.follow()), lambda: homing.wait(job, job, any=True))
        for interrupt in (_thread.interrupt_main, lambda: signal.raise_signal(signal.SIGINT)):
            for wait in waits:
                # Another thread handles it, so no call of the system returns in this thread.
                interrupts = threading.Timer(0.5, interrupt)
                with pytest.raises(KeyboardInterrupt):
                    interrupts.start()
                    wait()
                interrupts.join()
                assert signal.set_wakeup_fd(-1) == -1, "what was set before is restored"
    finally:
        signal.signal(signal.SIGINT, before)
        signal.set_wakeup_fd(wakeup)
    assert job.refresh().state == "running"


def test_a_wait_forwards_signals_to_what_python_reported_them_to_before(homing: Homing, tmp_path: Path) -> None:
    job = homing.launch(waits_for(tmp_path / "go"))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    # Event loops use a pair of sockets.
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    wakeup = signal.set_wakeup_fd(sender.fileno())
    try:
        interrupts = threading.Timer(0.5, signal.raise_signal, [signal.SIGINT])
        with pytest.raises(KeyboardInterrupt):
            interrupts.start()
            job.wait()
        interrupts.join()
        receiver.settimeout(DEADLINE)
        assert receiver.recv(10) == bytes([signal.SIGINT])
        sender.send(b"x")
        assert receiver.recv(10) == b"x", "the socket is still open"
        assert signal.set_wakeup_fd(-1) == sender.fileno()
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGINT, before)
        receiver.close()
        sender.close()


def is_wine() -> bool:
    if sys.platform != "win32":
        return False
    import ctypes

    return hasattr(ctypes.windll.ntdll, "wine_get_version")


@pytest.mark.skipif(sys.platform != "win32", reason="test_api.py has it for other systems")
@pytest.mark.skipif(is_wine(), reason="Wine ends a program at once; needs a real Windows")
def test_ctrl_break_interrupts_a_wait(home: Path, homing: Homing, tmp_path: Path) -> None:
    if sys.platform != "win32":
        return
    job = homing.launch(waits_for(tmp_path / "go"))
    script = f"""
import signal
from homing import Homing
signal.signal(signal.SIGBREAK, signal.default_int_handler)
job = Homing({str(home)!r}).get({job.id!r})
print("waiting", flush=True)
try:
    job.wait()
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    group = subprocess.CREATE_NEW_PROCESS_GROUP
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, creationflags=group)
    assert process.stdout is not None and process.stdout.readline() == "waiting\n"
    process.send_signal(signal.CTRL_BREAK_EVENT)
    try:
        assert process.communicate(timeout=DEADLINE)[0] == "interrupted\n"
    finally:
        process.kill()
    assert job.refresh().state == "running"


def test_output_is_followed_as_it_is_written(homing: Homing, tmp_path: Path) -> None:
    code = """
for number in range(4):
    until(os.path.join(sys.argv[1], str(number)))
    print(number, flush=True)
"""
    job, text = homing.launch(python(code, tmp_path)), ""
    (tmp_path / "0").touch()
    for piece in job.follow():
        text += piece.text
        # Request the next line only after this one has arrived.
        (tmp_path / str(text.count("\n"))).touch()
    assert text == "0\n1\n2\n3\n" and job.refresh().succeeded


def test_an_event_loop_waits_for_many_jobs_and_follows_them(homing: Homing, tmp_path: Path, run: Run) -> None:
    jobs = [homing.launch(waits_for(tmp_path / "go")) for _ in range(6)]

    async def read(job: module.Job) -> str:
        return "".join([piece.text async for piece in job.follow_async()])

    async def story() -> None:
        waits = [asyncio.create_task(job.wait_async(DEADLINE)) for job in jobs for _ in range(3)]
        reads = [asyncio.create_task(read(job)) for job in jobs]
        with pytest.raises(StillRunning):
            await jobs[0].wait_async(0.05)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(jobs[0].wait_async(), 0.05)
        # At most one thread waits for all of them; the others check jobs when something has changed.
        assert sum(thread.name == "homing-reader" for thread in threading.enumerate()) <= 1
        (tmp_path / "go").touch()
        assert all(job.succeeded for job in await asyncio.gather(*waits))
        assert await asyncio.gather(*reads) == ["late\n"] * len(jobs)
        with pytest.raises(NoSuchJob):
            await homing.wait_async("000000000000")

    run(story())


def test_killing_a_job_ends_it_without_a_follow_up(homing: Homing, tmp_path: Path) -> None:
    killed = homing.launch(waits_for(tmp_path / "go"), grace=0.2).kill()
    assert killed.outcome is not None and (killed.outcome.kind, killed.outcome.reason) == ("killed", "session")
    assert killed.follow_up.state == "suppressed"
    late = homing.launch(waits_for(tmp_path / "go"), timeout=0.1, grace=0.2).wait(DEADLINE)
    assert late.outcome is not None and late.outcome.kind == "timed_out"


def test_errors_have_codes_and_hints(homing: Homing, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest) as nowhere:
        homing.launch(python(""), cwd=tmp_path / "nowhere")
    assert (nowhere.value.code, nowhere.value.errno) == ("invalid_directory", 2)
    with pytest.raises(NoSuchJob) as unknown:
        homing.get("000000000000")
    assert isinstance(unknown.value, HomingError) and unknown.value.hint
    failed = homing.launch([str(tmp_path / "no-such-program")])
    assert failed.outcome is not None and failed.outcome.kind == "failed_to_start"


def test_the_program_comes_with_the_package(home: Path) -> None:
    from homing._program import find_program

    program = find_program()
    assert program is not None
    for command in ([program], [sys.executable, "-m", "homing"]):
        printed = subprocess.run([*command, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert printed.split() == ["homing", module.__version__]


def test_threads_of_event_loops_end_with_them(homing: Homing) -> None:
    from portable.conftest import LoopWithoutDescriptors

    loop = LoopWithoutDescriptors()
    loop.run_until_complete(homing.launch(python("")).wait_async(DEADLINE))
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "homing-reader")
    loop.close()
    del loop

    def has_ended() -> bool:
        import gc

        gc.collect()
        return not thread.is_alive()

    wait_until(has_ended, "the thread has ended")
