"""Compares what was found with what had been written down before the strike."""

from collections.abc import Iterator
from typing import Final

from faults.record import Found, Record

_CAUSE: Final = ("rank", "pod", "node", "exit_code")


def complaints(record: Record, found: Found) -> tuple[str, ...]:
    """Return in what the named cause differs from the true one; nothing when it was named rightly."""
    return (*of_attempt(record, found), *_of_job(record, found))


def of_attempt(record: Record, found: Found) -> tuple[str, ...]:
    """Return the same for the struck attempt alone."""
    return tuple(_of_attempt(record, found))


def _of_attempt(record: Record, found: Found) -> Iterator[str]:
    if record.outcome is None and not record.reason:
        if found.outcome not in (None, "Succeeded"):
            yield f"an attempt ended as {found.outcome}/{found.reason}, and none had to"
        return
    if (found.outcome, found.reason) != (record.outcome, record.reason):
        yield f"{found.outcome}/{found.reason} instead of {record.outcome}/{record.reason}"
    for name in _CAUSE:
        wanted, told = getattr(record, name), getattr(found, name)
        if wanted is not None and told != wanted:
            yield f"{name} {told} instead of {wanted}"
    for word in record.words:
        if word not in found.text:
            yield f"not told: {word!r}"
    if record.within is not None and (found.ran is None or found.ran > record.within):
        yield f"told {found.ran} s after the pods ran instead of within {record.within} s"


def _of_job(record: Record, found: Found) -> Iterator[str]:
    if (found.state, found.ending) != (record.state, record.ending):
        yield f"the job is {found.state}/{found.ending} instead of {record.state}/{record.ending}"
    if found.restarts != record.restarts:
        yield f"{found.restarts} restarts counted instead of {record.restarts}"
    if found.lost is None or found.lost > record.lost:
        yield f"{found.lost} steps lost instead of at most {record.lost}"
