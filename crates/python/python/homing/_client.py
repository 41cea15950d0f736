"""An open home and the operations on it."""

from __future__ import annotations

# Inside the class, `list` names the method.
import builtins
import logging
import os

from . import _homing
from ._fork import open_home
from ._job import Job, Output, OutputPiece, job_from, job_id
from ._program import find_program
from ._seconds import to_millis
from .errors import InvalidRequest, StillRunning

# Without an import of `typing`. Slow imports are deferred until they are needed.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any, Final, Literal

    from ._events import EventPage
    from ._types import FollowUpPolicy, FollowUpState, LeftoversPolicy, Seconds, State
    from ._waits import WaitsByLoop
    from ._wakes import Dispatcher, WakeStream

CONFIGURED: Final = "configured"
"""Read the configuration of the user; without one, use the defaults that docs/configuration.md lists."""


class Homing:
    """An open home. Safe from any number of threads and processes at once, and after a fork.

    `home` defaults to `$HOMING_HOME`, else `~/.local/state/homing`, on Windows `homing` in `%LOCALAPPDATA%`. `config` names a
    configuration file of the application; the default is the user's file. `program` names the `homing` program that supervises
    jobs; the default is the program of this package.

    Jobs survive the interpreter. You do not need to close anything.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        program: str | os.PathLike[str] | None = None,
    ) -> None:
        self._arguments: dict[str, Any] = {
            "path": None if home is None else os.path.abspath(home),
            "config": None if config is None else os.path.abspath(config),
            "program": find_program() if program is None else os.path.abspath(program),
        }
        self._open(None)

    def _open(self, in_place_of: _homing.Home | None) -> None:
        self._home = open_home(in_place_of=in_place_of, **self._arguments)
        self._pid = os.getpid()
        self._waits: WaitsByLoop | None = None
        self._dispatcher: Dispatcher | None = None

    @property
    def _native(self) -> _homing.Home:
        if self._pid != os.getpid():
            self._open(self._home)
        return self._home

    def __repr__(self) -> str:
        return f"Homing({str(self.home)!r})"

    @property
    def home(self) -> Path:
        """The directory of the home."""
        return self._home.path

    def launch(
        self,
        command: str | Sequence[str],
        *,
        session: str | None = None,
        key: str | None = None,
        name: str | None = None,
        cwd: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
        timeout: Seconds | Literal["configured"] | None = CONFIGURED,
        grace: Seconds | None = None,
        output_head_bytes: int | None = None,
        output_tail_bytes: int | None = None,
        leftovers: LeftoversPolicy = "kill",
        follow_up: FollowUpPolicy = "always",
        sink: str | None = None,
        on: str | None = None,
    ) -> Job:
        """Launches a job and returns as soon as its command runs. From then on the outcome is reported, even after crashes.

        `command` is a shell script, or a sequence with a program and its exact arguments. `session` is the conversation
        to notify; the default comes from the environment, as on the command line. `env` is added to the environment and
        is never written to disk. `timeout` limits the run time, `None` disables the limit; `grace` is the time between
        SIGTERM and SIGKILL. `output_head_bytes` and `output_tail_bytes` are the numbers of bytes kept from the beginning and
        the end of the output, at least 4 KiB of the end; the defaults are those of the configuration (1 MiB and 4 MiB). `sink` names
        the configured sink that wakes the session. `on` names a configured executor, another machine that runs the job: then
        `cwd` is a directory there, and its default the home directory.

        With a `key`, repeated calls launch one job: after a crash of the application, or by several processes at once.
        Later calls return the current state of that job. They must request the same job; only `env` is not compared.
        When the job is pruned, its key is free again.

        A command that cannot be started is a finished job with the outcome `failed_to_start`. Raises `InvalidRequest` for
        an invalid request, and `Conflict` if the key belongs to a job with another request. In both cases no command
        ran.
        """
        if leftovers not in ("kill", "keep"):
            raise InvalidRequest(f'leftovers must be "kill" or "keep", not {leftovers!r}')
        if min(output_head_bytes or 0, output_tail_bytes or 0) < 0:
            raise InvalidRequest("output_head_bytes and output_tail_bytes must not be negative")
        document = self._native.launch(
            {
                "command": command if isinstance(command, str) else list(command),
                "session": session,
                "key": key,
                "name": name,
                "cwd": None if cwd is None else os.fspath(cwd),
                "env": None if env is None else dict(env),
                "timeout_ms": _limit(timeout),
                "grace_ms": None if grace is None else to_millis(grace),
                "output_head_bytes": output_head_bytes,
                "output_tail_bytes": output_tail_bytes,
                "keep_leftovers": leftovers == "keep",
                "follow_up": follow_up,
                "sink": sink,
                "on": on,
            }
        )
        return job_from(document, self)

    def get(self, job: Job | str) -> Job:
        """The current state of a job, by its id or a unique prefix of it. Raises `NoSuchJob`."""
        return job_from(self._native.get(job_id(job)), self)

    def list(self, *, session: str | None = None, state: State | None = None, limit: int | None = None) -> builtins.list[Job]:
        """The matching jobs, newest first."""
        return self._jobs(self._native.list(session=session, state=state, limit=limit))

    def follow_ups(
        self, *, session: str | None = None, state: FollowUpState | None = None, limit: int | None = None
    ) -> builtins.list[Job]:
        """The jobs with an undelivered follow-up, newest first; with `state`, those whose follow-up has this state."""
        return self._jobs(self._native.follow_ups(session=session, state=state, limit=limit))

    def wait(
        self,
        *jobs: Job | str,
        any: bool = False,
        timeout: Seconds | None = None,
        acknowledge: bool | None = None,
    ) -> builtins.list[Job]:
        """Waits until all jobs have finished, or with `any` until one has; returns all jobs in the order of the arguments.

        Ctrl-C interrupts the wait. Raises `StillRunning` after `timeout`.

        With `acknowledge=True` the follow-ups of finished jobs are acknowledged; with `False` they stay pending. By
        default they are acknowledged if the session of the job is the session of this process (`$HOMING_SESSION`, or what
        the agent harness exports, or `default`), as on the command line.
        """
        ids = [self.get(job).id if isinstance(job, str) else job.id for job in jobs]
        millis = None if timeout is None else to_millis(timeout)
        is_finished, documents = self._native.wait(ids, any=any, timeout_ms=millis, acknowledge=acknowledge)
        return self._waited(is_finished, self._jobs(documents), millis)

    async def wait_async(
        self,
        *jobs: Job | str,
        any: bool = False,
        timeout: Seconds | None = None,
        acknowledge: bool | None = None,
    ) -> builtins.list[Job]:
        """Like `wait`, without blocking the event loop and without a thread for each wait."""
        import asyncio

        from ._threads import in_thread
        from ._waits import WaitsByLoop

        native, loop = self._native, asyncio.get_running_loop()
        ids = [(await in_thread(self.get, job)).id if isinstance(job, str) else job.id for job in jobs]
        millis = None if timeout is None else to_millis(timeout)
        self._waits = self._waits or WaitsByLoop(native)
        waits = self._waits.of(loop)
        hold = await in_thread(native.hold_delivery, ids, acknowledge)
        try:
            await waits.until_finished(ids, any=any, timeout=None if millis is None else millis / 1000)
            is_finished, documents = await in_thread(native.wait, ids, any=any, timeout_ms=0, acknowledge=acknowledge)
        finally:
            hold.release()
        return self._waited(is_finished, self._jobs(documents), millis)

    def output(self, job: Job | str, start: int = 0, *, limit: int = 1 << 20, tail: int | None = None) -> Output:
        """See `Job.output`."""
        id = self._id(job)
        if min(start, limit, tail or 0) < 0:
            raise InvalidRequest("start, limit and tail must not be negative")
        if tail is not None:
            start = max(self._native.output_end(id) - tail, 0)
        return Output(*self._native.output(id, start, limit))

    def follow(self, job: Job | str, start: int = 0) -> Iterator[OutputPiece]:
        """See `Job.follow`."""
        follower = self._follower(job, start)
        return (OutputPiece(*piece) for piece in iter(follower.next, None))

    async def follow_async(self, job: Job | str, start: int = 0) -> AsyncIterator[OutputPiece]:
        """See `Job.follow_async`."""
        from ._threads import in_thread
        from ._waits import until_readable

        follower, continues = await in_thread(self._follower, job, start), True
        while continues:
            piece, continues = await in_thread(follower.next_now)
            if piece is not None:
                yield OutputPiece(*piece)
            elif continues:
                await until_readable(follower)

    def _follower(self, job: Job | str, start: int) -> _homing.Follower:
        if start < 0:
            raise InvalidRequest("start must not be negative")
        return self._native.follow(self._id(job), start)

    def result_text(self, job: Job | str) -> str:
        """The text for an agent: the outcome of the job, its command and output, at most 16,000 characters."""
        return self._native.result_text(self._id(job))

    def kill(self, job: Job | str, *, by_session: bool = True) -> Job:
        """See `Job.kill`."""
        return job_from(self._native.kill(self._id(job), by_session=by_session), self)

    def acknowledge(self, *jobs: Job | str) -> builtins.list[Job]:
        """Acknowledges the follow-ups of these jobs. Raises `Conflict` if one of them has not finished."""
        return self._jobs(self._native.acknowledge([self._id(job) for job in jobs]))

    def retry(self, *jobs: Job | str) -> builtins.list[Job]:
        """Makes follow-ups pending again, including dead and acknowledged ones."""
        return self._jobs(self._native.retry([self._id(job) for job in jobs]))

    def drop_follow_ups(self, *jobs: Job | str) -> builtins.list[Job]:
        """Drops follow-ups: the sessions are not notified. Also for running jobs."""
        return self._jobs(self._native.drop_follow_ups([self._id(job) for job in jobs]))

    def prune(self, older_than: Seconds) -> builtins.list[str]:
        """Deletes jobs that ended longer ago than this and have no undelivered follow-up; returns their ids."""
        return self._native.prune(to_millis(older_than))

    def recover(self, *, assume_gone: bool = False) -> builtins.list[str]:
        """Ends what is left of jobs whose supervisor died and records their outcomes; returns their ids.

        Methods that read never do this; `wakes` does it automatically. A job that cannot be recovered here is logged with
        the reason. `assume_gone` treats jobs of other hosts as lost: use it only if that host is gone.
        """
        recovered, left = self._native.recover(assume_gone)
        for id, reason in left:
            logging.getLogger("homing").warning("job %s was not recovered: %s", id, reason)
        return recovered

    def doctor(self) -> builtins.list[dict[str, Any]]:
        """Checks this home. Each check has `name`, `verdict` (`ok`, `note` or `problem`), `detail` and `hint`."""
        return self._native.doctor()

    def events(self, since: str | None = None, *, session: str | None = None, limit: int | None = None) -> EventPage:
        """The events after the cursor `since`, oldest first; `"oldest"` for all that are kept. Without `since` none: only
        `EventPage.next`, where to continue. A page has at most 1,000 events, or `limit`, up to 10,000.

        The ledger keeps 100,000 events (`retention.events`). A cursor that is too old, or of a ledger that was rebuilt, is
        not an error: see `EventPage.truncated`.
        """
        from ._events import event_page

        return event_page(self._native.events(since, session=session, limit=_count(limit)))

    def newest_events(self, limit: int = 20, *, session: str | None = None) -> EventPage:
        """The newest events, the oldest of them first, at most `limit` and 10,000."""
        from ._events import event_page

        return event_page(self._native.newest_events(_count(limit) or 0, session=session))

    def follow_events(self, since: str | None = None, *, session: str | None = None) -> Iterator[EventPage]:
        """The events after `since`, or from now on, in pages as they are recorded. Needs no monitor.

            for page in homing.follow_events(since=stored):
                for event in page.events:
                    print(event.type, event.job)
                store(page.next)

        The first page comes at once, even if it is empty. Ctrl-C interrupts the iteration. While nothing happens, it does
        not wake up.
        """
        from ._events import event_page

        watch = self._native.watch_events(since, session=session)
        return map(event_page, iter(watch.next, None))

    async def follow_events_async(
        self, since: str | None = None, *, session: str | None = None
    ) -> AsyncIterator[EventPage]:
        """Like `follow_events`, without blocking the event loop. Without `since`, begins at the first step."""
        from ._events import event_page
        from ._threads import in_thread
        from ._waits import until_readable

        watch = await in_thread(self._native.watch_events, since, session=session)
        while True:
            page = await in_thread(watch.next_now)
            if page is None:
                await until_readable(watch)
            else:
                yield event_page(page)

    def wakes(self, sessions: str = "*", *, timeout: Seconds = 1800) -> WakeStream:
        """The wakes of sessions that match the pattern (`*` matches any text, `?` any character), as they become due.

            async for wake in homing.wakes():
                await run_agent(wake.session, wake.text)
                await wake.acknowledge()

        This process is the monitor of the home while it iterates. If another process is the monitor, this one waits and
        takes over. Any number of tasks may iterate at once: each wake goes to one of them, and a session never has two
        wakes at the same time. A wake that is not answered within `timeout`, or is released without an answer (an
        exception in the loop), is retried as configured. An attempt that ends with its process counts as failed. After a
        crash the same wake is delivered again with the same id: store `wake.id` if an agent must not be notified twice.
        """
        from ._wakes import Dispatcher, WakeStream

        native, request = self._native, (sessions, to_millis(timeout))
        if request[1] == 0:
            raise InvalidRequest("timeout must be positive")
        if self._dispatcher is None or self._dispatcher.is_finished:
            if self._dispatcher is not None:
                self._dispatcher.retire()
            self._dispatcher = Dispatcher(self, native, *request)
        elif self._dispatcher.request != request:
            raise InvalidRequest(f"wakes of {self._dispatcher.request[0]!r} are already consumed; a home has one pattern")
        return WakeStream(self._dispatcher)

    def session_is_free(self, session: str) -> None:
        """Retries the wakes of a session that was busy and is free now.

        It affects the wakes that this object consumes, after their `async with` or loop has begun; otherwise it does
        nothing. After a restart, call it once for every session that is free.
        """
        if self._dispatcher is not None:
            self._dispatcher.session_is_free(session)

    def _id(self, job: Job | str) -> str:
        return job.id if isinstance(job, Job) else self._native.get(job)["id"]

    def _jobs(self, documents: builtins.list[dict[str, Any]]) -> builtins.list[Job]:
        return [job_from(document, self) for document in documents]

    def _waited(self, is_finished: bool, jobs: builtins.list[Job], millis: int | None) -> builtins.list[Job]:
        if is_finished:
            return jobs
        named = ", ".join(job.id for job in jobs if not job.is_finished)
        raise StillRunning(f"not finished after {(millis or 0) / 1000:g} s: {named}", jobs)


def _count(limit: int | None) -> int | None:
    if limit is not None and not 0 <= limit < 1 << 32:
        raise InvalidRequest(f"limit must be a number of events, not {limit!r}")
    return limit


def _limit(timeout: Seconds | str | None) -> int | bool | None:
    if timeout is None:
        return False
    if isinstance(timeout, str):
        if timeout != CONFIGURED:
            raise InvalidRequest(f'timeout must be a number of seconds, None or "{CONFIGURED}", not {timeout!r}')
        return None
    return to_millis(timeout)
