"""What the parts of a FinetuneJob share: camelCase keys, Kubernetes names and quantities."""

import re
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from finetune_api.config.section import Section, checked

_QUANTITY: Final = re.compile(r"\d+(?:\.\d*)?(?:[eE][-+]?\d+|m|k|[KMGTPE]i|[MGTPE])?")


class Part(Section):
    """A mapping of a manifest: camelCase keys, nothing unknown."""

    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True)


def _check_quantity(value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"expected a quantity such as 2, 500m or 16Gi, got {value!r}")
    if not _QUANTITY.fullmatch(str(value)):
        raise ValueError(f"{value!r} is not a quantity; write 2, 500m or 16Gi")


Quantity = Annotated[str | int | float, checked(_check_quantity)]
Quantities = dict[str, Quantity]

Name = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")]
"""Name of an object in the job's own namespace."""

AbsolutePath = Annotated[str, Field(max_length=4096, pattern=r"^/([^/]+(/[^/]+)*)?$")]
SubPath = Annotated[str, Field(max_length=4096, pattern=r"^[^/]+(/[^/]+)*$")]
Seconds = Annotated[int, Field(ge=1, le=2**31 - 1)]
Count = Annotated[int, Field(ge=1, le=1000)]
RawObject = dict[str, Any]


class Reference(Part):
    """An object of the job's own namespace, by name."""

    name: Name = Field(description="Name of the object.")
