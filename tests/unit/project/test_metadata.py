"""Pipeline files: strict reading with a place for each complaint, and writing that re-reads as it was meant."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spellbook_core.errors import ChangedOnDiskError, SpellbookError
from spellbook_core.model import pipeline as edits
from spellbook_core.model.block import Block
from spellbook_core.model.pipeline import Pipeline
from spellbook_core.project.metadata import load_pipeline, parse_pipeline, render_pipeline, save_pipeline
from spellbook_core.project.yaml_files import BadYamlError

PATH = Path("pipelines/p/metadata.yaml")
TRICKY = [
    "no",
    "12:30",
    "010",
    "1_000",
    "null",
    "2024-01-01",
    "~",
    "0x1F",
    "한글",
    "😀",
    " a",
    "a: b",
    "- x",
    "#",
    "1e3",
    "",
]


def parse(text: str):
    return parse_pipeline(text.encode("utf-8"), PATH)


def complaint(data: bytes) -> str | None:
    """Return the message of a clean refusal; any other exception passes through and fails the test."""
    try:
        parse_pipeline(data, PATH)
    except BadYamlError as error:
        return error.message
    return None


def small() -> str:
    blocks = (Block("a", "a", "data_loader"), Block("b", "둘", "custom", upstream_blocks=("a",)))
    return render_pipeline({}, Pipeline("p", "no", tags=("x",), blocks=blocks, variables={"n": 1}))


@pytest.mark.guarantee("F18")
@pytest.mark.guarantee("F20")
@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("uuid: no\nname: x\ntype: python\n", "1:7", "'uuid' is read as yes/no"),
        ("name: 12:30\n", "1:7", "'name' is read as a number"),
        ("blocks:\n- uuid: 010\n  type: custom\n", "2:9", "'uuid' is read as a number"),
        ("blocks:\n- uuid: a\n  type: custom\n  upstream_blocks:\n  - on\n", "5:5", "parent's name is read as yes/no"),
        ("a: 1\nb: 2\na: 3\n", "3:1", "the key 'a' is there twice"),
        ("no: 1\n", "1:1", "the key 'no' is no text"),
        ("a: &x [1, *x]\n", "1:4", "an alias"),
        ("a: &x {b: {c: *x}}\n", "1:4", "an alias"),
        ("? &x a\n: 1\nb: {*x : 1, a: 2}\n", "3:13", "the key 'a' is there twice"),
        ("a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> other\n", "2:1", "merge conflict"),
        ("a: [1\n", "2:1", "this is no YAML"),
        ("", "1:1", "the file is empty"),
        ("- 1\n", "1:1", "the file holds no keys"),
        ("blocks: 3\n", "1:9", "'blocks' is no list"),
        ("blocks:\n- 3\n", "2:3", "a block entry is no mapping"),
        ("blocks:\n- name: a\n", "2:3", "a block has no 'uuid'"),
        ("a: 2024-99-99\n", "1:1", "a value cannot be read"),
        ("variables: [1]\n", "1:12", "'variables' is no mapping"),
    ],
)
def test_complaint_names_place_and_cause(text, place, what):
    with pytest.raises(BadYamlError, match=what) as caught:
        parse(text)
    assert f"p/metadata.yaml:{place}:" in caught.value.message
    assert caught.value.hint


@pytest.mark.guarantee("F18")
def test_file_cut_at_any_byte_is_no_crash():
    data = small().encode("utf-8")
    for length in range(len(data)):
        message = complaint(data[:length])
        assert message is None or "p/metadata.yaml:" in message


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    message = complaint(data)
    assert message is None or "p/metadata.yaml:" in message


names = st.sampled_from(TRICKY[:-1]) | st.text("abcdefgh가나_", min_size=1, max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from(TRICKY) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def pipelines(draw):
    uuids = [unicodedata.normalize("NFC", name) for name in draw(st.lists(names, max_size=6, unique=True))]
    blocks = []
    for index, uuid in enumerate(uuids):
        parents = draw(st.lists(st.sampled_from(uuids[:index]), unique=True)) if index else []
        settings_ = draw(st.dictionaries(names, values, max_size=2))
        timeout = draw(st.none() | st.integers(1, 1000).map(float) | st.just(0.5))
        color = draw(st.sampled_from([None, "teal"]))
        blocks.append(Block(uuid, draw(names), "custom", "python", tuple(parents), settings_, color, timeout_s=timeout))
    text = draw(st.sampled_from(TRICKY))
    return Pipeline(
        "p", draw(names), "python", text, ("a",), tuple(blocks), variables=draw(st.dictionaries(names, values))
    )


@pytest.mark.thorough
@pytest.mark.guarantee("F20")
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pipelines())
def test_written_pipeline_reads_back_equal(pipeline):
    file = parse(render_pipeline({}, pipeline))
    assert file.pipeline == pipeline
    assert file.warnings == ()


@pytest.mark.thorough
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pipelines(), st.data())
def test_edits_of_a_file_read_back_equal(pipeline, data):
    file = parse(render_pipeline({}, pipeline))
    edited = replace(file.pipeline, name=data.draw(names), description=data.draw(st.sampled_from(TRICKY)))
    for _ in range(data.draw(st.integers(0, 4))):
        uuids = [block.uuid for block in edited.blocks]
        action = data.draw(st.sampled_from(["add", "remove", "toggle", "move", "rename"]))
        try:
            if action == "add" or not uuids:
                edited = edits.add_block(edited, Block(data.draw(names), "n", "transformer"))
            elif action == "remove":
                edited = edits.remove_block(edited, data.draw(st.sampled_from(uuids)))
            elif action == "toggle":
                pair = st.sampled_from(uuids)
                edited = edits.toggle_parent(edited, data.draw(pair), data.draw(pair))
            elif action == "move":
                edited = edits.move_block(edited, data.draw(st.sampled_from(uuids)), data.draw(st.integers(-3, 3)))
            else:
                edited = edits.rename_block(edited, data.draw(st.sampled_from(uuids)), data.draw(names), "renamed")
        except SpellbookError:
            continue
    again = parse(render_pipeline(file.document, edited, text=file.text, old=file.pipeline))
    assert again.pipeline == edited
    assert again.warnings == ()


@pytest.mark.guarantee("F19")
def test_unknown_keys_stay_at_every_level():
    text = "zebra: 1\nblocks:\n- uuid: a\n  x_ray: [1]\n  configuration:\n    deep: {b: 1}\n  type: custom\nname: p\n"
    file = parse(text)
    edited = replace(file.pipeline, blocks=(replace(file.pipeline.blocks[0], color="teal"),))
    again = parse(render_pipeline(file.document, edited, text=file.text, old=file.pipeline))
    assert list(again.document) == ["zebra", "blocks", "name"]
    entry = again.document["blocks"][0]
    assert list(entry) == ["color", "uuid", "x_ray", "configuration", "type"]
    assert (entry["x_ray"], entry["configuration"]) == ([1], {"deep": {"b": 1}})


def test_contradicting_links_warn_naming_both():
    text = (
        "blocks:\n- uuid: a\n  type: custom\n  downstream_blocks: [b]\n- uuid: b\n  type: custom\n"
        "- uuid: c\n  type: custom\n  upstream_blocks: [a]\n"
    )
    warnings = " ".join(parse(text).warnings)
    assert "'a' lists 'b' as downstream" in warnings
    assert "'c' lists 'a' as upstream" in warnings


def test_decomposed_names_are_the_same_block():
    nfd = unicodedata.normalize("NFD", "한글")
    file = parse(
        f"blocks:\n- uuid: {nfd}\n  type: custom\n- uuid: b\n  type: custom\n  upstream_blocks: [한글]\nname: p\n"
    )
    assert file.pipeline.parents() == {"한글": (), "b": ("한글",)}


@pytest.mark.guarantee("F14")
def test_save_refuses_a_changed_file(tmp_path):
    path = tmp_path / "p" / "metadata.yaml"
    path.parent.mkdir()
    path.write_text(small(), encoding="utf-8")
    mine, theirs = load_pipeline(path), load_pipeline(path)
    saved = save_pipeline(theirs, replace(theirs.pipeline, name="theirs"), expected_hash=theirs.content_hash)
    with pytest.raises(ChangedOnDiskError, match="nothing was written"):
        save_pipeline(mine, replace(mine.pipeline, name="mine"), expected_hash=mine.content_hash)
    with pytest.raises(ChangedOnDiskError, match="nothing was written"):
        save_pipeline(mine, mine.pipeline, expected_hash=mine.content_hash)
    assert load_pipeline(path) == saved


def test_save_writes_no_machine_paths_or_times(tmp_path):
    text = render_pipeline({}, Pipeline("p", "p", blocks=(Block("a", "a", "custom"),)))
    assert not {"created_at", "variables_dir", "updated_at"} & set(parse(text).document)


def test_values_that_occur_twice_are_written_twice():
    from datetime import date

    day = date(2024, 1, 1)
    shared = {"k": [1]}
    pipeline = Pipeline("p", "p", variables={"a": day, "b": day, "c": shared, "d": shared})
    assert parse(render_pipeline({}, pipeline)).pipeline == pipeline


def test_contradicting_links_of_other_blocks_stay_as_they_are():
    """Two lists of links that contradict each other are warned of; an edit of something else corrects neither."""
    text = (
        "blocks:\n- {downstream_blocks: [b, c], type: custom, upstream_blocks: [], uuid: a}\n"
        "- {downstream_blocks: [], type: custom, upstream_blocks: [a], uuid: b}\n"
        "- {downstream_blocks: [], type: custom, upstream_blocks: [], uuid: c}\n"
        "- {downstream_blocks: [], type: custom, upstream_blocks: [], uuid: d}\nname: p\n"
    )
    file = parse(text)
    assert file.warnings
    varied = render_pipeline(
        file.document, replace(file.pipeline, variables={"n": 1}), text=file.text, old=file.pipeline
    )
    assert yaml.safe_load(varied) == {**yaml.safe_load(text), "variables": {"n": 1}}
    blocks = tuple(
        replace(block, upstream_blocks=("b",)) if block.uuid == "d" else block for block in file.pipeline.blocks
    )
    linked = yaml.safe_load(
        render_pipeline(file.document, replace(file.pipeline, blocks=blocks), text=file.text, old=file.pipeline)
    )
    assert [entry["downstream_blocks"] for entry in linked["blocks"]] == [["b", "c"], ["d"], [], []]


def test_settings_that_are_no_mapping_are_warned_of():
    text = (
        "blocks:\n- {configuration: [1], retry_config: '3', timeout: 2m, type: custom, uuid: a}\n"
        "- {configuration: null, retry_config: '', timeout: '', type: custom, uuid: b}\nname: p\nretry_config: 3\n"
    )
    assert [warning.partition(",")[0] for warning in parse(text).warnings] == [
        "Block 'a' has 'configuration: [1]'",
        "Block 'a' has the timeout '2m'",
        "Block 'a' has 'retry_config: 3'",
        "The pipeline has 'retry_config: 3'",
    ]
