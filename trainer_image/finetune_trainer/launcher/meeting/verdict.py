"""From what all nodes tell to one verdict for all of them: pure functions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

from finetune_trainer.launcher.meeting.facts import NodeFacts

MIB: Final = 1 << 20
SHARED_MEMORY_BYTES: Final = 64 * MIB
"""Docker's default, and the least with which ranks and data loaders of one node get along."""
CLOCK_SECONDS: Final = 120.0
"""Certificates, and the ages of files, begin to lie when clocks differ by minutes."""
SLOW: Final = 4.0
"""A node is slow when its bandwidth is this much below the median of all."""


@dataclass(frozen=True)
class Verdict:
    """What all nodes leave the meeting with; `fault` None: the attempt may begin."""

    fault: str | None = None
    suspects: list[int] = field(default_factory=list)
    """Nodes that the next attempt had better avoid, the most suspicious first."""
    warnings: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    """One line about each node."""

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: object) -> "Verdict":
        """Read a verdict; raises ValueError when it is none."""
        if not isinstance(told, Mapping) or not isinstance(told.get("suspects"), list):
            raise ValueError("not a verdict")
        fault, suspects = told.get("fault"), [rank for rank in told["suspects"] if isinstance(rank, int)]
        texts = {name: [str(line) for line in _list_in(told.get(name))] for name in ("warnings", "nodes")}
        return cls(str(fault) if fault is not None else None, suspects, **texts)


def _list_in(told: object) -> list[object]:
    return told if isinstance(told, list) else []


@dataclass(frozen=True)
class Account:
    """All that is known of one node at the end of the meeting."""

    facts: NodeFacts
    skew: float = 0.0
    """Seconds by which its clock is ahead of node 0's."""
    reported: bool = True
    """It told in time how it reached the others."""
    unreached: Mapping[int, str] = field(default_factory=dict)
    """Nodes to which it could not talk, and why."""
    rates: Sequence[float] = ()
    """Bytes per second to the next node and from the one before."""

    @property
    def bandwidth(self) -> float | None:
        """The better direction: a slow neighbour spoils only one of the two."""
        return max(self.rates, default=None)


def judge(accounts: Mapping[int, Account], needed: int | None) -> Verdict:
    """Judge all nodes of an attempt; `needed` bytes of the output will be taken by a checkpoint."""
    lines = [line_about(rank, account) for rank, account in sorted(accounts.items())]
    warnings = [*_skewed(accounts), *_slow(accounts), *_tight(accounts, needed)]
    for check in (_silent(accounts), _unreached(accounts), _shared_memory(accounts), _output(accounts)):
        if check is not None:
            return Verdict(check[0], check[1], warnings, lines)
    return Verdict(None, [], warnings, lines)


def named(rank: int, account: Account) -> str:
    """Return how a node is called in a sentence: by its number and its pod."""
    return f"node {rank} ({account.facts.host})"


def line_about(rank: int, account: Account) -> str:
    """Return what is told about one node."""
    facts, rate = account.facts, account.bandwidth
    parts = [
        f"{rate * 8 / 1e9:.2f} Gbit/s" if rate is not None else None,
        f"/dev/shm {_size(facts.shared_memory)}" if facts.shared_memory is not None else None,
        f"output {_size(facts.output_free)} free" if facts.output_free is not None else None,
        f"clock {account.skew:+.1f} s" if rank > 0 else None,
    ]
    return f"{named(rank, account)}: {', '.join(part for part in parts if part)}"


Fault = tuple[str, list[int]]


def _silent(accounts: Mapping[int, Account]) -> Fault | None:
    silent = {rank: account for rank, account in accounts.items() if not account.reported}
    if not silent:
        return None
    return f"{_list(silent)} fell silent while the nodes tried to reach each other", sorted(silent)


