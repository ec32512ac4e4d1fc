"""A text that a person wrote keeps comments, quotes and layout; an edit changes its own lines only."""

from __future__ import annotations

import difflib

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from spellbook_core.project import yaml_files

TEXT = """\
# The shop's own pipeline
blocks:
  # reads the orders
  - uuid: "load"   # quoted
    name: 'load'
    type: data_loader
    upstream_blocks: []
    downstream_blocks: ["clean"]

  # cleans them
  - uuid: clean
    name: >-
      a folded
      name
    type: transformer
    upstream_blocks:
      - load  # the first
    downstream_blocks: []
    configuration: {limit: 10, own: [1, 2]}
name: shop
type: python
uuid: etl
variables:
  rows: 10   # enough
  # when it was
  day: 2024-01-01
  text: |
    one

    two

# the end
"""


def changed(before: str, change) -> tuple[str, list[str]]:
    document = yaml.safe_load(before)
    edited = yaml.safe_load(before)
    change(edited)
    after = yaml_files.write(edited, like=(document, before))
    assert yaml.safe_load(after) == edited
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return after, [line for line in lines if line[0] in "+-"]


@pytest.mark.parametrize(
    ("change", "lines"),
    [
        (lambda d: d["variables"].update(rows=20), ["-   rows: 10   # enough", "+   rows: 20   # enough"]),
        (lambda d: d["variables"].update(more=[1, "a: b"]), ["+   more:", "+   - 1", "+   - 'a: b'"]),
        (lambda d: d["variables"].pop("day"), ["-   day: 2024-01-01"]),
        (lambda d: d["variables"].update(text="x"), ["-   text: |", "+   text: x", "-     one", "- ", "-     two"]),
        (lambda d: d.update(tags=["a"]), ["+ tags:", "+ - a"]),
        (
            lambda d: d["blocks"][1]["upstream_blocks"].append("b"),
            ["+       - b"],
        ),
        (
            lambda d: d["blocks"][0].update(downstream_blocks=[]),
            ['-     downstream_blocks: ["clean"]', "+     downstream_blocks: []"],
        ),
        (
            lambda d: d["blocks"][1]["configuration"].update(limit=11),
            [
                "-     configuration: {limit: 10, own: [1, 2]}",
                *("+     configuration:", "+       limit: 11", "+       own:", "+       - 1", "+       - 2"),
            ],
        ),
        (
            lambda d: d["blocks"][0].update(uuid="read"),
            ['-   - uuid: "load"   # quoted', "+   - uuid: read   # quoted"],
        ),
        (lambda d: d["blocks"].append({"uuid": "new"}), ["+   - uuid: new"]),
        (lambda d: d.pop("variables"), [f"- {line}" for line in TEXT.splitlines()[22:30]]),
    ],
)  # fmt: skip
def test_edit_changes_its_own_lines(change, lines):
    assert changed(TEXT, change)[1] == lines
    windows = TEXT.replace("\n", "\r\n")
    after, _ = changed(windows, change)
    assert after.count("\n") == after.count("\r\n")


def test_moved_and_removed_items_take_their_comments_along():
    after, _ = changed(TEXT, lambda d: d["blocks"].reverse())
    assert after.index("# cleans them") < after.index("- uuid: clean") < after.index('- uuid: "load"   # quoted')
    after, lines = changed(TEXT, lambda d: d["blocks"].pop(0))
    assert all(line.startswith("- ") for line in lines)
    assert "# cleans them" in after


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.floats(allow_nan=True), st.text(max_size=8))
KEYS = st.from_regex(r"[a-z]{1,4}", fullmatch=True)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)


class Commented(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True

    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)  # lists are indented


@pytest.mark.thorough
@settings(max_examples=150, deadline=None)
@given(DOCUMENTS, DOCUMENTS, st.sampled_from([None, "'", '"', "|"]), st.booleans(), st.data())
def test_any_text_with_comments_takes_any_edit(before, more, style, is_flow, data):
    """Whatever is edited, the result is read as what was wanted, and comments on lines that stay are still there."""
    flow = None if is_flow else False
    text = "# head\n" + yaml.dump(
        before, Dumper=Commented, default_style=style, default_flow_style=flow, sort_keys=False
    )
    document, text, _ = yaml_files.read(text.encode(), yaml_files.Path("x.yaml"))
    removed = data.draw(st.sets(st.sampled_from(list(document))))
    edited = {key: value for key, value in {**document, **more}.items() if key not in removed - set(more)}
    after = yaml_files.write(edited, like=(document, text))
    again, _, _ = yaml_files.read(after.encode(), yaml_files.Path("x.yaml"))
    assert yaml_files.is_same(again, edited)
    assert is_flow or not edited or after.startswith("# head\n")


SHARED = """\
# the shop
base: &base {limit: 10}   # of all
first: &list
- a  # why
- &inner {b: 1}
second: *list
third: [*base, *inner, 'x']
"""


@pytest.mark.parametrize(
    ("change", "gone", "come"),
    [
        (lambda d: d.update(name="x"), 0, ["+ name: x"]),
        (
            lambda d: d["second"].append("c"),
            5,
            [
                *("+ base: {limit: 10}   # of all", "+ first:", "+ - {b: 1}"),
                *("+ second:", "+ - a", "+ - b: 1", "+ - c", "+ third: [{limit: 10}, {b: 1}, 'x']"),
            ],
        ),
    ],
)
def test_edit_beside_aliases_keeps_the_comments(change, gone, come):
    """What points elsewhere is left alone where it can be, and else written out; a tab stops only the fineness."""
    document = yaml.safe_load(SHARED)
    edited = yaml.safe_load(yaml.safe_dump(document, sort_keys=False))
    edited["second"] = list(edited["second"])
    change(edited)
    after = yaml_files.write(edited, like=(document, SHARED))
    assert yaml.safe_load(after) == edited
    lines = list(difflib.ndiff(SHARED.splitlines(), after.splitlines()))
    assert sum(line[0] == "-" for line in lines) == gone
    assert sorted(line for line in lines if line[0] == "+") == sorted(come)
    tabbed = yaml_files.write(edited, like=(document, SHARED.replace("base: &", "base:\t&")))
    assert yaml_files.read(tabbed.encode(), yaml_files.Path("x.yaml"))[0] == edited
