"""Nodes that exist only in the API server: KWOK plays their kubelet, and pods on them run and end as they are told.

An annotation of a pod says what becomes of it; see `RUN_FOR`, `EXIT_CODE` and `LAST_WORDS`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cluster.components import LOOPBACK, Command

RUN_FOR: Final = "simulated.example.com/run-for"
"""How long a pod runs, as Go writes durations: 2s, 300ms; without it, as long as its kubelet says."""
EXIT_CODE: Final = "simulated.example.com/exit-code"
"""The exit code of its containers; 0 without it."""
LAST_WORDS: Final = "simulated.example.com/last-words"
"""Their termination message."""
HOLD: Final = "simulated.example.com/hold"
"""On a node: nobody makes it ready. On a pod: asked to leave, it stays until somebody deletes it by force."""

_FAKE: Final = {"kwok.x-k8s.io/node": "fake"}
_READY: Final = '.status.conditions.[] | select( .type == "Ready" ) | .status'
_RUN_FOR: Final = f'.metadata.annotations["{RUN_FOR}"]'
_HOLD: Final = f'.metadata.annotations["{HOLD}"]'

_OWN_ADDRESS: Final = "{{ PodIPWith .spec.nodeName false .metadata.uid .metadata.name .metadata.namespace }}"

_NODE_READY: Final = """
{{ $now := Now }}
conditions:
{{ range NodeConditions }}
- {type: {{ .type | Quote }}, status: {{ .status | Quote }}, reason: {{ .reason | Quote }},
   message: {{ .message | Quote }}, lastHeartbeatTime: {{ $now | Quote }}, lastTransitionTime: {{ $now | Quote }}}
{{ end }}
addresses:
- {type: InternalIP, address: {{ NodeIP | Quote }}}
- {type: Hostname, address: {{ .metadata.name | Quote }}}
phase: Running
"""

_POD_RUNNING: Final = """
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
hostIP: {{ NodeIP | Quote }}
podIP: POD_ADDRESS
podIPs: [{ip: POD_ADDRESS}]
conditions:
{{ range $type := list "Initialized" "ContainersReady" "Ready" }}
- {type: {{ $type }}, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  restartCount: 0
  ready: true
  {{ if eq (or .restartPolicy "") "Always" }}
  started: true
  state: {running: {startedAt: {{ $now | Quote }}}}
  {{ else }}
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
  {{ end }}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  restartCount: 0
  ready: true
  started: true
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
"""

_POD_ENDED: Final = """
{{ $now := Now }}
{{ $began := or .status.startTime $now }}
{{ $annotations := or .metadata.annotations dict }}
{{ $code := or (index $annotations "EXIT_CODE") "0" }}
{{ $words := or (index $annotations "LAST_WORDS") "" }}
phase: {{ if eq $code "0" }}Succeeded{{ else }}Failed{{ end }}
conditions:
{{ range $type := list "ContainersReady" "Ready" }}
- {type: {{ $type }}, status: "False", reason: PodCompleted, lastTransitionTime: {{ $now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  imageID: ""
  restartCount: 0
  ready: false
  started: false
  state:
    terminated:
      exitCode: {{ $code }}
      reason: {{ if eq $code "0" }}Completed{{ else }}Error{{ end }}
      message: {{ $words | Quote }}
      startedAt: {{ $began | Quote }}
      finishedAt: {{ $now | Quote }}
{{ end }}
"""


@dataclass(frozen=True)
class SimulatedNode:
    """A node and what it offers."""

    name: str
    cpu: str = "64"
    memory: str = "512Gi"
    pods: str = "1000"
    devices: Mapping[str, int] = field(default_factory=dict)
    """Extended resources: nvidia.com/gpu, amd.com/gpu."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taint: str = ""
    """A key that keeps pods away which do not tolerate it."""

    def body(self) -> dict[str, Any]:
        """The Node object."""
        offered = {"cpu": self.cpu, "memory": self.memory, "pods": self.pods}
        offered |= {name: str(count) for name, count in self.devices.items()}
        labels = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux", **self.labels}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "annotations": _FAKE, "labels": labels},
            "spec": {"taints": [{"key": self.taint, "effect": "NoSchedule"}] if self.taint else []},
            "status": {"allocatable": offered, "capacity": offered},
        }


@dataclass(frozen=True)
class SimulatedKubelet:
    """How pods of simulated nodes behave when no annotation says otherwise."""

    run_seconds: float | None = None
    """How long they run; None for ever."""
    pod_address: str = LOOPBACK
    """The address of every pod: on loopback nobody listens, and who asks learns so at once."""
    pod_network: str = ""
    """Gives every pod an address of its own from a network such as 127.1.0.1/16, in the place of `pod_address`."""

    def command(self, binary: Path, directory: Path, kubeconfig: Path, port: int) -> Command:
        """Write the configuration and return the command line of KWOK."""
        config = directory / "kwok.yaml"
        config.write_text("\n---\n".join(map(json.dumps, self.stages())), encoding="utf-8")
        ((key, value),) = _FAKE.items()
        return [
            binary,
            f"--config={config}",
            f"--kubeconfig={kubeconfig}",
            f"--manage-nodes-with-annotation-selector={key}={value}",
            f"--node-ip={LOOPBACK}",
            f"--server-address={LOOPBACK}:{port}",
            *([f"--cidr={self.pod_network}"] if self.pod_network else []),
        ]

    def stages(self) -> list[dict[str, Any]]:
        """The transitions that nodes and pods go through."""
        address = _OWN_ADDRESS if self.pod_network else self.pod_address
        running = _POD_RUNNING.replace("POD_ADDRESS", json.dumps(address))
        ended = _POD_ENDED.replace("EXIT_CODE", EXIT_CODE).replace("LAST_WORDS", LAST_WORDS)
        pending, alive = _where(".status.phase", "In", "Pending"), _where(".metadata.deletionTimestamp", "DoesNotExist")
        leaving, free = _where(".metadata.deletionTimestamp", "Exists"), _where(_HOLD, "DoesNotExist")
        return [
            _stage("node-ready", "Node", [free, _where(_READY, "NotIn", "True")], {"statusTemplate": _NODE_READY}),
            _stage("pod-running", "Pod", [alive, pending], {"statusTemplate": running}),
            _stage("pod-ended", "Pod", [alive, *self._ends()], {"statusTemplate": ended}, self._delay()),
            _stage("pod-gone", "Pod", [leaving, free], {"delete": True}),
        ]

    def _ends(self) -> list[dict[str, Any]]:
        running = _where(".status.phase", "In", "Running")
        return [running] if self.run_seconds is not None else [running, _where(_RUN_FOR, "Exists")]

    def _delay(self) -> dict[str, Any]:
        milliseconds = round((self.run_seconds or 0.0) * 1000)
        return {"durationMilliseconds": milliseconds, "durationFrom": {"expressionFrom": _RUN_FOR}}


def _where(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"key": key, "operator": operator, **({"values": values} if values else {})}


def _stage(
    name: str, kind: str, selector: list[dict[str, Any]], then: dict[str, Any], delay: dict[str, Any] | None = None
) -> dict[str, Any]:
    spec = {"resourceRef": {"apiGroup": "v1", "kind": kind}, "selector": {"matchExpressions": selector}, "next": then}
    if delay:
        spec["delay"] = delay
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name}, "spec": spec}
