"""What only the machine under a local cluster can do: kill what runs in pods, and drop packets."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from cluster.components import Command
from cluster.local import host, remains
from cluster.local.network import OURS
from cluster.local.node import Node
from cluster.local.site import PREFIX

_UNIFIED: Final = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
_CUT_OFF: Final = f"{PREFIX}-cut-off"

Rule = Sequence[str]
_cut: list[tuple[str, ...]] = []


def kill_in_pods(word: str) -> None:
    """Kill every process of a pod whose command line holds a word; raises ProcessLookupError when there is none."""
    found = [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _in_pod(entry, word)]
    if not found:
        raise ProcessLookupError(f"no pod runs {word}")
    for pid in found:
        os.kill(pid, signal.SIGKILL)


def block(rules: Iterable[Rule]) -> None:
    """Drop packets: a rule is a chain and what it matches."""
    for chain, *match in rules:
        _iptables("-I", chain, *match)


def unblock(rules: Iterable[Rule]) -> None:
    """Let them pass again, if they do not."""
    for chain, *match in rules:
        with contextlib.suppress(subprocess.CalledProcessError):  # there is no such rule any more
            _iptables("-D", chain, *match)


def cut_off(node: Node, port: int) -> None:
    """Keep a node's kubelet from the API server, on connections that it has and on new ones; its pods go on."""
    kubelet = _kubelet(node)
    group = _unified() / _CUT_OFF
    group.mkdir(exist_ok=True)
    (group / "cgroup.procs").write_text(str(kubelet), encoding="ascii")
    _cut.append(("OUTPUT", "-m", "cgroup", "--path", _CUT_OFF, "-p", "tcp", "--dport", str(port)))
    for own in _connections(kubelet, port):
        _cut.append(("OUTPUT", "-p", "tcp", "--sport", own, "--dport", str(port)))
        _cut.append(("INPUT", "-p", "tcp", "--dport", own, "--sport", str(port)))
    block(_cut)


def reconnect(node: Node) -> None:
    """Let the kubelet speak to the API server again."""
    unblock(_cut)
    _cut.clear()
    group = _unified() / _CUT_OFF
    if group.exists():
        (_unified() / "cgroup.procs").write_text(str(_kubelet(node)), encoding="ascii")
        group.rmdir()


def _in_pod(entry: Path, word: str) -> bool:
    with contextlib.suppress(OSError):
        in_pod = f"/{PREFIX}-node-" in (entry / "cgroup").read_text(encoding="utf-8")
        return in_pod and word in (entry / "cmdline").read_text(encoding="utf-8", errors="replace")
    return False


def _kubelet(node: Node) -> int:
    servers = remains.servers(node.site.directory, Path("/proc"))
    return next(pid for pid in servers if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() == "kubelet")


def _unified() -> Path:
    return next(place for place in _UNIFIED if (place / "cgroup.controllers").exists())


def _connections(pid: int, port: int) -> list[str]:
    """Return the local ports of a process's connections to `port`."""
    command: Command = [host.program("ss"), "-tnpH", "dport", "=", f":{port}"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    own = [line.split() for line in told.splitlines() if re.search(rf"\bpid={pid}\b", line)]
    return [words[3].rpartition(":")[2] for words in own]


def _iptables(what: str, chain: str, *match: str) -> None:
    rule = (what, chain, *match, "-m", "comment", "--comment", OURS, "-j", "DROP")
    subprocess.run([host.program("iptables"), "-w", *rule], check=True, capture_output=True)
