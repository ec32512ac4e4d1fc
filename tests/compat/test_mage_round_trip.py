"""Any file that mage could have written survives reading and writing, and an edit changes what was edited only."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from spellbook_core.model.pipeline import remove_block, toggle_parent
from spellbook_core.project.metadata import parse_pipeline, render_pipeline

PLACE = Path("pipelines/etl/metadata.yaml")
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Zl", "Zp", "Co", "Cn")), max_size=20)
LINES = st.one_of(
    WORDS,
    st.sampled_from(["no", "12:30", "010", "null", "~", "a: b", "- x", "line\nbreak", " pad ", "", "#", "타이타닉"]),
)
NAMES = st.from_regex(r"[a-z가-힣][a-z0-9_가-힣]{0,12}(/[a-z_]{1,6})?", fullmatch=True)
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.floats(-1e6, 1e6), LINES, st.dates())
NESTED = st.recursive(
    PLAIN, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)), max_leaves=6
)
OBJECTS = st.dictionaries(NAMES, NESTED, max_size=2)
TYPES = ["data_loader", "transformer", "data_exporter", "custom", "sensor", "markdown", "scratchpad", "ai", "dbt"]
TYPES += ["global_data_product", "chart", "conditional", "callback", "extension"]
COLORS = [None, "blue", "grey", "pink", "purple", "teal", "yellow"]
EXECUTORS = ["local_python", "local_python_force", "pyspark", "k8s", "ecs", "gcp_cloud_run", "{{ env_var('X') }}"]
CONFIGURATION = st.fixed_dictionaries(
    {},
    optional={
        "file_source": st.one_of(st.just({"path": "data_loaders/x.py"}), OBJECTS),
        "file_path": st.one_of(st.none(), st.just("shop/data_loaders/x.py")),
        "data_provider": st.sampled_from(["postgres", "duckdb"]),
        "data_provider_profile": st.just("default"),
        "export_write_policy": st.sampled_from(["append", "replace"]),
        "use_raw_sql": st.booleans(),
        "disable_query_preprocessing": st.booleans(),
        "limit": st.one_of(st.integers(0, 1000), st.just("1000"), st.just("")),
        "limit_in_pipeline_run": st.booleans(),
        "dynamic": st.one_of(st.booleans(), st.just({"parent": True, "modes": [{"type": "stream"}]})),
        "reduce_output": st.one_of(st.booleans(), st.just("true")),
        "global_data_product": st.just({"uuid": "users", "project": None, "settings": {"load": {"partitions": 1}}}),
        "upstream_block_configuration": st.dictionaries(NAMES, st.just({"input_sets": [0]}), max_size=2),
        "variables": st.just({"upstream": {"load": {"input": ["output_0"]}}}),
        "dbt": OBJECTS,
        "dbt_project_name": LINES,
        "chart_type": st.sampled_from(["table", "bar chart", "histogram", "time series bar chart", "line chart"]),
        "group_by": st.lists(LINES, max_size=2),
        "metrics": st.lists(st.just({"aggregation": "sum", "column": "no"}), max_size=2),
        "templates": st.dictionaries(NAMES, NESTED, max_size=2),
        "own_key": NESTED,
    },
)


@st.composite
def blocks(draw, count):
    names = draw(st.lists(NAMES, unique=True, max_size=count))
    made = []
    for index, uuid in enumerate(names):
        parents = draw(st.lists(st.sampled_from(names[:index]), unique=True, max_size=2)) if index else []
        entry = {
            "all_upstream_blocks_executed": draw(st.booleans()),
            "downstream_blocks": [],
            "name": draw(LINES.filter(bool)),
            "status": draw(st.sampled_from(["executed", "failed", "not_executed", "updated"])),
            "type": draw(st.sampled_from(TYPES)),
            "upstream_blocks": parents,
            "uuid": uuid,
        }
        more = {
            "color": st.sampled_from(COLORS),
            "configuration": st.one_of(st.none(), CONFIGURATION),
            "executor_config": st.one_of(st.none(), OBJECTS),
            "executor_type": st.sampled_from(EXECUTORS),
            "groups": st.lists(LINES, max_size=2),
            "has_callback": st.sampled_from([None, True, False]),
            "language": st.sampled_from(["python", "sql", "yaml", "markdown", "r"]),
            "outputs": st.lists(st.just({"variable_uuid": "output_0", "text_data": "[1]"}), max_size=1),
            "replicated_block": st.one_of(st.none(), NAMES),
            "retry_config": st.sampled_from([None, {}, {"retries": 3, "delay": 5, "exponential_backoff": True}]),
            "timeout": st.sampled_from([None, 60, "180"]),
            "zz_unknown": NESTED,
        }
        entry |= draw(st.fixed_dictionaries({}, optional=more))
        made.append({key: entry[key] for key in draw(st.permutations(list(entry)))})
    for entry in made:
        entry["downstream_blocks"] = [each["uuid"] for each in made if entry["uuid"] in each["upstream_blocks"]]
    return made


FILES = st.fixed_dictionaries(
    {
        "name": LINES.filter(bool),
        "type": st.sampled_from(["python", "streaming", "integration", "pyspark", "databricks", "execution_framework"]),
    },
    optional={
        "blocks": blocks(5),
        "uuid": st.just("etl"),
        "cache_block_output_in_memory": st.booleans(),
        "callbacks": blocks(2),
        "concurrency_config": st.one_of(
            OBJECTS, st.just({"block_run_limit": 1, "on_pipeline_run_limit_reached": "wait"})
        ),
        "conditionals": blocks(2),
        "created_at": st.just("2023-10-18 06:33:45.480231+00:00"),
        "created_by": st.one_of(st.integers(1, 9), LINES),
        "data_integration": st.none(),
        "description": st.one_of(st.none(), LINES),
        "execution_framework": st.sampled_from(["standard", "rag"]),
        "executor_config": OBJECTS,
        "executor_count": st.integers(1, 3),
        "executor_type": st.sampled_from([None, "local_python", "gcp_cloud_run"]),
        "extensions": st.dictionaries(st.just("great_expectations"), st.fixed_dictionaries({"blocks": blocks(2)})),
        "notification_config": OBJECTS,
        "overrides": OBJECTS,
        "remote_variables_dir": st.one_of(st.none(), LINES),
        "retry_config": st.sampled_from([{}, {"retries": 2, "delay": 1, "max_delay": 60}]),
        "run_pipeline_in_one_process": st.booleans(),
        "settings": st.sampled_from([{"triggers": None}, {"triggers": {"save_in_code_automatically": True}}]),
        "spark_config": OBJECTS,
        "state_store_config": OBJECTS,
        "tags": st.lists(LINES, max_size=3),
        "updated_at": st.just("2023-10-18 06:33:45"),
        "variables": st.dictionaries(NAMES, NESTED, max_size=4),
        "variables_dir": st.just("/home/somebody/.mage_data/shop"),
        "widgets": blocks(2),
        "zz_unknown": NESTED,
    },
)


def dumped(document, *, shares=False, **options) -> str:
    """Return the document as `safe_dump` writes it; with `shares` also the aliases of what occurs twice."""

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    return yaml.dump(document, Dumper=yaml.SafeDumper if shares else Plain, **options)


@settings(max_examples=60, deadline=None)
@given(FILES, st.booleans(), st.booleans(), st.booleans())
def test_generated_files_keep_their_bytes_and_edits_their_place(document, shares, is_raw, is_sorted):
    text = dumped(document, shares=shares, allow_unicode=is_raw, sort_keys=is_sorted)
    file = parse_pipeline(text.encode("utf-8"), PLACE)
    assert render_pipeline(file.document, file.pipeline, text=file.text, old=file.pipeline) == text

    edited = replace(file.pipeline, variables={**file.pipeline.variables, "new_one": 1})
    after = yaml.safe_load(render_pipeline(file.document, edited, text=file.text, old=file.pipeline))
    expected = yaml.safe_load(text)
    expected["variables"] = {**(expected.get("variables") or {}), "new_one": 1}
    assert after == expected

    again = parse_pipeline(
        render_pipeline(file.document, edited, text=file.text, old=file.pipeline).encode("utf-8"), PLACE
    )
    back = render_pipeline(
        again.document, replace(again.pipeline, variables=file.pipeline.variables), text=again.text, old=again.pipeline
    )
    if "variables" in document:
        assert back == text


EDITS = {
    "name": "엉뚱한 이름: #1",
    "description": "two\nlines",
    "tags": ["new", "no"],
    "variables": {"rows": 10, "nested": {"a": [1, None]}},
    "retry_config": {"retries": 7},
    "concurrency_config": {"block_run_limit": 2},
}
BLOCK_EDITS = {
    "name": ("name", "010"),
    "color": ("color", "yellow"),
    "timeout_s": ("timeout", 90),
    "retry_config": ("retry_config", {"retries": 7}),
    "configuration": ("configuration", {"limit": 3, "own": {"k": ["a: b"]}}),
}


@settings(max_examples=60, deadline=None)
@given(FILES, st.booleans(), st.sampled_from(list(EDITS)), st.sampled_from(list(BLOCK_EDITS)), st.data())
def test_every_edit_changes_its_own_lines_only(document, is_raw, key, field, data):
    """Lines that went away belonged to the old values, lines that came to the new ones; all others stay."""
    text = dumped(document, allow_unicode=is_raw, sort_keys=False)
    file = parse_pipeline(text.encode("utf-8"), PLACE)
    expected = yaml.safe_load(text)
    old, new = {key: expected.get(key)}, {key: EDITS[key]}
    edited = replace(file.pipeline, **{key: tuple(EDITS[key]) if key == "tags" else EDITS[key]})
    expected[key] = EDITS[key]
    if edited.blocks:
        at = data.draw(st.integers(0, len(edited.blocks) - 1))
        in_file, value = BLOCK_EDITS[field]
        blocks_now = list(edited.blocks)
        blocks_now[at] = replace(blocks_now[at], **{field: value})
        edited = replace(edited, blocks=tuple(blocks_now))
        old["block"] = [{in_file: expected["blocks"][at].get(in_file)}]
        new["block"] = [{in_file: value}]
        expected["blocks"][at][in_file] = value
    after = render_pipeline(file.document, edited, text=file.text, old=file.pipeline)
    assert yaml.safe_load(after) == expected
    gone, came = bare(text), bare(after)
    assert set(gone - came) <= written(old)
    assert set(came - gone) <= written(new)


def written(value) -> set[str]:
    return {line for is_raw in (True, False) for line in bare(dumped(value, allow_unicode=is_raw, sort_keys=False))}


def bare(text) -> Counter[str]:
    """Return the lines without their place: how far they are indented, and the dash of the entry that they begin."""
    return Counter(line.strip().removeprefix("- ") for line in text.splitlines())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(FILES, st.booleans(), st.booleans(), st.data())
def test_links_and_removals_touch_only_the_blocks_they_name(document, shares, is_raw, data):
    """Entries of other blocks, and every key of the edited ones but the links, stay as they are, unknown ones too."""
    file = parse_pipeline(dumped(document, shares=shares, allow_unicode=is_raw).encode("utf-8"), PLACE)
    names = [block.uuid for block in file.pipeline.blocks]
    assume(len(names) > 1)
    place = data.draw(st.integers(1, len(names) - 1))
    parent, child = names[0], names[place]
    linked = toggle_parent(file.pipeline, child, parent)
    after = yaml.safe_load(render_pipeline(file.document, linked, text=file.text, old=file.pipeline))
    assert {key: value for key, value in after.items() if key != "blocks"} == {
        key: value for key, value in document.items() if key != "blocks"
    }
    links = {"upstream_blocks", "downstream_blocks"}
    for old, new in zip(document["blocks"], after["blocks"], strict=True):
        assert list(new) == list(yaml.safe_load(dumped(old)))
        assert {k: v for k, v in new.items() if k not in links} == {k: v for k, v in old.items() if k not in links}
        if new["uuid"] not in {parent, child}:
            assert new == old

    gone = data.draw(st.sampled_from(names))
    removed = remove_block(file.pipeline, gone)
    left = yaml.safe_load(render_pipeline(file.document, removed, text=file.text, old=file.pipeline))["blocks"]
    kept = [entry for entry in document["blocks"] if entry["uuid"] != gone]
    for old, new in zip(kept, left, strict=True):
        assert {k: v for k, v in new.items() if k not in links} == {k: v for k, v in old.items() if k not in links}
        assert all(gone not in new[key] for key in links)
