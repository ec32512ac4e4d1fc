"""Every status and block type has a look of its own word and icon, and the style sheet names keys that exist."""

import re
from pathlib import Path

from spellbook_core.model.block import BlockType
from spellbook_core.model.run import Status
from spellbook_core.ui import status, style

UI = Path(style.__file__).parent


def test_every_status_has_a_look():
    assert set(map(str, Status)) <= set(status.STATUSES)


def test_words_tell_statuses_apart_without_colour():
    looks = status.STATUSES.values()
    assert len({look.word for look in looks}) == len(status.STATUSES)
    assert len({(look.icon, look.color) for look in looks}) >= len(status.STATUSES) - 1


def test_unknown_words_are_shown_gray():
    assert status.status_look("time_travelled").word == "time travelled"
    assert status.type_look("hologram").word == "Hologram"
    assert status.type_look(BlockType.DATA_LOADER).color == "blue"


def test_icons_are_material_icons():
    for look in [*status.STATUSES.values(), *status.TYPES.values()]:
        assert re.fullmatch(r":material/[a-z_]+:", look.icon)


def test_style_sheet_names_keys_that_exist():
    css = (UI / "style.css").read_text()
    source = "\n".join(path.read_text() for path in UI.rglob("*.py"))
    keys = set(re.findall(r"st-key-([a-z_]+)", css))
    assert keys
    for key in keys:
        assert re.search(rf'key=f?"{key}', source), key


def test_style_sheet_survives_the_sanitiser():
    """Streamlit's sanitiser drops a whole style element whose text looks as if it held markup."""
    assert "<" not in (UI / "style.css").read_text()
