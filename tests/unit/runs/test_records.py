"""What the run store is told."""

from __future__ import annotations

from dataclasses import fields, replace

from spellbook_core.runs.records import BlockEnd


def test_end_with_a_fingerprint_keeps_every_other_field():
    """Fields are handed on by position: one that is added must be handed on too."""
    end = BlockEnd(**{field.name: f"value of {field.name}" for field in fields(BlockEnd)})
    assert end.with_fingerprint("known") == replace(end, fingerprint="known")
