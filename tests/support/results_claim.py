"""The volume of jobs whose pods write nothing."""

from cluster.rest import Rest


def provide_results(server: Rest, namespace: str) -> None:
    """Make the claim that the jobs of tests name, in a namespace, and the volume that it is bound to."""
    named = {"metadata": {"name": namespace}}
    size = {"storage": "1Gi"}
    claimed = {"namespace": namespace, "name": "results"}
    volume = {"capacity": size, "accessModes": ["ReadWriteMany"], "storageClassName": "",
              "hostPath": {"path": "/nowhere"}, "claimRef": claimed}  # fmt: skip
    server.send("POST", "/api/v1/persistentvolumes", {**named, "spec": volume}).accepted()
    claim = {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": namespace,
             "resources": {"requests": size}}  # fmt: skip
    body = {"metadata": {"name": "results"}, "spec": claim}
    server.send("POST", f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", body).accepted()
