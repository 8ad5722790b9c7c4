"""Manifests that no API server should take, with what it says of each: one table for the models and for a cluster.

What the API server itself says of types and bounds is told in its own words; the rest are our sentences.
"""

from typing import Any, Final

from support.training_files import minimal_config

Spec = dict[str, Any]

CLAIM: Final = {"persistentVolumeClaim": {"claimName": "results"}}
ONE_WRITER: Final = {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
SCRATCH: Final = {"name": "extra", "emptyDir": {}}


def job(**spec: Any) -> dict[str, Any]:
    """Return a small manifest with `spec` over its own."""
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FinetuneJob",
        "metadata": {"name": "arc-easy"},
        "spec": {"config": minimal_config(), "output": {"volume": CLAIM}, **spec},
    }


def template(**parts: Any) -> Spec:
    """Return a spec with `parts` of a pod template."""
    return {"podTemplate": parts}


def variable(**parts: Any) -> Spec:
    """Return a spec with one environment variable."""
    return template(env=[parts])


def sidecar(**parts: Any) -> Spec:
    """Return a spec with one sidecar."""
    return template(sidecars=[{"name": "logs", "image": "example.com/logs:1", **parts}])


NAME: Final = "metadata.name: Invalid value"
_NAME_SENTENCE: Final = "must begin with a letter, hold only a-z, 0-9 and -, and have at most 52 characters"
_INPUT: Final = "give persistentVolumeClaim or configMap, exactly one"
_OUTPUT: Final = "spec.output: Invalid value: give volume or volumeClaimTemplate, exactly one"
_KIND: Final = "give each persistentVolumeClaim, configMap or emptyDir, exactly one"
_DEVICES: Final = "requests of devices must equal their limits"
_QUANTITY: Final = "is not a quantity; write 2, 500m or 16Gi"
_ELASTIC: Final = "spec.nodes: Invalid value: must lie between elastic.minNodes and elastic.maxNodes"
_VARIABLE: Final = "give each variable one value or valueFrom"
_OPERATORS: Final = "mountPath belongs to the operator; keep out of /code"
_MOUNT: Final = "spec.podTemplate.volumeMounts: Invalid value: each must name one of podTemplate.volumes"

BAD_NAMES: Final = ("Arc", "1arc", "arc.easy", "a" * 53, "arc-")
"""Each is refused with `NAME` and its sentence."""

NAME_SENTENCE: Final = _NAME_SENTENCE

