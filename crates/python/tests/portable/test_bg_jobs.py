"""`homing.bg_jobs`, and the take-over of a store that a copy of the old module has left on this system."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import DEADLINE, wait_until

from homing import _homing, bg_jobs
from portable.commands import UNTIL

Record = dict[str, Any]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data directory of `bg_jobs`. Ends the jobs that still run at the end of the test."""
    data = tmp_path / "data"
    data.mkdir()
    store = data / "bg_jobs.json"
    monkeypatch.setattr(bg_jobs, "_STORE", store)
    yield data
    for id, record in bg_jobs.refresh().items():
        if record["status"] == "running":
            bg_jobs.kill(id)
    bg_jobs._stores.pop(str(store))
    gc.collect()
    if sys.platform == "win32":

        def is_gone() -> bool:
            # Windows removes no file that is open.
            shutil.rmtree(data / "homing", ignore_errors=True)
            return not (data / "homing").exists()

        wait_until(is_gone, "no process has a file of the home open", within=20)


def finished(id: str) -> Any:
    def seen() -> Any:
        record = bg_jobs.get(id)
        assert record is not None
        return None if record["status"] == "running" else record

    return wait_until(seen, "the job has finished")


def test_a_script_runs_and_is_followed_up_once(data: Path, tmp_path: Path) -> None:
    record = bg_jobs.launch("echo hello&& exit 3", "chat-1", cwd=tmp_path)
    assert (record["status"], record["exit_code"], record["session_id"]) == ("running", None, "chat-1")
    seen = finished(record["id"])
    assert (seen["status"], seen["exit_code"], seen["output"].split()) == ("failed", 3, ["hello"])
    assert Path(seen["exit_path"]).read_bytes() == b"3\n"
    (due,) = bg_jobs.pending_followups()
    text = bg_jobs.result_text(due)
    assert text.startswith("Background job finished with exit code 3.\nCommand: echo hello&& exit 3\n\nOutput:\nhello")
    bg_jobs.mark_followed_up(due["id"])
    assert bg_jobs.pending_followups() == [] and len(bg_jobs.list_for_session("chat-1")) == 1


@pytest.mark.parametrize(("cwd", "error"), [("nowhere", FileNotFoundError), ("file", NotADirectoryError)])
def test_an_invalid_directory_is_named(data: Path, tmp_path: Path, cwd: str, error: type[OSError]) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(error) as caught:
        bg_jobs.launch("echo hello", "chat-1", cwd=tmp_path / cwd)
    assert caught.value.filename == str(tmp_path / cwd)


