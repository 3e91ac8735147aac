"""One exception tree: whatever goes wrong for a reason the user can mend is a `RecsysError`."""

from __future__ import annotations

from collections.abc import Sequence


class RecsysError(Exception):
    """Base of every error raised on purpose; the command line prints its text and exits 1."""


class UsageError(RecsysError):
    """A flag, setting or argument that cannot be meant; the command line exits 2."""


class SettingsError(UsageError):
    """A model's, data set's or job's settings are unknown, of the wrong type or out of range."""


class MissingDependencyError(RecsysError):
    """A use needs a package that is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str, use: str) -> None:
        super().__init__(f"{use} needs {package}: pip install 'recsys[{extra}]'")


class DataError(RecsysError):
    """Input data that cannot be used as it is.

    The message is one line, `file: row 7, column 'value' is 'abc': what is wrong; what to do`,
    with the parts that apply. Rows are counted as a spreadsheet shows them: a header is row 1.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: object = None,
        row: int | None = None,
        column: str | None = None,
        value: object = None,
        hint: str | None = None,
    ) -> None:
        self.problem, self.file, self.row = problem, file, row
        self.column, self.value, self.hint = column, value, hint
        super().__init__(self._line())

    def _line(self) -> str:
        place = ", ".join(
            part
            for part in (
                f"row {self.row}" if self.row is not None else "",
                f"column {self.column!r}" if self.column is not None else "",
            )
            if part
        )
        if self.value is not None:
            place = f"{place} is {_shorten(self.value)}".strip()
        line = ": ".join(
            part
            for part in (str(self.file) if self.file is not None else "", place, self.problem)
            if part
        )
        return f"{line}; {self.hint}" if self.hint else line


class NotFittedError(RecsysError):
    """A model was asked for scores or for its state before it was fitted."""


class TrainingError(RecsysError):
    """Training cannot go on (a loss that is not finite, a checkpoint of another run, …)."""


class ArtifactError(RecsysError):
    """A model folder is damaged, incomplete, foreign, or written by a newer version."""


class StoreError(RecsysError):
    """The store of live events cannot be used as it is asked to be."""


class StoreDownError(StoreError):
    """The store does not answer, or not in time; it may later."""


class ForgottenError(RecsysError):
    """Events of someone who asked to be forgotten; `users` are the ids that were refused."""

    def __init__(self, users: Sequence[str]) -> None:
        self.users = tuple(users)
        shown = ", ".join(_shorten(user) for user in users[:3])
        more = f" and {len(users) - 3} more" if len(users) > 3 else ""
        super().__init__(f"forgotten, so nothing is kept of them: user {shown}{more}")


class NotFoundError(RecsysError):
    """A user or an item that nobody here knows."""

    def __init__(self, kind: str, identifier: str) -> None:
        self.kind, self.identifier = kind, identifier
        super().__init__(f"unknown {kind} {_shorten(identifier)}")


def _shorten(value: object, limit: int = 80) -> str:
    """Return the value's repr, cut so that one hostile cell cannot fill the screen."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
