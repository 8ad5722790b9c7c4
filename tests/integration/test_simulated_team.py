"""The director, and an API server that is away, busy, or does what it never answers; no cluster is needed for this."""

import http.client
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cluster.rest import Answer, Body
from finetune_api.names import ATTEMPT_LABEL, JOB_NAME_LABEL
from support.simulated_team import Blow, Director, Story, crashes, is_suspended, loses_a_pod, succeeds
from support.team import Team

Trouble = Callable[[], Answer]


def raises(error: Exception) -> Trouble:
    def trouble() -> Answer:
        raise error

    return trouble


TROUBLES = [
    raises(ConnectionRefusedError()),
    raises(http.client.IncompleteRead(b"{")),
    raises(http.client.BadStatusLine("")),
    lambda: Answer(429, {"message": "storage is initializing"}),
    lambda: Answer(500, {"message": "etcdserver: request timed out"}),
]


class Server:
    """Holds one job with two pods that run; a trouble befalls one request that strikes, before or after it is done."""

    def __init__(self, trouble: Trouble, *, at: int, done: bool) -> None:
        self._trouble, self._at, self._done = trouble, at, done
        self.struck: list[str] = []
        self.left = [_pod("job-0-0"), _pod("job-0-1")]

    def send(self, method: str, path: str, body: Body | None = None, content: str = "") -> Answer:
        name = path.split("?")[0].split("/")[-1]
        if method == "GET":
            job = {"metadata": {"name": "job"}, "status": {"attempts": [{"number": 0, "runningTime": "now"}]}}
            return Answer(200, {"pods": {"items": self.left}, "finetunejobs": {"items": [job]}}.get(name, job))
        if method == "POST" or name == "status":
            return Answer(201, {})
        self._at -= 1
        if self._at == 0 and not self._done:
            return self._trouble()
        answer = self._strike(name)
        return self._trouble() if self._at == 0 else answer

    def _strike(self, name: str) -> Answer:
        """What is struck is gone at once, as where an operator is quicker than the director."""
        here = name == "job" or any(pod["metadata"]["name"] == name for pod in self.left)
        self.left = [pod for pod in self.left if pod["metadata"]["name"] != name]
        self.struck += [name] if here else []
        return Answer(200, {}) if here else Answer(404, {"message": "not found"})

    def answers(self, path: str) -> bool:
        return True


def _pod(name: str) -> Body:
    labels = {JOB_NAME_LABEL: "job", ATTEMPT_LABEL: "0"}
    return {"metadata": {"name": name, "labels": labels}, "status": {"phase": "Running"}}


def directed(server: Server, *blows: Blow, looks: int = 3) -> Director:
    """A director who has looked a few times."""
    plane = cast(Any, SimpleNamespace(rest=lambda: server))
    director = Director(Team(plane, "team"), {"job": Story(blows)})
    turns = iter([False] * looks + [True])
    director._direct(cast(Any, SimpleNamespace(wait=lambda seconds: next(turns))))
    return director


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_a_blow_falls_on_every_pod_whatever_the_server_answers(trouble: Trouble, done: bool, at: int) -> None:
    server = Server(trouble, at=at, done=done)
    assert directed(server, succeeds).problem is None
    assert server.struck == ["job-0-0", "job-0-1"]


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("blow", [crashes, loses_a_pod])
def test_a_blow_that_falls_again_hits_nobody_else(blow: Blow, done: bool) -> None:
    server = Server(TROUBLES[0], at=1, done=done)
    assert directed(server, blow).problem is None
    assert server.struck == ["job-0-1"]


def test_a_busy_server_is_asked_again_to_suspend_a_job() -> None:
    server = Server(TROUBLES[3], at=1, done=False)
    assert directed(server, is_suspended).problem is None
    assert server.struck == ["job"]


def test_what_the_server_refuses_for_good_ends_the_direction() -> None:
    server = Server(lambda: Answer(422, {"message": "no"}), at=1, done=False)
    assert isinstance(directed(server, succeeds).problem, AssertionError)


def test_an_attempt_too_many_ends_the_direction() -> None:
    director = directed(Server(TROUBLES[0], at=9, done=False))
    assert "an attempt too many" in str(director.problem)
    with pytest.raises(AssertionError):
        director.over()
