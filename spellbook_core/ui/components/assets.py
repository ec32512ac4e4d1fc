"""Where Streamlit finds the built front ends of our components: one manifest, however the package was installed.

Streamlit reads `spellbook_core/pyproject.toml` from installed wheels. It cannot find it in an editable install, because
the distribution (`spellbook`) and the package (`spellbook_core`) have different names and an editable install lists no
package files. So the manifest is handed to Streamlit here when it has not been found, which keeps one way of delivery
(a file that the browser caches: 10 editors cost 200 KB; the same code inline costs 5 MB on every page load).
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamlit.components.v2 import component, get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

from spellbook_core.errors import SpellbookError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streamlit.components.v2.bidi_component import ComponentResult
    from streamlit.components.v2.types import ComponentRenderer

PACKAGE_ROOT = Path(__file__).resolve().parents[2]


class ComponentNotBuiltError(SpellbookError, FileNotFoundError):
    """The built front end of a component is missing, or there are several."""

    code = "SB-UI-090"


def renderer(name: str) -> Callable[..., ComponentResult]:
    """Return the function that mounts the component `name` of our manifest in the running Streamlit server.

    Cheap enough for every mount: the manifest is read once per process, and handed over once per Streamlit runtime.
    What is mounted as `data` reaches the front end as the one entry of a list. Among a dict's values Streamlit 1.67
    looks for tables, for which it imports pandas and pyarrow: 60 MB, and half a second before the first page is drawn.

    Raises:
        ComponentNotBuiltError: There is not exactly one built file for it. [SB-UI-090]
    """
    manager = get_bidi_component_manager()
    if manager.get_component_asset_root(f"spellbook.{name}") is None:
        manager.register_from_manifest(_manifest(), PACKAGE_ROOT)
    mount = _declared(name)

    def mount_listed(*, data: Mapping[str, object], **options: Any) -> ComponentResult:
        return mount(data=[data], **options)

    return mount_listed


@cache
def _declared(name: str) -> ComponentRenderer:
    folder = next(PACKAGE_ROOT / str(entry.asset_dir) for entry in _manifest().components if entry.name == name)
    built = sorted(path.name for path in folder.glob(f"{name}-*.js"))
    if len(built) != 1:
        raise ComponentNotBuiltError(
            f"The {name} component needs exactly one {name}-*.js in {folder}, found {len(built)}.",
            hint="Install the package again, or in a source tree run: npm ci && npm run build "
            "in spellbook_core/ui/components/frontend",
            component=name,
        )
    return component(f"spellbook.{name}", js=f"{name}-*.js")


@cache
def _manifest() -> ComponentManifest:
    document = tomllib.loads((PACKAGE_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    entries = document["tool"]["streamlit"]["component"]["components"]
    project = document["project"]
    return ComponentManifest(
        name=project["name"],
        version=project["version"],
        components=[ComponentConfig(name=entry["name"], asset_dir=entry["asset_dir"]) for entry in entries],
    )