BAD_SPECS: Final[tuple[tuple[Spec, str], ...]] = (
    ({"nodes": 0}, "spec.nodes: Invalid value: 0: spec.nodes in body should be greater than or equal to 1"),
    ({"nodes": 1001}, "spec.nodes in body should be less than or equal to 1000"),
    ({"nodes": "2"}, "spec.nodes in body must be of type integer"),
    ({"nodes": 1.5}, "spec.nodes in body must be of type integer"),
    ({"processesPerNode": 65}, "spec.processesPerNode in body should be less than or equal to 64"),
    ({"elastic": {"minNodes": 2, "maxNodes": 4}}, _ELASTIC),
    ({"elastic": {"minNodes": 1, "maxNodes": 2}, "nodes": 3}, _ELASTIC),
    ({"elastic": {"minNodes": 1}}, "spec.elastic.maxNodes: Required value"),
    ({"config": None}, "spec.config: Required value"),
    ({"config": 3}, "spec.config in body must be of type object"),
    ({"config": {}}, "spec.config in body should have at least 1 properties"),
    ({"output": None}, "spec.output: Required value"),
    ({"output": {}}, _OUTPUT),
    ({"output": {"volume": CLAIM, "volumeClaimTemplate": ONE_WRITER}}, _OUTPUT),
    (
        {"output": {"volumeClaimTemplate": ONE_WRITER}, "nodes": 2},
        "spec.output.volumeClaimTemplate.spec.accessModes: Invalid value: must include ReadWriteMany "
        "when more than one node writes",
    ),
    ({"output": {"volume": CLAIM, "subPath": "/runs"}}, "'/runs' is not a relative path"),
    ({"output": {"volume": CLAIM, "resumeFrom": "arc"}}, "'arc' is not the uid of a job"),
    (
        {"output": {"volume": {"persistentVolumeClaim": {"claimName": "My_claim"}}}},
        "'My_claim' is not a Kubernetes name",
    ),
    ({"dataset": {"volume": {}}}, f"spec.dataset.volume: Invalid value: {_INPUT}"),
    ({"dataset": {"volume": {**CLAIM, "configMap": {"name": "a"}}}}, _INPUT),
    (
        {"dataset": {"volume": CLAIM, "source": {"uri": "hf://a/b"}}},
        "spec.dataset: Invalid value: give volume or source, not both",
    ),
    (
        {"dataset": {"source": {"uri": "ftp://a/b"}}},
        "spec.dataset.source.uri: Invalid value: 'ftp://a/b' cannot "
        "be fetched; write hf://OWNER/NAME, s3://…, gs://… or https://…",
    ),
    ({"dataset": {"mountPath": "data"}}, "'data' is not an absolute path"),
    ({"dataset": {"mountPath": "/data/"}}, "'/data/' is not an absolute path"),
    ({"model": {"volume": {}}}, f"spec.model.volume: Invalid value: {_INPUT}"),
    (
        {"model": {"volume": CLAIM, "source": {"uri": "hf://a/b"}}},
        "spec.model: Invalid value: give volume or source, not both",
    ),
    ({"model": {"mountPath": "/data"}, "dataset": {}}, "mount paths must differ"),
    ({"code": {}}, "spec.code.configMap: Required value"),
    ({"image": ""}, "spec.image in body should be at least 1 chars long"),
    ({"imagePullPolicy": "always"}, 'Unsupported value: "always": supported values: "Always", "IfNotPresent"'),
    ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, "spec.imagePullSecrets[1]: Duplicate value"),
    ({"resources": {"limits": {"cpu": "two"}}}, f"spec.resources.limits[cpu]: Invalid value: 'two' {_QUANTITY}"),
    ({"resources": {"limits": {"cpu": -1}}}, f"'-1' {_QUANTITY}"),
    ({"resources": {"limits": {"cpu": 0.5}}}, "spec.resources.limits.cpu in body must be of type integer,string"),
    ({"resources": {"requests": {"nvidia.com/gpu": 1}}}, f"spec.resources: Invalid value: {_DEVICES}"),
    ({"resources": {"requests": {"amd.com/gpu": 1}, "limits": {"amd.com/gpu": "2"}}}, _DEVICES),
    ({"prepare": {"mode": "inline"}}, 'Unsupported value: "inline": supported values: "Auto", "Pod", "Inline"'),
    (
        {"prepare": {"mode": "Inline"}, "dataset": {"source": {"uri": "hf://a/b"}}},
        "spec.prepare.mode: Invalid value: Inline cannot fetch sources; use Pod or Auto",
    ),
    ({"runPolicy": {"maxRestarts": -1}}, "spec.runPolicy.maxRestarts in body should be greater than or equal to 0"),
    ({"runPolicy": {"suspend": "yes"}}, "spec.runPolicy.suspend in body must be of type boolean"),
    ({"runPolicy": {"cleanPods": "all"}}, 'Unsupported value: "all"'),
    (
        {"runPolicy": {"activeDeadlineSeconds": 0}},
        "spec.runPolicy.activeDeadlineSeconds in body should be greater than",
    ),
    ({"scheduling": {"gang": "kueue"}}, 'supported values: "None", "Kueue", "Volcano", "Coscheduling"'),
    ({"scheduling": {"queueName": "a_b"}}, "'a_b' is not a Kubernetes name"),
    ({"scheduling": {"tolerations": [{"operator": "Is"}]}}, 'supported values: "Equal", "Exists"'),
    (
        variable(name="RANK", value="1"),
        "spec.podTemplate.env[0].name: Invalid value: RANK is set by the operator; choose another name",
    ),
    (variable(name="PET_NNODES", value="1"), "PET_NNODES is set by the operator; choose another name"),
    (variable(name="A-B", value="1"), "'A-B' is not the name of a variable"),
    (variable(name="A"), f"spec.podTemplate.env[0]: Invalid value: {_VARIABLE}"),
    (variable(name="A", valueFrom={}), _VARIABLE),
    (
        template(env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]),
        "spec.podTemplate.env[1]: Duplicate value",
    ),
    (template(labels={"finetune.dev/rank": "0"}), "finetune.dev/rank is reserved; choose another prefix"),
    (template(labels={"apps.kubernetes.io/name": "x"}), "apps.kubernetes.io/name is reserved; choose another prefix"),
    (
        template(annotations={"k8s.io/x": "x"}),
        "spec.podTemplate.annotations: Invalid value: k8s.io/x is reserved",
    ),
    (template(volumes=[{"name": "x"}]), f"spec.podTemplate.volumes[0]: Invalid value: {_KIND}"),
    (template(volumes=[{"name": "x", "emptyDir": {"sizeLimit": "lots"}}]), f"'lots' {_QUANTITY}"),
    (template(volumeMounts=[{"name": "x", "mountPath": "/x"}]), _MOUNT),
    (
        {**template(volumes=[SCRATCH], volumeMounts=[{"name": "extra", "mountPath": "/data"}]), "dataset": {}},
        "spec.podTemplate.volumeMounts: Invalid value: mount paths must differ",
    ),
    (
        {**template(volumes=[SCRATCH], volumeMounts=[{"name": "extra", "mountPath": "/data/x"}]), "dataset": {}},
        "spec.podTemplate.volumeMounts: Invalid value: must not lie inside dataset.mountPath",
    ),
    *(
        (
            template(volumes=[SCRATCH], volumeMounts=[{"name": "extra", "mountPath": path}]),
            f"spec.podTemplate.volumeMounts[0]: Invalid value: {_OPERATORS}",
        )
        for path in ("/output", "/output/checkpoints", "/etc/finetune", "/etc", "/", "/tmp", "/dev/shm", "/scratch")
    ),
    ({"dataset": {"mountPath": "/code"}}, f"spec.dataset: Invalid value: {_OPERATORS}"),
    ({"model": {"mountPath": "/output/model"}}, f"spec.model: Invalid value: {_OPERATORS}"),
    ({"output": {"volume": CLAIM, "subPath": "a/../b"}}, "'a/../b' is not a relative path"),
    ({"output": {"volume": CLAIM, "subPath": ".."}}, "'..' is not a relative path"),
    ({"dataset": {"mountPath": "/data/.."}}, "'/data/..' is not an absolute path"),
    (
        template(volumes=[{"name": "output", "emptyDir": {}}]),
        "output is what the operator calls one of its own; choose another name",
    ),
    (template(volumes=[{"name": "a.b", "emptyDir": {}}]), "'a.b' is not a short Kubernetes name"),
    (sidecar(name="trainer"), "trainer is what the operator calls one of its own; choose another name"),
    (
        {"scheduling": {"gang": "Kueue"}},
        "spec.scheduling.queueName: Invalid value: gang Kueue needs the name of a LocalQueue",
    ),
    ({"scheduling": {"queueName": "gpu"}}, "is read by gang Kueue and Volcano only"),
    ({"scheduling": {"runtimeClassName": "Nvidia"}}, "'Nvidia' is not a Kubernetes name"),
    (variable(name="HF_HUB_CACHE", value="/x"), "HF_HUB_CACHE is set by the operator; choose another name"),
    (sidecar(volumeMounts=[{"name": "x", "mountPath": "/x"}]), _MOUNT),
    (sidecar(env=[{"name": "MASTER_ADDR", "value": "x"}]), "MASTER_ADDR is set by the operator; choose another name"),
    (sidecar(env=[{"name": "A"}]), f"spec.podTemplate.sidecars[0].env[0]: Invalid value: {_VARIABLE}"),
    (
        {"networking": {"env": [{"name": "PATH", "value": ""}]}},
        "PATH is not a network variable; put it under podTemplate.env",
    ),
)
"""A spec's mistake, and a part of what the API server answers."""

