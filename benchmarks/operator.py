"""Many jobs at once on a real control plane: how fast their pods are created and they complete, and at what cost.

etcd, kube-apiserver, kube-controller-manager and kube-scheduler are real and as they come; KWOK plays the kubelet, so
pods run and end without doing anything. Measured in one run, one after the other: bare pods, our operator, with --peer
Kubeflow Trainer with JobSet, and our operator's writes sent by hand. Printed are seconds, API calls per job from the
API server's audit log, CPU-seconds, peak memory, and the ratios of the same run.

Two rates bound the operator's. Bare pods show what the cluster takes of pods alone: until all are created, which the
API server limits, and until all run, which the scheduler does (it binds 50 a second as it comes); the second is the
raw rate that the operator is held against, since pods that only wait for the scheduler help nobody. By hand, a client
sends exactly what the operator writes, planned beforehand: each job, its three statuses, what its pods stand on, and
the pods. Where all share few cores, no operator that writes as much can be much faster than that.

    python benchmarks/operator.py                    200 jobs of 2 pods
    python benchmarks/operator.py --peer             beside Kubeflow Trainer (builds it the first time, minutes)
    python benchmarks/operator.py --jobs 10          a quick look
    python benchmarks/operator.py --json             the figures as JSON

Linux; the first time it builds Kubernetes' binaries, which takes minutes and needs Go.
"""

import sys

# As a plain script it would find itself in the place of the standard library's `operator`.
sys.path[0] = sys.path[0].removesuffix("/benchmarks")

import argparse  # noqa: E402
import asyncio  # noqa: E402
import json  # noqa: E402
import statistics  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from dataclasses import asdict, dataclass, field  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(1, str(ROOT / "tests"))

from benchmarks.audit import audit_flags, calls_of, log_of  # noqa: E402
from benchmarks.by_hand import ByHand, script_of  # noqa: E402
from benchmarks.contenders import Contender, bare_pods, ours  # noqa: E402
from benchmarks.cost import Cost, cost_of  # noqa: E402
from benchmarks.kubeflow import kubeflow  # noqa: E402
from benchmarks.load import Seen, Watching, create_all  # noqa: E402

from cluster.control_plane import ControlPlane, Parts  # noqa: E402
from cluster.simulated_nodes import SimulatedKubelet, SimulatedNode  # noqa: E402
from finetune_operator.cluster.client import Client  # noqa: E402
from finetune_operator.cluster.resources import NODES, PODS  # noqa: E402

_NAMESPACE = "default"
_POD_ADDRESS = "192.0.2.1"
"""Nobody answers there; on loopback, where it would be refused at once, no EndpointSlice may point."""


_BOUNDS = ("bare pods", "by hand")
_REACHED = (("created", "seconds_to_all_pods"), ("running", "seconds_to_all_running"))


@dataclass
class Figures:
    """What one contender gave."""

    seconds_to_one_jobs_pods: float | None = None
    """From the answer to the create of a single job to its last pod, on an idle cluster: a median."""
    seconds_to_all_pods: float = 0.0
    pods_created_p50: float = 0.0
    pods_created_p99: float = 0.0
    seconds_to_all_running: float = 0.0
    seconds_to_all_complete: float | None = None
    api_calls_per_job: float | None = None
    calls: dict[str, int] = field(default_factory=dict)
    cpu_seconds: float | None = None
    peak_megabytes: float | None = None
    cluster_cpu_seconds: float = 0.0
    """Of etcd, the API server, the controllers, the scheduler and the simulated kubelet."""


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="finetune-benchmark-") as work:
        found = asyncio.run(_measure(options, Path(work)))
    if options.json:
        print(json.dumps({name: asdict(figures) for name, figures in found.items()}, indent=2))
    else:
        print(report(found, options.jobs, options.pods))


async def _measure(options: argparse.Namespace, work: Path) -> dict[str, Figures]:
    kubelet = SimulatedKubelet(options.run_seconds, _POD_ADDRESS)
    parts = Parts(controllers=True, scheduler=True, kubelet=kubelet, api_server_flags=audit_flags(work))
    with ControlPlane(work / "cluster", parts) as cluster:
        async with Client.from_kubeconfig(cluster.admin) as client:
            for number in range(4):
                await client.create(NODES, SimulatedNode(f"node-{number}", cpu="1000").body())
            found = {"bare pods": await _bare(cluster, client, options.jobs * options.pods)}
            contenders = [ours]
            contenders += [kubeflow] if options.peer else []
            for start in contenders:
                with start(cluster, work, options.pods) as contender:
                    found[contender.name] = await _play(cluster, client, contender, options, log_of(work))
            found["by hand"] = await _by_hand(cluster, client, options.jobs, options.pods)
        return found


async def _bare(cluster: ControlPlane, client: Client, count: int) -> Figures:
    """The rate of the cluster itself: the same pods, created by hand as fast as the API server answers."""
    bodies, before = bare_pods(count), _cost_of(cluster)
    async with Watching(client, _NAMESPACE) as watching:
        begun = time.monotonic()
        await create_all(client, PODS, bodies)
        await watching.until(lambda seen: len(seen.running) == count, f"{count} running pods")
        seen, after = watching.seen, _cost_of(cluster)
    for body in bodies:
        await client.delete(PODS, body["metadata"]["name"], _NAMESPACE, grace=0)
    return _figures(seen, begun, cluster_cpu=after.since(before).cpu_seconds)


