"""What one browser session remembers about one pipeline's editor; files and the run store hold what lasts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from spellbook_core.model.naming import BlockUuid
from spellbook_core.model.staleness import Staleness
from spellbook_core.model.values import YamlValue
from spellbook_core.services.package_needs import PackageNeeds
from spellbook_core.ui.editor import keys
from spellbook_core.ui.editor.drafts import Draft
from spellbook_core.ui.open_dialog import OpenDialog

OPEN_ALL_UP_TO = 8
"""Pipelines with more blocks open only the selected card: each open card costs an editor and a table in the browser
(first load of 30 took 5-20 s)."""

_REVISIONS = itertools.count(1)

Mode = Literal["Select", "Link parents"]


@dataclass(frozen=True, slots=True)
class DialogRequest:
    """A dialog that is open, or opens at the next run of the dialogs' fragment: which one, and for which block."""

    kind: str
    block: str | None = None
    block_type: str | None = None


@dataclass(slots=True)
class EditorSession:
    """One pipeline's editor in one browser tab.

    Attributes:
        selected: The block that the graph, the logs and Add block refer to.
        opened: block -> whether its card is open, where the person said so.
        drafts: block -> the text in its editor.
        pending: block -> newest run accepted for it, until the store shows a block run of that run.
        errors: scope -> error dict to show there; a scope is `page`, `graph`, `dialog` or a block's card key.
        mode: What a click in the graph does; in `Link parents`, `child` is the block whose parents are toggled.
        scroll_to: A block to bring into view once, and `focus` whether its editor gets the cursor.
        dialogs: The open dialog. It is drawn by every run of the page until the person closes it.
        is_page_due: Whether the whole page is to be drawn once the dialog is closed.
        runtime_variables: What was last typed into the run dialog.
        paged_for: The selected block when its page of cards was shown.
        run_id: The newest pipeline run started here.
        parent_revs: block -> how often its parents changed elsewhere than in its list.
        shown: fragment -> token of the state that it was last drawn from.
        file_changes: How often a file of the project may have changed, as far as events told.
        states: What the states of the stored outputs were told from, and those states.
        overdue: Fragments that did not show the truth when the safety net looked last.
        needs: What the needs of packages were told from, and those needs.
    """

    selected: str | None = None
    opened: dict[str, bool] = field(default_factory=dict)
    drafts: dict[str, Draft] = field(default_factory=dict)
    pending: dict[str, int] = field(default_factory=dict)
    errors: dict[str, Mapping[str, object]] = field(default_factory=dict)
    mode: Mode = "Select"
    child: str | None = None
    dialogs: OpenDialog = field(default_factory=OpenDialog)
    is_page_due: bool = False
    scroll_to: str | None = None
    focus: bool = False
    moves: int = 0
    runtime_variables: dict[str, YamlValue] = field(default_factory=dict)
    paged_for: str | None = None
    run_id: int | None = None
    parent_revs: dict[str, int] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    saved_at: float | None = None
    file_changes: int = 0
    states: tuple[object, Mapping[BlockUuid, Staleness]] | None = None
    overdue: list[str] = field(default_factory=list)
    needs: tuple[object, PackageNeeds] | None = None

    def is_open(self, uuid: str, block_count: int) -> bool:
        """Return whether a card shows its code and result."""
        default = block_count <= OPEN_ALL_UP_TO or uuid == self.selected
        return self.opened.get(uuid, default)

    def has_card(self, uuid: str) -> bool:
        """Return whether the block's card is on the page; a long pipeline shows some of its cards at a time."""
        return keys.head(uuid) in self.shown

    def next_rev(self) -> int:
        """Return a revision that no editor of any pipeline has seen.

        Two pipelines may have a block of one name, and
        what was typed into the one must not be taken for the other's.
        """
        return next(_REVISIONS)

    def forget(self, uuid: str) -> None:
        """Drop what is remembered about a block that is gone."""
        for memory in (self.opened, self.drafts, self.pending, self.errors):
            memory.pop(uuid, None)
        self.selected = None if self.selected == uuid else self.selected
        self.child = None if self.child == uuid else self.child