def _unreached(accounts: Mapping[int, Account]) -> Fault | None:
    pairs = {(a, b): why for a, account in accounts.items() for b, why in account.unreached.items() if b in accounts}
    if not pairs:
        return None
    (one, other), why = next(iter(sorted(pairs.items())))
    text = f"{named(one, accounts[one])} cannot talk to {named(other, accounts[other])}: {why}"
    more = f"; {len(pairs) - 1} more such pairs" if len(pairs) > 1 else ""
    suspects = _suspects(list(pairs))
    who = _list({rank: accounts[rank] for rank in suspects})
    return f"{text}{more}. Suspected: {who}. Does a firewall or network policy stand between them?", suspects


def _suspects(pairs: Sequence[tuple[int, int]]) -> list[int]:
    """Return the fewest nodes that explain all failing pairs; both of a pair that nothing tells apart."""
    found: list[int] = []
    left = list(dict.fromkeys(pairs))
    while left:
        counts = Counter(rank for pair in {tuple(sorted(pair)) for pair in left} for rank in pair)
        most = max(counts.values())
        worst = [rank for rank in sorted(counts) if counts[rank] == most]
        found += worst if most == 1 else worst[:1]
        left = [pair for pair in left if not set(pair) & set(found)]
    return found


def _shared_memory(accounts: Mapping[int, Account]) -> Fault | None:
    small = {
        rank: account
        for rank, account in accounts.items()
        if account.facts.ranks > 1 and (account.facts.shared_memory or SHARED_MEMORY_BYTES) < SHARED_MEMORY_BYTES
    }
    if not small:
        return None
    size = _size(min(account.facts.shared_memory or 0 for account in small.values()))
    text = f"/dev/shm of {_list(small)} holds only {size}, and several ranks share it"
    return f"{text}; give it {SHARED_MEMORY_BYTES // MIB} MiB or more", _odd_ones(small, accounts)


def _output(accounts: Mapping[int, Account]) -> Fault | None:
    full = {rank: account for rank, account in accounts.items() if account.facts.output_free == 0}
    if not full:
        return None
    return f"the output volume of {_list(full)} has nothing free; make room on it", _odd_ones(full, accounts)


def _tight(accounts: Mapping[int, Account], needed: int | None) -> list[str]:
    """No fault: the run may save nothing more, and what a killed save has left is removed before the next one."""
    free = {rank: account.facts.room or 0 for rank, account in accounts.items()}
    tight = {rank: accounts[rank] for rank, size in free.items() if 0 < size < (needed or 0)}
    if not tight:
        return []
    least = _size(min(free[rank] for rank in tight))
    where = "save_folder" if any(account.facts.save_free is not None for account in tight.values()) else "output"
    return [f"the {where} volume of {_list(tight)} has {least} free, and a checkpoint takes {_size(needed)}"]


def _odd_ones(found: Mapping[int, Account], accounts: Mapping[int, Account]) -> list[int]:
    """What all nodes have in common is no fault of a machine: another one would not help."""
    return sorted(found) if len(found) < len(accounts) else []


def _skewed(accounts: Mapping[int, Account]) -> list[str]:
    return [
        f"the clock of {named(rank, account)} differs by {account.skew:+.0f} s from node 0's; is it synchronised?"
        for rank, account in sorted(accounts.items())
        if abs(account.skew) > CLOCK_SECONDS
    ]


def _slow(accounts: Mapping[int, Account]) -> list[str]:
    rates = {rank: account.bandwidth for rank, account in accounts.items() if account.bandwidth is not None}
    if len(rates) < 3:
        return []
    usual = median(rates.values())
    others = f"where the others have {usual * 8 / 1e9:.2f}"
    return [
        f"{named(rank, accounts[rank])} is slow: {rate * 8 / 1e9:.2f} Gbit/s, {others}"
        for rank, rate in sorted(rates.items())
        if rate * SLOW < usual
    ]


def _list(accounts: Mapping[int, Account]) -> str:
    names = [named(rank, account) for rank, account in sorted(accounts.items())]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _size(count: int | None) -> str:
    value = float(count or 0)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:.3g} TiB"
