"""The layer table of a torch model: what a person wants to see of it without loading it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from spellbook_core.artifacts.sketch import describe_shortly
from spellbook_core.model.values import JsonObject, JsonValue

MAX_LAYERS = 2_000
"""Rows of the layer table; larger models say how many are left out."""


@dataclass(frozen=True, slots=True)
class Layers:
    """A model's modules, outermost first, and its parameters counted once each."""

    rows: tuple[dict[str, JsonValue], ...]
    parameters: int
    trainable: int
    left_out: int

    def to_json(self) -> JsonObject:
        """Return what the preview file holds."""
        return {
            "layers": list(self.rows),
            "parameters": self.parameters,
            "trainable": self.trainable,
            "left_out": self.left_out,
        }


def layers(value: object) -> Layers | None:
    """Return the layer table when `value` is a `torch.nn.Module`, else None.

    Each row has name, type, parameters (its own, not its children's) and text (the layer's settings).
    """
    if "torch" not in sys.modules:
        return None
    import torch

    if not isinstance(value, torch.nn.Module):
        return None
    rows: list[dict[str, JsonValue]] = []
    total = 0
    for name, module in value.named_modules():
        has_children = next(module.children(), None) is not None
        own = sum(_size(parameter) for parameter in module.parameters(recurse=False))
        if has_children and not own:
            continue
        total += 1
        if total <= MAX_LAYERS:
            rows.append(
                {
                    "name": name,
                    "type": type(module).__name__,
                    "parameters": own,
                    "text": _settings(module, has_children),
                }
            )
    parameters = list(value.parameters())
    return Layers(
        rows=tuple(rows),
        parameters=sum(_size(parameter) for parameter in parameters),
        trainable=sum(_size(parameter) for parameter in parameters if parameter.requires_grad),
        left_out=total - len(rows),
    )


def _size(parameter: Any) -> int:
    import torch

    if isinstance(parameter, torch.nn.parameter.UninitializedTensorMixin):
        return 0
    return int(parameter.numel())


def _settings(module: Any, has_children: bool) -> str:
    if has_children:
        return ""
    try:
        return str(module.extra_repr())[:300]
    except Exception as problem:  # noqa: BLE001  # user code: extra_repr of an own layer may raise anything
        return describe_shortly(problem)
