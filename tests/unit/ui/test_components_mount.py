"""Components mount in Streamlit's own test runner, where no server runs."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest


def script() -> None:
    from spellbook_core.ui.components.dag import DagNode, dag
    from spellbook_core.ui.components.editor import code_editor
    from spellbook_core.ui.components.live import live

    code_editor("x = 1", key="code", rev=1)
    dag([DagNode("a", "a", "custom")], {}, key="graph")
    live(key="events", query={"project": "titanic"})


@pytest.mark.thorough
def test_components_mount_without_a_server() -> None:
    for _ in range(2):
        app = AppTest.from_function(script).run()
        assert [error.value for error in app.exception] == []
        protos = [element.proto for element in app.get("bidi_component")]
        assert [proto.component_name for proto in protos] == ["spellbook.editor", "spellbook.live"]
        assert [proto.js_content for proto in protos] == ["", ""]
        [editor], [live] = (json.loads(proto.json) for proto in protos)
        assert (editor["doc"], editor["rev"]) == ("x = 1", 1)
        assert live["path"] == "/api/events"
