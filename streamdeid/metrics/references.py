"""References: whom faces are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from streamdeid.observations import Embedding

ROLES = ("source", "target")


@dataclass(frozen=True, slots=True, eq=False)
class References:
    """Whom faces are compared with; None where no picture was given.

    Attributes:
        source: the person who is to be hidden: mean of the embeddings of the source's pictures.
        target: the person who is to be seen instead: the same of the target's.
    """

    source: Embedding | None = None
    target: Embedding | None = None

    def __post_init__(self) -> None:
        if self.source is not None and self.target is not None:
            shapes = self.source.shape, self.target.shape
            if shapes[0] != shapes[1]:
                raise ValueError(f"references have shapes {shapes}: they are of different models")

    @property
    def dim(self) -> int | None:
        """Length of the references; None if there is none."""
        return next((len(r) for r in (self.source, self.target) if r is not None), None)

    def fingerprint(self, role: str) -> str | None:
        """A hash that tells this reference from others without saying what it is; None without."""
        reference = self.of(role)
        return None if reference is None else sha256(reference.tobytes()).hexdigest()[:16]

    def of(self, role: str) -> Embedding | None:
        """The reference called "source" or "target"."""
        return self.source if role == "source" else self.target
