"""The code editor: CodeMirror 6 as a Streamlit component."""

from spellbook_core.ui.components.editor.component import Completion, Diagnostic, EditorResult, code_editor, collect
from spellbook_core.ui.components.editor.events import EditorEvent, EditorState, handle_editor_event

__all__ = [
    "Completion",
    "Diagnostic",
    "EditorEvent",
    "EditorResult",
    "EditorState",
    "code_editor",
    "collect",
    "handle_editor_event",
]
