"""What is known of the objects of one kind: fed by watches, by answers to our own writes, and by lists that repair.

A watch that starts over lists what is there and says nothing of what is not; `sync` finds what went meanwhile.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from finetune_api.names import JOB_NAME_LABEL

Body = dict[str, Any]
Slim = Callable[[Mapping[str, Any]], Body]
Covers = Callable[[Body], bool]

_REMEMBERED: Final = 20_000
"""Uids of objects that are gone, so that a late answer does not bring one back."""


class JobKey(NamedTuple):
    """Which job something is about."""

    namespace: str
    name: str


class Place(NamedTuple):
    """Where an object is."""

    namespace: str
    name: str


class Change(NamedTuple):
    """What has become of an object: `after` is None when it is gone, `before` when it is new."""

    before: Body | None
    after: Body | None

    @property
    def body(self) -> Body:
        """The last that is known of it."""
        found = self.after or self.before
        assert found is not None
        return found

    @property
    def matters(self) -> bool:
        """Whether anything but its version is new."""
        if self.before is None or self.after is None:
            return True
        return _without_version(self.before) != _without_version(self.after)


def job_of(body: Mapping[str, Any]) -> JobKey | None:
    """Return the job whose name is on a child's label."""
    metadata = body["metadata"]
    name = (metadata.get("labels") or {}).get(JOB_NAME_LABEL)
    return JobKey(metadata.get("namespace") or "", name) if name else None


class Store:
    """Objects of one kind, slimmed on entry, found by place and by the job on their label."""

    def __init__(self, slim: Slim) -> None:
        self.slim = slim
        self._objects: dict[Place, Body] = {}
        self._by_job: dict[JobKey, dict[str, Body]] = {}
        self._removed: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[Body]:
        return iter(list(self._objects.values()))

    def get(self, namespace: str, name: str) -> Body | None:
        """Return one object."""
        return self._objects.get(Place(namespace, name))

    def of_job(self, key: JobKey) -> list[Body]:
        """Return the objects that bear a job's name, whoever owns them, by name."""
        found = self._by_job.get(key, {})
        return [found[name] for name in sorted(found)]

    def put(self, body: Mapping[str, Any]) -> list[Change]:
        """Note an object; nothing changes when it is older than what is known, or gone already."""
        metadata = body["metadata"]
        place, uid = _place(body), metadata.get("uid")
        known = self._objects.get(place)
        if uid in self._removed or (known is not None and not _newer(body, known)):
            return []
        replaced = [self._take(place)] if known is not None and not _same(known, uid) else []
        after = self.slim(body)
        self._objects[place] = after
        job = job_of(after)
        if job is not None:
            self._by_job.setdefault(job, {})[place.name] = after
        return [*replaced, Change(None if replaced else known, after)]

    def remove(self, body: Mapping[str, Any]) -> list[Change]:
        """Note that an object is gone, and what was last seen of it."""
        place, uid = _place(body), body["metadata"].get("uid")
        known = self._objects.get(place)
        last = self.slim(body)
        if known is not None and _same(known, uid):
            self._take(place)
        elif uid in self._removed:
            return []
        self._forget(uid)
        return [Change(last, None)]

    def sync(
        self, bodies: Iterable[Mapping[str, Any]], version: str, covers: Covers = lambda body: True
    ) -> list[Change]:
        """Note a list of all objects that `covers` speaks for, as of `version`: one that is not in it is gone."""
        changes: list[Change] = []
        listed: set[Place] = set()
        for body in bodies:
            listed.add(_place(body))
            changes += self.put(body)
        for place, known in list(self._objects.items()):
            if place not in listed and covers(known) and not _after(known, version):
                changes.append(self._take(place))
        return changes

    def _take(self, place: Place) -> Change:
        known = self._objects.pop(place)
        job = job_of(known)
        if job is not None and job in self._by_job:
            self._by_job[job].pop(place.name, None)
            if not self._by_job[job]:
                del self._by_job[job]
        self._forget(known["metadata"].get("uid"))
        return Change(known, None)

    def _forget(self, uid: str | None) -> None:
        if uid:
            self._removed[uid] = None
            if len(self._removed) > _REMEMBERED:
                self._removed.popitem(last=False)


def _place(body: Mapping[str, Any]) -> Place:
    metadata = body["metadata"]
    return Place(metadata.get("namespace") or "", metadata["name"])


def _without_version(body: Body) -> Body:
    metadata = {key: value for key, value in body["metadata"].items() if key != "resourceVersion"}
    return {**body, "metadata": metadata}


def _same(known: Body, uid: str | None) -> bool:
    return bool(known["metadata"].get("uid") == uid)


def _newer(body: Mapping[str, Any], known: Body) -> bool:
    """Versions are numbers that grow; what is no number is believed to be news."""
    ours, theirs = known["metadata"].get("resourceVersion"), body["metadata"].get("resourceVersion")
    try:
        return int(theirs) > int(ours)
    except (TypeError, ValueError):
        return bool(ours != theirs)


def _after(known: Body, version: str) -> bool:
    """Whether an object is younger than a list that does not hold it."""
    try:
        return int(known["metadata"]["resourceVersion"]) > int(version)
    except (KeyError, TypeError, ValueError):
        return False
