"""The pods' network in the kernel: a bridge for each node, and the packet filter's rules that let pods out."""

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from cluster.components import Command
from cluster.local import host
from cluster.local.site import POD_RANGE, PREFIX, Site

OURS: Final = f"{PREFIX}-cluster"
"""The comment on each of our rules."""
_FORWARDING: Final = Path("/proc/sys/net/ipv4/ip_forward")
_RULES: Final = (
    # First in line: Docker's policy for forwarded packets is to drop them.
    ("-t", "filter", "-I", "FORWARD", "-s", POD_RANGE, "-j", "ACCEPT"),
    ("-t", "filter", "-I", "FORWARD", "-d", POD_RANGE, "-j", "ACCEPT"),
    ("-t", "nat", "-A", "POSTROUTING", "-s", POD_RANGE, "!", "-d", POD_RANGE, "-j", "MASQUERADE"),
)


def create(sites: Iterable[Site]) -> None:
    """Make the bridges and rules."""
    for site in sites:
        for arguments in bridge_commands(site):
            _run("ip", arguments)
    for rule in _RULES:
        _run("iptables", ("-w", *rule, "-m", "comment", "--comment", OURS))
    _FORWARDING.write_text("1", encoding="ascii")


def bridge_commands(site: Site) -> list[tuple[str, ...]]:
    """Return the arguments of `ip` that make a node's bridge: before its first pod, as servers bind to its address."""
    return [
        ("link", "add", site.bridge, "type", "bridge"),
        ("address", "add", f"{site.address}/24", "dev", site.bridge),
        ("link", "set", site.bridge, "up"),
    ]


def remove() -> None:
    """Take bridges, our rules and kube-proxy's away, whoever left them."""
    for bridge in sorted(Path("/sys/class/net").glob(f"{PREFIX}[0-9]*")):
        _run("ip", ("link", "delete", bridge.name))
    for family in ("iptables", "ip6tables"):
        rules = _run(f"{family}-save", ())
        if (kept := without_ours(rules)) != rules:
            _run(f"{family}-restore", ("-w",), stdin=kept)


def without_ours(rules: str) -> str:
    """Return the output of iptables-save without what a local cluster adds to it."""
    ours = (OURS, "KUBE-")
    return "".join(line for line in rules.splitlines(keepends=True) if not any(word in line for word in ours))


def _run(name: str, arguments: Sequence[str], stdin: str | None = None) -> str:
    command: Command = [host.program(name), *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{name} {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout
