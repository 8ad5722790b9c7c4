"""`optimizer`: three optimizers, parameters left alone, and groups with values of their own."""

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from finetune_api.config.section import Section, checked, one_or_many

Fraction = Annotated[float, Field(ge=0, lt=1)]
Betas = Annotated[tuple[Fraction, Fraction], Field(strict=False)]  # strict would refuse a file's list


def _check_pattern(value: object) -> None:
    if isinstance(value, str):
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from None


Pattern = Annotated[str, Field(min_length=1), checked(_check_pattern)]


class ParamGroup(Section):
    """Parameters whose names match a pattern, with values that differ from the optimizer's."""

    param_str_match: Pattern = Field(description="Regular expression searched in parameter names.")
    lr: Annotated[float, Field(gt=0)] | None = Field(default=None, description="Learning rate.")
    betas: Betas | None = Field(default=None, description="Decay rates of the moments.")
    eps: Annotated[float, Field(gt=0)] | None = Field(default=None, description="Added to denominators.")
    weight_decay: Annotated[float, Field(ge=0)] | None = Field(default=None, description="Weight decay.")


DisableGrad = Annotated[list[Pattern], BeforeValidator(one_or_many)]

_DISABLE_GRAD: Any = Field(
    default_factory=list, description="Regular expressions; parameters whose names match are not trained."
)
_PARAM_GROUPS: Any = Field(default_factory=list, description="Parameters with a learning rate, decay, … of their own.")


class DecoupledAdamW(Section):
    """AdamW whose weight decay is `(lr / initial lr) * weight_decay`, independent of the learning rate."""

    name: Literal["decoupled_adamw"] = Field(description="The kind of optimizer.")
    lr: float = Field(default=1e-3, gt=0, description="Peak learning rate.")
    betas: Betas = Field(default=(0.9, 0.95), description="Decay rates of the two moments.")
    eps: float = Field(default=1e-8, gt=0, description="Added to the denominator.")
    weight_decay: float = Field(default=1e-5, ge=0, description="Decay per step at the peak learning rate.")
    disable_grad: DisableGrad = _DISABLE_GRAD
    param_groups: list[ParamGroup] = _PARAM_GROUPS


class AdamW(Section):
    """torch's AdamW."""

    name: Literal["adamw"] = Field(description="The kind of optimizer.")
    lr: float = Field(default=1e-3, gt=0, description="Peak learning rate.")
    betas: Betas = Field(default=(0.9, 0.999), description="Decay rates of the two moments.")
    eps: float = Field(default=1e-8, gt=0, description="Added to the denominator.")
    weight_decay: float = Field(default=1e-2, ge=0, description="Decay, multiplied by the learning rate.")
    disable_grad: DisableGrad = _DISABLE_GRAD
    param_groups: list[ParamGroup] = _PARAM_GROUPS


class DecoupledLionW(Section):
    """Lion with the same decoupled weight decay as `decoupled_adamw`."""

    name: Literal["decoupled_lionw"] = Field(description="The kind of optimizer.")
    lr: float = Field(default=1e-4, gt=0, description="Peak learning rate.")
    betas: Betas = Field(default=(0.9, 0.99), description="Decay rates of the update and of the moment.")
    weight_decay: float = Field(default=0.0, ge=0, description="Decay per step at the peak learning rate.")
    disable_grad: DisableGrad = _DISABLE_GRAD
    param_groups: list[ParamGroup] = _PARAM_GROUPS


Optimizer = Annotated[DecoupledAdamW | AdamW | DecoupledLionW, Field(discriminator="name")]
