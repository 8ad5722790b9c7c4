"""What the parts of a FinetuneJob share: camelCase keys, Kubernetes names and quantities."""

import re
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from finetune_api.config.section import Section, checked
from finetune_api.job.cel import Cel, Shape

_QUANTITY: Final = r"[0-9]+([.][0-9]*)?([eE][-+]?[0-9]+|m|k|[KMGTPE]i|[MGTPE])?"
_QUANTITY_FORMS: Final = "write 2, 500m or 16Gi"


class Part(Section):
    """A mapping of a manifest: camelCase keys, nothing unknown."""

    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True)


def _check_quantity(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int) or not re.fullmatch(_QUANTITY, str(value)):
        raise ValueError(f"{value!r} is not a quantity; {_QUANTITY_FORMS}")


Quantity = Annotated[
    Annotated[str, Field(max_length=32)] | int,
    checked(_check_quantity),
    Cel(
        f"type(self) == int ? self >= 0 : self.matches(r'^({_QUANTITY})$')",
        f"is not a quantity; {_QUANTITY_FORMS}",
        f"'\\'' + string(self) + '\\' is not a quantity; {_QUANTITY_FORMS}'",
    ),
]
Quantities = Annotated[dict[str, Quantity], Field(max_length=32)]

Name = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Shape(
        r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?",
        "is not a Kubernetes name; write a-z, 0-9, - and ., with a letter or digit at both ends",
    ),
]
"""Name of an object in the job's own namespace."""

LabelName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Shape(
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        "is not a short Kubernetes name; write a-z, 0-9 and -, with a letter or digit at both ends",
    ),
]
"""Name of a container or volume inside a pod."""

_STEP: Final = r"([^/:.][^/:]*|[.][^/:.][^/:]*|[.]{2}[^/:]+)"
"""One step of a path, neither `.` nor `..`, which would lead out of the volume or past a check."""

AbsolutePath = Annotated[
    str,
    Field(max_length=1024),
    Shape(
        f"/({_STEP}(/{_STEP})*)?",
        "is not an absolute path; write one like /data, without a slash at its end, a colon, . or ..",
    ),
]
SubPath = Annotated[
    str,
    Field(max_length=1024),
    Shape(
        f"{_STEP}(/{_STEP})*",
        "is not a relative path; write one like runs/one, without a slash at its ends, a colon, . or ..",
    ),
]
Seconds = Annotated[int, Field(ge=1, le=2**31 - 1)]
Count = Annotated[int, Field(ge=1, le=1000)]
RawObject = dict[str, Any]


class Reference(Part):
    """An object of the job's own namespace, by name."""

    name: Name = Field(description="Name of the object.")
