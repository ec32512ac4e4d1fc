"""Our page around streamlit-agraph's front end relies on two things in its bundle, which a new release may change."""

from __future__ import annotations

import json
import re

from spellbook_core.ui.components.dag import component

BUNDLE = component._FRONT_END
PAGE = (component._PAGE / "index.html").read_text(encoding="utf-8")


def test_page_loads_the_files_of_the_installed_bundle() -> None:
    entrypoints = json.loads((BUNDLE / "asset-manifest.json").read_text(encoding="utf-8"))["entrypoints"]
    folder = f"../{component.__name__}.spellbook_agraph/"
    loaded = re.findall(r'(?:src|href)="([^"]+)"', PAGE)
    assert sorted(loaded) == sorted(folder + name for name in entrypoints)
    scripts = [name for name in entrypoints if name.endswith(".js")]
    assert [name.removeprefix(folder) for name in loaded if name.endswith(".js")] == scripts, "in their order"


def test_bundle_hands_the_network_to_whoever_takes_the_place_of_its_empty_function() -> None:
    number = re.search(r"REACT = (\d+);", PAGE)
    assert number is not None
    (main,) = (BUNDLE / "static" / "js").glob("main.*.chunk.js")
    code = main.read_text(encoding="utf-8")
    assert f"r=n({number.group(1)}),a=n.n(r)" in code  # React
    assert re.search(r"a\.a\.createElement\(\w+\.a,\{graph:\w+,options:\w+,events:\w+,getNetwork:function", code)
    assert '"webpackJsonpstreamlit-agraph"' in code
    assert code.rstrip().split("\n")[0].endswith("[[31,1,2]]]);")  # it waits for the same two chunks as our addition


def test_page_takes_nothing_from_elsewhere() -> None:
    assert "http" not in PAGE
