"""Stage: a step with memory, from items to observations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar, runtime_checkable

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)


class Stage(Protocol[In, Out]):
    """A step with memory. It scores nothing and knows nothing of what comes before or after.

    Attributes:
        name: what reports call it.
        delay: items of context behind each output; None: the whole past.
        stride: items in per item out.
    """

    name: str
    delay: int | None
    stride: int

    def push(self, item: In) -> Iterable[Out]:
        """Take one item in; give what it lets out."""
        ...

    def flush(self) -> Iterable[Out]:
        """Let out what is held back: the stream has ended."""
        ...

    def reset(self) -> None:
        """Forget the context: the stream was interrupted, or cut."""
        ...


@runtime_checkable
class RunsProgram(Protocol):
    """What a stage has besides, that has another program run beside us.

    Attributes:
        fault: what went wrong with the program, a sentence; None: nothing. It is no error of the
            run, which goes on without it.
    """

    @property
    def fault(self) -> str | None: ...

    def record(self) -> dict[str, Any]:
        """For the report, as of a model: what was run, and how it went."""
        ...

    def hurry(self) -> None:
        """Wait for the program no longer than some seconds: the run is to end. From any thread."""
        ...

    def close(self) -> None:
        """End the program and remove its files. May be called twice."""
        ...
