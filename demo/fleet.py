"""The demo's processes: started together, started again when one dies, stopped in order.

Nobody is asked to be careful: any of them may be killed at any moment, and is simply started again with the same
arguments, because everything it needs to go on is in its folder and in the log.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from demo.errors import RunError
from pipeline.parent_death import stop_with_parent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STOP_SECONDS_MAX = 20
RESTARTS_MAX = 200
"""Of all members together; a member that cannot start must not be tried for ever."""


class MemberFailedError(RunError):
    """A process of the demo cannot do its work; its own last words are in its log file."""


@dataclass
class Member:
    """One process."""

    name: str
    arguments: Sequence[str]
    """Behind ``program``."""
    log_file: Path
    ends_by_itself: bool = False
    settings: Mapping[str, str] = field(default_factory=dict)
    """Environment variables beside those of ``environment``."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    program: Sequence[str] = (sys.executable, "-m")
    is_vital: bool = False
    """What it holds ends with it: it is never started again."""
    stop_seconds_max: float = STOP_SECONDS_MAX
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0

    def start(self, inherited: Sequence[int] = ()) -> None:
        """Start the process, with open files of ours; it is told to stop should we die."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own module, with arguments of our own
                [*self.program, *self.arguments],
                pass_fds=inherited,
                stdin=subprocess.PIPE,  # it is closed when we die, wherever the kernel tells our children nothing
                env={**self.environment, **self.settings},
                stdout=log,
                stderr=log,
                preexec_fn=stop_with_parent,  # noqa: PLW1509 - sets one flag of the child, takes no lock
            )

    def kill(self) -> None:
        """End the process at once, wherever it is."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def pid(self) -> int:
        """Its process id, once it was started."""
        if self.process is None:
            raise RunError(f"{self.name} was never started")
        return self.process.pid

    @property
    def return_code(self) -> int | None:
        """The exit code of the process, or None while it runs."""
        return None if self.process is None else self.process.poll()

    @property
    def done(self) -> bool:
        """Say whether it ended by itself, as it should."""
        return self.ends_by_itself and self.return_code == 0

    def last_words(self) -> str:
        """Return the end of what it wrote."""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-12:]) or "it could write nothing"


@dataclass
class Fleet:
    """All members, in the order in which they are started; they are stopped in the reverse."""

    members: list[Member] = field(default_factory=list)
    inherited: Sequence[int] = ()
    """Open files that every process gets."""

    def start(self, but: Sequence[Member] = ()) -> None:
        """Start every member, but for those that are to start later."""
        for member in self.members:
            if member not in but:
                member.start(self.inherited)

    def look_after(self) -> None:
        """Start again whoever was killed."""
        for member in self.members:
            if not member.done:
                self.revive(member)

    def revive(self, member: Member) -> None:
        """Start ``member`` again if it was killed; raise ``MemberFailedError`` if it exited because it cannot go on."""
        code = member.return_code
        if code is None:
            return
        if code > 0 or member.is_vital:
            raise MemberFailedError(f"{member.name} exited with {code}:\n{member.last_words()}")
        if sum(each.restarts for each in self.members) >= RESTARTS_MAX:
            raise MemberFailedError(f"{member.name} ended again after {RESTARTS_MAX} restarts of the demo's processes")
        member.restarts += 1
        member.start(self.inherited)

    def stop(self, member: Member) -> bool:
        """Ask ``member`` to finish what it has in hand, and wait; return False if it was killed before it had."""
        if member.process is None or member.done:
            return True
        member.process.send_signal(signal.SIGTERM)
        try:
            code = member.process.wait(member.stop_seconds_max)
        except subprocess.TimeoutExpired:
            member.kill()
            message = (
                f"{member.name} did not stop within {member.stop_seconds_max} s of SIGTERM:\n{member.last_words()}"
            )
            raise MemberFailedError(message) from None
        if code > 0:
            raise MemberFailedError(f"{member.name} stopped with {code}:\n{member.last_words()}")
        return code == 0

    def member(self, name: str) -> Member:
        """Return the member called ``name``."""
        return next(member for member in self.members if member.name == name)

    def kill_all(self) -> None:
        """End every process at once; for the way out of a failure."""
        for member in self.members:
            member.kill()
