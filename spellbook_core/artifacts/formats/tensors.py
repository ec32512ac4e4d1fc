"""torch tensors: safetensors for one tensor or a flat dict of plain ones, torch.save for what else holds only tensors.

`torch.save` files are read with `weights_only=True` and never any other way.
"""

from __future__ import annotations

import json
import os
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

from spellbook_core.artifacts.formats import json_values
from spellbook_core.artifacts.formats.encoded import Encoded
from spellbook_core.artifacts.formats.table_preview import preview_array
from spellbook_core.artifacts.sketch import type_name
from spellbook_core.model.output import OutputKind

SAFETENSORS_FORMAT = "safetensors"
TORCH_FORMAT = "torch"
_SINGLE = "__single__"
_MAX_DEPTH = 50
_MAX_ITEMS = 100_000


def encode(value: object) -> Encoded | None:
    """Return how to store tensors, or None when `value` holds anything but tensors and plain values."""
    if "torch" not in sys.modules:
        return None
    import torch

    if type(value) in {torch.Tensor, torch.nn.Parameter}:
        return _encoded(value, OutputKind.TENSOR)
    if type(value) in {dict, list, tuple, OrderedDict} and _is_tensors(value):
        return _encoded(value, OutputKind.OBJECT)
    return None


def _encoded(value: Any, kind: OutputKind) -> Encoded:
    is_plain = _is_flat(value)
    tensor = value if kind is OutputKind.TENSOR else None
    summary = json_values.summarise(value) if tensor is None else f"{_dtype(value)} {tuple(value.shape)}"
    if tensor is not None and tensor.device.type != "cpu":
        summary += f" on {tensor.device}"
    return Encoded(
        format=SAFETENSORS_FORMAT if is_plain else TORCH_FORMAT,
        suffix="safetensors" if is_plain else "pt",
        kind=kind,
        type_name=type_name(value),
        summary=summary,
        write=lambda file: _write_plain(value, file) if is_plain else _write_torch(value, file),
        preview=lambda folder: _preview(folder, value),
        rows=int(tensor.shape[0]) if tensor is not None and tensor.dim() else None,
        facts={} if tensor is None else {"shape": list(tensor.shape), "dtype": _dtype(tensor)},
    )


def _dtype(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _preview(folder: Path, value: Any) -> None:
    import torch

    if isinstance(value, torch.Tensor):
        if value.layout is torch.strided and value.dim() and not value.is_quantized:
            head = value.detach()[:1000].cpu().resolve_conj().resolve_neg()
            is_odd = head.dtype not in _numpy_dtypes()
            preview_array(folder, (head.float() if is_odd else head).numpy())
        return
    json_values.write_preview(folder, value)


def _numpy_dtypes() -> set[Any]:
    import torch

    integers = {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
    return integers | {torch.float16, torch.float32, torch.float64, torch.complex64, torch.complex128}


def _is_flat(value: Any) -> bool:
    """Whether safetensors gives back the same: dense, contiguous, on the CPU, no gradients, no shared memory."""
    import torch

    tensors = [value] if isinstance(value, torch.Tensor) else list(value.values()) if type(value) is dict else []
    if not tensors or (type(value) is dict and not all(type(name) is str and name.isprintable() for name in value)):
        return False
    if type(value) is dict and _SINGLE in value:
        return False
    if not all(type(tensor) is torch.Tensor and _is_dense(tensor) for tensor in tensors):
        return False
    storages = [tensor.untyped_storage() for tensor in tensors]
    owned = {storage.data_ptr() for storage in storages if storage.nbytes()}
    is_untied = len(owned) == sum(1 for storage in storages if storage.nbytes())
    return is_untied and all(s.nbytes() == t.nbytes for s, t in zip(storages, tensors, strict=True))


def _is_dense(tensor: Any) -> bool:
    import torch

    return bool(
        tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and tensor.is_contiguous()
        and not tensor.requires_grad
        and not tensor.is_conj()
        and not tensor.is_neg()
        and not tensor.is_quantized
        and tensor.dtype in _numpy_dtypes() | {torch.bfloat16}
        and not tensor.dtype.is_complex
        and not tensor.__dict__
    )


def _is_tensors(value: Any) -> bool:
    """Whether `value` is built of tensors and of the plain types that the weights-only reader knows, tensors included.

    Containers are looked at once each, so that a value that contains itself ends the walk with no.
    """
    import torch

    found = False
    seen: set[int] = set()
    waiting: list[tuple[Any, int]] = [(value, 0)]
    looked_at = 0
    while waiting:
        item, depth = waiting.pop()
        looked_at += 1
        kind = type(item)
        if kind in {torch.Tensor, torch.nn.Parameter}:
            if item.__dict__:
                return False
            found = True
        elif kind in {dict, list, tuple, OrderedDict}:
            if depth > _MAX_DEPTH or looked_at > _MAX_ITEMS or (id(item) in seen and depth):
                return False
            seen.add(id(item))
            pairs = [*item, *item.values()] if isinstance(item, dict) else item
            waiting += [(part, depth + 1) for part in pairs]
        elif kind is int:
            if item.bit_length() > 63:
                return False
        elif item is not None and kind not in {bool, float, str, torch.Size, torch.dtype, torch.device}:
            return False
    return found


def _write_plain(value: Any, file: Any) -> None:
    """Let safetensors write beside the file, then copy through: its writer takes a path only, and spares memory."""
    from safetensors.torch import save_file

    tensors = value if type(value) is dict else {_SINGLE: value}
    draft = file.beside(".draft")
    try:
        save_file(tensors, draft, metadata={"order": json.dumps(list(tensors))})
        with draft.open("rb") as source:
            while chunk := source.read(16 * 1024 * 1024):
                file.write(chunk)
    finally:
        if draft.exists():
            os.unlink(draft)


def _write_torch(value: Any, file: Any) -> None:
    import torch

    torch.save(value, file)


def decode_plain(path: Path) -> object:
    """Return new tensors, a dict's names in their order."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        names = json.loads(file.metadata()["order"])
        tensors = {name: file.get_tensor(name).clone() for name in names}
    return tensors[_SINGLE] if list(tensors) == [_SINGLE] else tensors


def decode_torch(path: Path) -> object:
    """Return the tensors, on their device when this machine has it, else on the CPU."""
    import torch

    place = None if torch.cuda.is_available() else "cpu"
    return torch.load(path, weights_only=True, map_location=place)
