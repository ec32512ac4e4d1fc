"""The graph of a pipeline."""

from spellbook_core.ui.components.dag.component import dag
from spellbook_core.ui.components.dag.nodes import DagNode

__all__ = ["DagNode", "dag"]
