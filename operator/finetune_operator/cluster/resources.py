"""The kinds of objects that are read or written, and where the API server keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from finetune_api.crd.definition import PLURAL
from finetune_api.job import GROUP, KIND, VERSION


@dataclass(frozen=True)
class Resource:
    """One kind of object."""

    group: str
    """Empty for the oldest kinds."""
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """What objects of this kind say in `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the path of one object, or of a list: of one namespace, or of all when that is None."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part is not None]
        return "/" + "/".join(parts)


FINETUNE_JOBS: Final = Resource(GROUP, VERSION, PLURAL, KIND)
PODS: Final = Resource("", "v1", "pods", "Pod")
SERVICES: Final = Resource("", "v1", "services", "Service")
CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
CLAIMS: Final = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
NETWORK_POLICIES: Final = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
NODES: Final = Resource("", "v1", "nodes", "Node", namespaced=False)
EVENTS: Final = Resource("events.k8s.io", "v1", "events", "Event")
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")
VOLCANO_GROUPS: Final = Resource("scheduling.volcano.sh", "v1beta1", "podgroups", "PodGroup")
COSCHEDULING_GROUPS: Final = Resource("scheduling.x-k8s.io", "v1alpha1", "podgroups", "PodGroup")

EVERYWHERE: Final = (FINETUNE_JOBS, PODS, SERVICES, CONFIG_MAPS, CLAIMS, NETWORK_POLICIES, NODES, EVENTS, LEASES)
"""What every cluster that runs the operator has."""
OPTIONAL: Final = (VOLCANO_GROUPS, COSCHEDULING_GROUPS)
"""What a cluster has when its gang scheduler is installed."""

BY_KIND: Final = {resource.kind: resource for resource in EVERYWHERE}

_BY_TYPE: Final = {(resource.api_version, resource.kind): resource for resource in (*EVERYWHERE, *OPTIONAL)}


def resource_of(body: Mapping[str, Any]) -> Resource:
    """Return the resource of an object; raises KeyError for a kind that nobody here reads or writes."""
    return _BY_TYPE[body["apiVersion"], body["kind"]]
