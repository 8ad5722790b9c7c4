"""Which part of the cluster the operator looks after."""

from dataclasses import dataclass

from finetune_api.names import JOB_UID_LABEL, MANAGED_BY_LABEL, MANAGER_LABEL_VALUE

POD_LABELS = JOB_UID_LABEL
CHILD_LABELS = f"{MANAGED_BY_LABEL}={MANAGER_LABEL_VALUE}"


@dataclass(frozen=True)
class Scope:
    """Some namespaces, or the whole cluster but for some."""

    namespaces: tuple[str, ...] = ()
    """None at all stands for the whole cluster."""
    excluded: tuple[str, ...] = ()

    @property
    def cluster_wide(self) -> bool:
        """Whether all namespaces are looked after, and nodes may be seen."""
        return not self.namespaces

    def places(self) -> tuple[str | None, ...]:
        """Return the namespaces to list, where None is all of them."""
        return self.namespaces or (None,)

    def fields(self) -> str | None:
        """Return the field selector that leaves out what is excluded."""
        return ",".join(f"metadata.namespace!={name}" for name in self.excluded) or None