UNKNOWN_FIELDS: Final[tuple[tuple[Spec, str], ...]] = (
    ({"node": 2}, "spec.node"),
    ({"runPolicy": {"maxRestart": 1}}, "spec.runPolicy.maxRestart"),
    (template(serviceAccountName="root"), "spec.podTemplate.serviceAccountName"),
    (template(volumes=[{**SCRATCH, "hostPath": {"path": "/"}}]), "spec.podTemplate.volumes[0].hostPath"),
    (sidecar(securityContext={"privileged": True}), "spec.podTemplate.sidecars[0].securityContext"),
)
"""A spec with a field that does not exist: `unknown field` under strict validation, which kubectl asks for."""

Change = tuple[Spec, Spec, str]

BAD_CHANGES: Final[tuple[Change, ...]] = (
    ({}, {"nodes": 2}, "spec.nodes: Forbidden: nodes can only change within elastic, which this job does not have"),
    ({}, {"image": "example.com/trainer:2"}, "spec.image: Forbidden: image cannot change once the job exists"),
    ({}, {"config": {**minimal_config(), "seed": 18}}, "spec.config: Forbidden: config cannot change"),
    ({}, {"config": {**minimal_config(), "unknown": 1}}, "spec.config: Forbidden: config cannot change"),
    ({}, {"dataset": {}}, "spec.dataset: Forbidden: dataset cannot change once the job exists"),
    ({"dataset": {}}, {}, "spec.dataset: Forbidden: dataset cannot change once the job exists"),
    ({}, {"output": {"volume": CLAIM, "subPath": "b"}}, "spec.output: Forbidden: output cannot change"),
    ({}, {"managedBy": "example.com/other"}, "spec.managedBy: Forbidden: managedBy cannot change"),
    ({}, {"prepare": {"mode": "Pod"}}, "spec.prepare: Forbidden: prepare cannot change"),
    ({}, {"runPolicy": {"cleanPods": "All"}}, "spec.runPolicy.cleanPods: Forbidden: runPolicy.cleanPods cannot change"),
    (
        {"elastic": {"minNodes": 1, "maxNodes": 4}},
        {"elastic": {"minNodes": 1, "maxNodes": 5}},
        "spec.elastic: Forbidden",
    ),
    ({"elastic": {"minNodes": 1, "maxNodes": 4}}, {"elastic": {"minNodes": 1, "maxNodes": 4}, "nodes": 5}, _ELASTIC),
)
"""A spec before and after a change that is refused, and a part of what the API server answers."""

GOOD_CHANGES: Final[tuple[tuple[Spec, Spec], ...]] = (
    ({}, {"runPolicy": {"suspend": True, "maxRestarts": 9, "pendingDeadlineSeconds": 60, "stepTimeoutSeconds": 60}}),
    ({}, {"runPolicy": {"activeDeadlineSeconds": 60, "ttlSecondsAfterFinished": {"failed": 1}}}),
    ({"runPolicy": {"deleteJobAfterSeconds": 60}}, {}),
    ({}, {"runPolicy": {"cleanPods": "Running"}, "prepare": {"mode": "Auto"}}),  # the defaults, written out
    ({"elastic": {"minNodes": 1, "maxNodes": 4}}, {"elastic": {"minNodes": 1, "maxNodes": 4}, "nodes": 4}),
)
"""A spec before and after a change that is accepted."""
