"""Faults that strike a training run on real pods: how long until it trains again, and how many steps that costs.

    recovery = (first new step - fault) - (pod created -> first step of an undisturbed resume)

Both steps are the first that an attempt reports after it began at a checkpoint, as they appear in its metrics file;
both attempts are of the same run and begin at the same checkpoint: the run is halted there, resumed, and struck before
it saves again (one that drains saves as it leaves, and goes on there). What remains is what the fault costs beyond a
start: until it is noticed, until the pods are gone, and until there are new ones. Where a bound counts from something
else than the fault, so does the recovery: from when the node is reported NotReady, or from the first renewal of the
Lease by the operator that came back. A fault is recorded once the attempt's outcome is in the status of the job (of
the peer: JobSet's count of restarts). Lost are the steps that are done twice. Of a lost leader it is timed when the
next one first reports on a job that is created meanwhile.

    python benchmarks/recovery.py                              all faults, three times each (about half an hour)
    python benchmarks/recovery.py --only "rank killed"         one of them
    python benchmarks/recovery.py --peer                       beside Kubeflow Trainer with JobSet, with the same pods
    python benchmarks/recovery.py --repeat 1 --json            a quick look, as JSON

It brings a cluster of two real nodes on this machine (Linux, root), as `make test` does.
"""

import sys

# As a plain script it would find benchmarks/operator.py in the place of the standard library's `operator`.
sys.path[0] = sys.path[0].removesuffix("/benchmarks")

import argparse  # noqa: E402
import contextlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import tempfile  # noqa: E402
from collections.abc import Iterator, Mapping  # noqa: E402
from dataclasses import asdict  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(1, str(ROOT / "tests"))

from benchmarks.recovery_clock import Figures, Sample  # noqa: E402
from benchmarks.recovery_kubeflow import KubeflowRun  # noqa: E402
from benchmarks.recovery_ours import SAVE_INTERVAL, OurRun  # noqa: E402
from benchmarks.recovery_rows import LEADER_LOST, LEADER_SECONDS, ROWS  # noqa: E402
from benchmarks.recovery_sample import Starts, measure, measure_leader  # noqa: E402
from benchmarks.recovery_table import table  # noqa: E402

from cluster.local.cluster import LocalCluster  # noqa: E402
from cluster.peer import Peer  # noqa: E402
from cluster.provider import Cluster  # noqa: E402
from cluster.provider import cluster as chosen_cluster  # noqa: E402
from support.example_job import make_model  # noqa: E402
from support.helm_release import Release  # noqa: E402
from support.workspace import Workspace  # noqa: E402

NAMES = (*(row.name for row in ROWS), LEADER_LOST)
BOUNDS = {row.name: row.bound for row in ROWS} | {LEADER_LOST: f"{LEADER_SECONDS:g} s"}
Samples = dict[str, dict[str, list[Sample]]]
_CONTENDERS: Mapping[str, Starts] = {"ours": OurRun, "kubeflow": KubeflowRun}


def main() -> None:
    """Measure and print."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="finetune-benchmark-") as work, chosen_cluster(nodes=2) as cluster:
        release = Release(cluster.kubeconfig, cluster.operator_image, cluster.trainer_image)
        release.upgrade()
        facts, samples = _facts(cluster), Samples()
        try:
            with _peer(cluster, Path(work), wanted=options.peer):
                _measure(cluster, release, make_model(Path(work) / "model"), options, samples)
        finally:  # what was measured is told, whatever came then
            _tell(facts, samples, as_json=options.json)


def _measure(cluster: Cluster, release: Release, model: Path, options: argparse.Namespace, samples: Samples) -> None:
    contenders = _CONTENDERS if options.peer else {"ours": OurRun}
    for row in ROWS:
        for number in range(options.repeat if row.name in options.only else 0):
            for name, start in contenders.items():
                if name == "ours" or row.for_peer:
                    with _space(cluster, f"recovery-{ROWS.index(row)}-{number}-{name}") as space:
                        _note(samples, row.name, name, measure(cluster, space, start, row, model))
    if LEADER_LOST in options.only:
        release.upgrade("replicas=2")
        for number in range(options.repeat):
            with _space(cluster, f"recovery-leader-{number}") as space:
                _note(samples, LEADER_LOST, "ours", measure_leader(space))
        release.upgrade()


@contextlib.contextmanager
def _space(cluster: Cluster, name: str) -> Iterator[Workspace]:
    """A namespace for one sample; nodes that were stopped in it boot again, as their pods could not leave otherwise."""
    space = Workspace(cluster.kubeconfig, name).create()
    try:
        yield space
    finally:
        for node in cluster.nodes if isinstance(cluster, LocalCluster) else ():
            if not node.running:
                node.start()
                node.wait_ready()
        space.delete()


@contextlib.contextmanager
def _peer(cluster: Cluster, work: Path, *, wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    if not isinstance(cluster, LocalCluster):
        raise SystemExit("--peer needs a control plane of this machine's own, beside which the peer's controllers run")
    with Peer(cluster.control_plane, work / "peer"):
        yield


def _note(samples: Samples, fault: str, contender: str, sample: Sample) -> None:
    samples.setdefault(fault, {}).setdefault(contender, []).append(sample)
    found = f"after more than {sample.at_least:.0f} s" if sample.recovery is None else f"{sample.recovery:.1f} s"
    load = f"load average {os.getloadavg()[0]:.1f}"
    words = f"{found} (bound {sample.allowance:.0f} s; recorded as {sample.cause or 'nothing'}; {load})"
    print(f"{fault}, {contender}: {words}", file=sys.stderr, flush=True)


def _facts(cluster: Cluster) -> dict[str, str]:
    nodes = Workspace(cluster.kubeconfig, "default").get("nodes")["items"]
    info = nodes[0]["status"]["nodeInfo"]
    return {
        "nodes": f"{len(nodes)} of {os.cpu_count()} cores shared, kubelet {info['kubeletVersion']}",
        "container runtime": f"{info['containerRuntimeVersion']}, Linux {info['kernelVersion']}",
        "node-monitor-grace-period": "kube-controller-manager's default (50 s)",
        "stock toleration of a dead node": "300 s after NotReady",
        "checkpoint interval": f"{SAVE_INTERVAL} steps",
    }


def _tell(facts: dict[str, str], samples: Samples, *, as_json: bool) -> None:
    found = {row: {name: Figures.of(all_) for name, all_ in each.items()} for row, each in samples.items()}
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    facts = facts | {"load average": f"{load} (1, 5, 15 minutes; at the end)"}
    if as_json:
        each = {row: {name: asdict(figures) for name, figures in one.items()} for row, one in found.items()}
        print(json.dumps({"facts": facts, "faults": each}, indent=2))
        return
    print("\n".join(f"{name}: {fact}" for name, fact in facts.items()))
    print(f"\n{table(found, BOUNDS)}" if found else "\nnothing was measured")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add: Any = parser.add_argument
    add("--only", action="append", choices=NAMES, metavar="FAULT", help=f"measure this fault: {', '.join(NAMES)}")
    add("--repeat", type=int, default=3, help="samples of each fault, of which the median is told")
    add("--peer", action="store_true", help="also measure Kubeflow Trainer with JobSet")
    add("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    options.only = options.only or NAMES
    return options


if __name__ == "__main__":
    main()
