"""Type aliases of the public interface. Imports no module of this package. Other modules import it for type checkers only."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal, TypeAlias

Seconds: TypeAlias = float | timedelta
"""A duration: seconds, or a `timedelta`."""

State: TypeAlias = Literal["starting", "running", "finished"]
"""The state of a job."""

OutcomeKind: TypeAlias = Literal["exited", "signaled", "timed_out", "killed", "failed_to_start", "lost"]
"""The kind of an `Outcome`."""

FollowUpState: TypeAlias = Literal["waiting", "pending", "handed_off", "acknowledged", "suppressed", "dead"]
"""The state of a `FollowUp`."""

FollowUpPolicy: TypeAlias = Literal["always", "failure", "never"]
"""When the session of a job is notified of its end: always, if it did not succeed, or never."""

LeftoversPolicy: TypeAlias = Literal["kill", "keep"]
"""What happens to processes that survive the main process of a job."""