async def _by_hand(cluster: ControlPlane, client: Client, jobs: int, pods: int) -> Figures:
    """What is left of the rate when every job is also written, reported on, and given what its pods stand on."""
    scripts = [script_of(f"hand-{number}", pods) for number in range(jobs)]
    async with Watching(client, _NAMESPACE) as watching:
        begun, before = time.monotonic(), _cost_of(cluster)
        await ByHand(client, watching).send(scripts)
        over, after = time.monotonic() - begun, _cost_of(cluster)
    figures = _figures(watching.seen, begun, cluster_cpu=after.since(before).cpu_seconds)
    figures.seconds_to_all_complete = over
    return figures


async def _play(
    cluster: ControlPlane, client: Client, contender: Contender, options: argparse.Namespace, audit: Path
) -> Figures:
    names = [f"single-{number}" for number in range(options.singles)]
    single = [await _single(client, contender, name, options.pods) for name in names]
    before, lines = cost_of(*contender.pids()), _line_count(audit)
    figures = await _burst(cluster, client, contender, options.jobs, options.pods)
    figures.seconds_to_one_jobs_pods = statistics.median(single)
    after = cost_of(*contender.pids()).since(before)
    figures.cpu_seconds, figures.peak_megabytes = after.cpu_seconds, after.peak_megabytes
    calls = calls_of(audit.read_text(encoding="utf-8").splitlines()[lines:], contender.users)
    figures.calls = dict(calls.most_common())
    figures.api_calls_per_job = sum(calls.values()) / options.jobs
    return figures


async def _single(client: Client, contender: Contender, name: str, pods: int) -> float:
    async with Watching(client, _NAMESPACE, contender.kind) as watching:
        answered = await create_all(client, contender.kind.resource, [contender.kind.body(name)])
        await watching.until(lambda seen: seen.pods_of(name) == pods, f"{pods} pods of {name}")
        await watching.until(lambda seen: name in seen.complete, f"the end of {name}")
        return max(at for owner, at in watching.seen.pods.values() if owner == name) - answered[name]


async def _burst(cluster: ControlPlane, client: Client, contender: Contender, jobs: int, pods: int) -> Figures:
    names = [f"job-{number}" for number in range(jobs)]
    async with Watching(client, _NAMESPACE, contender.kind) as watching:
        begun, before = time.monotonic(), _cost_of(cluster)
        await create_all(client, contender.kind.resource, map(contender.kind.body, names))
        await watching.until(lambda seen: len(seen.complete) == jobs, f"the end of {jobs} jobs")
        seen, after = watching.seen, _cost_of(cluster)
    if len(seen.pods) != jobs * pods:
        raise RuntimeError(f"{len(seen.pods)} pods were created for {jobs} jobs: {sorted(seen.pods)}")
    return _figures(seen, begun, cluster_cpu=after.since(before).cpu_seconds)


def _figures(seen: Seen, begun: float, cluster_cpu: float) -> Figures:
    created = [at - begun for _, at in seen.pods.values()]
    complete = max(seen.complete.values()) - begun if seen.complete else None
    return Figures(
        seconds_to_all_pods=max(created),
        pods_created_p50=_part(created, 50),
        pods_created_p99=_part(created, 99),
        seconds_to_all_running=max(seen.running.values()) - begun,
        seconds_to_all_complete=complete,
        cluster_cpu_seconds=cluster_cpu,
    )


def _cost_of(cluster: ControlPlane) -> Cost:
    return cost_of(*(process.pid for process in cluster.processes.values()))


def report(found: dict[str, Figures], jobs: int, pods: int) -> str:
    """Write the figures side by side, and the ratios that matter."""
    lines = [f"{jobs} jobs of {pods} pods at once", ""]
    rows = [key for key in asdict(Figures()) if key != "calls"]
    lines.append("".join([f"{'':28}", *(f"{name:>22}" for name in found)]))
    for row in rows:
        values = [getattr(figures, row) for figures in found.values()]
        lines.append("".join([f"{row.replace('_', ' '):28}", *(f"{_text(value):>22}" for value in values)]))
    lines += ["", *_ratios(found, jobs * pods)]
    for name, figures in found.items():
        if figures.calls:
            lines += ["", f"calls of {name}:", *(f"  {count:6} {call}" for call, count in figures.calls.items())]
    return "\n".join(lines)


def _ratios(found: dict[str, Figures], pods: int) -> list[str]:
    own = found["ours"]
    lines = []
    for state, figure in _REACHED:
        rates = {name: pods / getattr(found[name], figure) for name in (*_BOUNDS, "ours")}
        told = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
        shares = ", ".join(f"{rates['ours'] / rates[name]:.0%} of {name}" for name in _BOUNDS)
        lines.append(f"pods a second until all are {state}: {told} ({shares})")
    for name, other in found.items():
        if name != "ours" and other.seconds_to_all_complete and own.seconds_to_all_complete:
            ratio = own.seconds_to_all_complete / other.seconds_to_all_complete
            lines.append(f"time to all Complete, ours to {name}: {ratio:.2f}")
    return lines


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _part(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def _line_count(path: Path) -> int:
    with path.open(encoding="utf-8") as lines:
        return sum(1 for _ in lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add: Any = parser.add_argument
    add("--jobs", type=int, default=200, help="jobs in the burst")
    add("--pods", type=int, default=2, help="pods of each job")
    add("--singles", type=int, default=5, help="jobs that are started alone before the burst")
    add("--run-seconds", type=float, default=1.0, help="how long a pod runs")
    add("--peer", action="store_true", help="also measure Kubeflow Trainer with JobSet")
    add("--json", action="store_true", help="print JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