class OldStore:
    """A store as the old module leaves it, with the wrappers that it starts on this system without Git Bash."""

    def __init__(self, data: Path) -> None:
        self.path = data / "bg_jobs.json"
        self.files = data / "bg_jobs"
        self.files.mkdir()
        self.records: dict[str, Record] = {}
        self.wrappers: list[subprocess.Popen[bytes]] = []

    def add(self, id: str | None = None, **changes: Any) -> Record:
        id, now = id or uuid.uuid4().hex[:12], time.time()
        record: Record = {
            "id": id,
            "session_id": "chat-1",
            "command": "make",
            "status": "running",
            "pid": 4_000_000,
            "started_at": now - 60 + len(self.records) / 100,
            "ended_at": None,
            "exit_code": None,
            "max_runtime_s": 3600,
            "followed_up": False,
            "log_path": str(self.files / f"{id}.log"),
            "exit_path": str(self.files / f"{id}.exit"),
            **changes,
        }
        self.records[id] = record
        self.save()
        return record

    def save(self) -> None:
        self.path.write_text(json.dumps(self.records, indent=2))

    def start(self, code: str) -> Record:
        """Starts a job that runs Python code. `until(PATH)` waits for a file of the data directory."""
        record = self.add(started_at=time.time())
        id, files = record["id"], self.files
        (files / f"{id}.py").write_text(UNTIL + code)
        command = f'"{sys.executable}" "{files / id}.py"'
        flags = 0
        if sys.platform == "win32":
            # The old module starts it without a console (DETACHED_PROCESS). Then cmd.exe of Wine redirects nothing.
            flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
            (files / f"{id}.child.cmd").write_bytes(f"@echo off\r\n{command}\r\n".encode())
            wrapper = f'@echo off\r\ncall "{files / id}.child.cmd" > "{files / id}.log" 2>&1\r\n'
            (files / f"{id}.cmd").write_bytes(f'{wrapper}echo %ERRORLEVEL%> "{files / id}.exit"\r\n'.encode())
            arguments = ["cmd.exe", "/c", f"{files / id}.cmd"]
        else:
            (files / f"{id}.cmd.sh").write_text(f"{command}\n")
            wrapper = f"bash '{files / id}.cmd.sh' > '{files / id}.log' 2>&1\n"
            (files / f"{id}.sh").write_text(f"{wrapper}echo $? > '{files / id}.exit'\n")
            arguments = ["bash", f"{files / id}.sh"]
        null = subprocess.DEVNULL
        process = subprocess.Popen(
            arguments,
            cwd=self.path.parent,
            stdin=null,
            stdout=null,
            stderr=null,
            creationflags=flags,
            start_new_session=sys.platform != "win32",
        )
        self.wrappers.append(process)
        record["pid"] = process.pid
        self.save()
        wait_until((files / f"{id}.log").exists, "the command runs")
        return record


@pytest.fixture
def old(data: Path) -> Iterator[OldStore]:
    old = OldStore(data)
    yield old
    for wrapper in old.wrappers:
        wrapper.kill()
        wrapper.wait(DEADLINE)


def test_a_store_from_windows_is_taken_over(data: Path, old: OldStore) -> None:
    # Windows writes other line ends, and its paths may mean nothing here.
    code = -1073741819
    id = "0123456789ab"
    old.add(
        id,
        status="failed",
        exit_code=code,
        ended_at=time.time() - 30,
        log_path=rf"X:\data\bg_jobs\{id}.log",
        exit_path=rf"X:\data\bg_jobs\{id}.exit",
    )
    (old.files / f"{id}.log").write_bytes(b"one\r\ntwo\r\n")
    gone = old.add(max_runtime_s=60)
    (old.files / f"{gone['id']}.exit").write_bytes(b"30\r\n")
    before = old.path.read_bytes()
    first, second = bg_jobs.pending_followups()
    assert (first["id"], first["exit_code"], first["status"]) == (id, code, "failed")
    assert (second["id"], second["exit_code"], second.get("died")) == (gone["id"], 30, None)
    assert bg_jobs.result_text(first).endswith("Output:\none\ntwo\n")
    assert old.path.read_bytes() == before


def test_a_running_job_is_followed_until_it_ends(data: Path, old: OldStore) -> None:
    record = old.start("until('go'); print('late'); sys.exit(30)")
    seen = bg_jobs.get(record["id"])
    assert seen is not None and (seen["status"], seen["pid"]) == ("running", record["pid"])
    assert bg_jobs.pending_followups() == []
    (data / "go").touch()
    old.wrappers[0].wait(DEADLINE)
    seen = finished(record["id"])
    assert (seen["exit_code"], seen["output"], seen.get("died")) == (30, "late\n", None)
    assert [one["id"] for one in bg_jobs.pending_followups()] == [record["id"]]


TREE = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
with open("new", "w") as file:
    file.write(str(child.pid))
