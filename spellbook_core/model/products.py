"""A block that stands for a data product of mage: another pipeline's outputs, run anew when they are outdated."""

from __future__ import annotations

from collections.abc import Mapping

from spellbook_core.model.block import Block

_KEYS = ("outdated_after", "outdated_starting_at", "settings")


def product_of(block: Block) -> str | None:
    """Return the name of the data product that a block of that type stands for; None when it names none."""
    name = _settings(block).get("uuid")
    return name if isinstance(name, str) and name else None


def source_of(block: Block) -> str:
    """Return the code of such a block, which has no file: its settings, and one call."""
    given = {name: value for name in _KEYS if isinstance(value := _settings(block).get(name), Mapping) and value}
    return (
        "from spellbook_core.worker.mage_shim.products import GlobalDataProduct\n\n\n"
        "@data_loader\ndef read(*args, **kwargs):\n"
        f"    return GlobalDataProduct.get({product_of(block) or block.uuid!r}).up_to_date(**{given!r})\n"
    )


def _settings(block: Block) -> Mapping[str, object]:
    found = block.configuration.get("global_data_product")
    return found if isinstance(found, Mapping) else {}
