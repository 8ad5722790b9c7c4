"""A namespace of a real cluster in which one test works, and what it sees there."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cluster.binaries import find
from cluster.kubectl import kubectl
from finetune_api.names import JOB_NAME_LABEL, ROLE_LABEL, TRAINER_ROLE
from finetune_api.reasons import ConditionType
from finetune_api.status import JobStatus, condition_of
from support.shell import BIN, ROOT

Body = dict[str, Any]

RESTRICTED: Final = {"pod-security.kubernetes.io/enforce": "restricted"}
_PAUSE: Final = 0.1


@dataclass(frozen=True)
class Workspace:
    """A namespace, and the tools of a person who works in it."""

    kubeconfig: Path
    namespace: str

    def create(self) -> "Workspace":
        """Make the namespace, one that takes restricted pods only."""
        self.cluster_apply(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": self.namespace, "labels": RESTRICTED},
            }
        )
        return self

    def delete(self) -> None:
        """Delete it and all that is in it, and wait until that is gone."""
        kubectl(self.kubeconfig, "delete", "namespace", self.namespace, "--timeout=110s")

    def cluster_apply(self, body: Body) -> None:
        """Apply an object that is in no namespace."""
        kubectl(self.kubeconfig, "apply", "-f", "-", stdin=body)

    def kubectl(self, *arguments: str | Path, stdin: str | Body = "") -> str:
        """Run kubectl in the namespace; raises KubectlFailed."""
        return kubectl(self.kubeconfig, "--namespace", self.namespace, *arguments, stdin=stdin)

    def apply(self, *bodies: Body) -> None:
        """Apply objects of the namespace."""
        for body in bodies:
            self.kubectl("apply", "-f", "-", stdin=body)

    def config_map(self, name: str, *files: Path, **texts: str) -> None:
        """Make a ConfigMap of files."""
        sources = [f"--from-file={file}" for file in files]
        sources += [f"--from-literal={key.replace('__', '.')}={text}" for key, text in texts.items()]
        self.kubectl("create", "configmap", name, *sources)

    def get(self, kind: str, name: str = "", **labels: str) -> Body:
        """Return an object, or the list of those with these labels."""
        selector = [f"--selector={','.join(f'{key}={value}' for key, value in labels.items())}"] if labels else []
        found: Body = json.loads(self.kubectl("get", kind, *([name] if name else []), *selector, "-o", "json"))
        return found

    def status(self, job: str) -> JobStatus:
        """Return what the operator reports of a job."""
        return JobStatus.of(self.get("finetunejob", job))

    def pods(self, job: str, *, training: bool = False) -> list[Body]:
        """Return the pods of a job, or only those that train."""
        labels = {JOB_NAME_LABEL: job} | ({ROLE_LABEL: TRAINER_ROLE} if training else {})
        return list(self.get("pods", **labels)["items"])

    def reasons(self, job: str) -> list[str]:
        """Return the reasons of the Events about a job, oldest first."""
        found = self.kubectl("get", "events.events.k8s.io", "-o", "json", f"--field-selector=regarding.name={job}")
        return [event["reason"] for event in json.loads(found)["items"] if event["regarding"]["kind"] == "FinetuneJob"]

    def until(self, job: str, holds: Callable[[JobStatus], bool], *, seconds: float = 300) -> JobStatus:
        """Wait until a job's status is as wanted; AssertionError with all that is known when it never is."""
        end = time.monotonic() + seconds
        while not holds(status := self.status(job)):
            assert time.monotonic() < end, self.story(job)
            time.sleep(_PAUSE)
        return status

    def until_state(self, job: str, *states: str, seconds: float = 500) -> JobStatus:
        """Wait until a job is in one of these states; fails at once when it is over in another one."""

        def there(status: JobStatus) -> bool:
            assert status.state in states or status.state not in ("Complete", "Failed"), self.story(job)
            return status.state in states

        return self.until(job, there, seconds=seconds)

    def story(self, job: str) -> str:
        """Return what a person would look at first."""
        parts = [self._try("get", "finetunejob", job, "-o", "yaml"), self._try("get", "pods", "-o", "wide")]
        parts += [self._try("get", "events", "--sort-by=.lastTimestamp")]
        for pod in self.pods(job):
            name = pod["metadata"]["name"]
            parts.append(f"log of {name}:\n{self._try('logs', name, '--all-containers', '--tail=60')}")
        return "\n\n".join(parts)

    def finetune(self, *arguments: str | Path, timeout: float = 550) -> subprocess.CompletedProcess[str]:
        """Run the `finetune` command against the namespace."""
        command = [str(BIN / "finetune"), *map(str, arguments), "--namespace", self.namespace]
        return self._run(command, ROOT, timeout)

    def shell(self, line: str, directory: Path, timeout: float = 550) -> subprocess.CompletedProcess[str]:
        """Run a line of shell as the documentation has it, with kubectl, helm and finetune on the path."""
        return self._run(["bash", "-c", line], directory, timeout)

    def _run(self, command: list[str], directory: Path, timeout: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=directory, env=self._environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def _environment(self) -> Mapping[str, str]:
        tools = [str(BIN), *(str(find(tool).parent) for tool in ("kubectl", "helm"))]
        path = os.pathsep.join([*tools, os.environ["PATH"]])
        return {**os.environ, "PATH": path, "KUBECONFIG": str(self.kubeconfig), "NO_COLOR": "1"}

    def _try(self, *arguments: str) -> str:
        try:
            return self.kubectl(*arguments)
        except Exception as error:  # this is about to be part of a failure's own message
            return str(error)


def condition(status: JobStatus, kind: str) -> tuple[str, str, str]:
    """Return a condition's status, reason and message; empty ones when there is none."""
    found = condition_of(status.conditions, ConditionType(kind))
    return (found.status, found.reason, found.message) if found else ("", "", "")