os.replace("new", "child")
until("never")
"""


def is_alive(pid: int) -> bool:
    if sys.platform != "win32":
        try:
            return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False
    import ctypes

    kernel = ctypes.windll.kernel32
    kernel.OpenProcess.restype = ctypes.c_void_p
    synchronize, is_signaled = 0x0010_0000, 0
    handle = ctypes.c_void_p(kernel.OpenProcess(synchronize, False, pid))
    if not handle:
        return False
    try:
        return int(kernel.WaitForSingleObject(handle, 0)) != is_signaled
    finally:
        kernel.CloseHandle(handle)


@pytest.mark.parametrize("ends_by", ["kill", "timeout"])
def test_a_running_job_is_ended_with_its_processes(data: Path, old: OldStore, ends_by: str) -> None:
    record = old.start(TREE)
    wait_until((data / "child").exists, "the command has started a process")
    child = int((data / "child").read_text())
    assert is_alive(child)
    if ends_by == "kill":
        seen = bg_jobs.kill(record["id"])
        assert seen is not None and (seen["status"], seen["exit_code"], seen.get("killed")) == ("failed", -1, True)
        assert bg_jobs.pending_followups() == []
    else:
        record["started_at"] -= 7200
        old.save()
        (seen,) = bg_jobs.pending_followups()
        assert (seen["status"], seen["exit_code"], seen.get("timed_out")) == ("failed", -1, True)
    assert not is_alive(child)
    old.wrappers[0].wait(DEADLINE)


@pytest.mark.parametrize("limit", [1, 3600])
def test_a_process_with_a_reused_pid_is_not_ended(data: Path, old: OldStore, limit: int) -> None:
    sleeps = [sys.executable, "-c", "import time; time.sleep(3600)"]
    with subprocess.Popen(sleeps, start_new_session=sys.platform != "win32") as bystander:
        try:
            record = old.add(pid=bystander.pid, max_runtime_s=limit)
            (seen,) = bg_jobs.pending_followups()
            assert (seen["id"], seen["exit_code"], seen.get("died")) == (record["id"], -1, True)
            assert is_alive(bystander.pid)
        finally:
            bystander.kill()


def test_several_processes_take_over_each_job_once(data: Path, old: OldStore) -> None:
    for number in range(12):
        record = old.add(status="done", exit_code=0, ended_at=time.time() - 30)
        (old.files / f"{record['id']}.log").write_bytes(f"output {number}\n".encode())
    running = old.start("until('go'); sys.exit(30)")
    code = f"""
import sys, time, warnings
warnings.simplefilter("error")
from homing import bg_jobs
bg_jobs._STORE = {str(old.path)!r}
known = len(bg_jobs.refresh())
print(known, flush=True)
while len(due := bg_jobs.pending_followups()) < 13:
    time.sleep(0.01)
print(*[one["id"] for one in due])
"""
    hosts = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        for host in hosts:
            assert host.stdout is not None and host.stdout.readline() == "13\n"
        (data / "go").touch()
        for host in hosts:
            printed, _ = host.communicate(timeout=DEADLINE)
            assert printed.split() == list(old.records) and old.records[printed.split()[-1]] == running
    finally:
        for host in hosts:
            host.kill()


def test_a_file_is_replaced_while_it_is_read(tmp_path: Path) -> None:
    folder = str(tmp_path)
    assert _homing.read_private(folder, "state") is None
    _homing.write_private(folder, "state", "one\nü")
    _homing.write_private(folder, "state", "two\n")
    assert _homing.read_private(folder, "state") == b"two\n"
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    with pytest.raises(OSError):
        _homing.write_private(str(tmp_path / "nowhere"), "state", "")


def test_a_lock_excludes_other_threads_until_it_is_released(tmp_path: Path) -> None:
    folder = str(tmp_path)
    lock = _homing.bg_lock(folder, "lock", wait=False)
    assert lock is not None and _homing.bg_lock(folder, "lock", wait=False) is None
    lock.release()
    lock.release()
    again = _homing.bg_lock(folder, "lock", wait=True)
    assert again is not None
    del again
    assert _homing.bg_lock(folder, "lock", wait=False) is not None, "a lock ends with its object"
