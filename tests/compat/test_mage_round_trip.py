"""Any file that mage could have written survives reading and writing, and an edit changes what was edited only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml
from hypothesis import given, settings
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
CONFIGURATION = st.fixed_dictionaries(
    {},
    optional={
        "file_source": st.just({"path": "data_loaders/x.py"}),
        "file_path": st.one_of(st.none(), st.just("shop/data_loaders/x.py")),
        "data_provider": st.sampled_from(["postgres", "duckdb"]),
        "data_provider_profile": st.just("default"),
        "export_write_policy": st.sampled_from(["append", "replace"]),
        "use_raw_sql": st.booleans(),
        "limit": st.one_of(st.integers(0, 1000), st.just("1000"), st.just("")),
        "dynamic": st.one_of(st.booleans(), st.just({"parent": True})),
        "reduce_output": st.one_of(st.booleans(), st.just("true")),
        "upstream_block_configuration": st.just({}),
        "dbt": st.just({}),
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
            "type": draw(st.sampled_from(["data_loader", "transformer", "custom", "markdown", "dbt", "ai", "sensor"])),
            "upstream_blocks": parents,
            "uuid": uuid,
        }
        more = {
            "color": st.sampled_from([None, "teal", "pink"]),
            "configuration": st.one_of(st.none(), CONFIGURATION),
            "executor_config": st.sampled_from([None, {}]),
            "executor_type": st.sampled_from(["local_python", "local_python_force", "k8s", "ecs", "pyspark"]),
            "groups": st.just(["a"]),
            "has_callback": st.sampled_from([None, True, False]),
            "language": st.sampled_from(["python", "sql", "yaml", "markdown", "r"]),
            "outputs": st.just([]),
            "replicated_block": st.one_of(st.none(), NAMES),
            "retry_config": st.sampled_from([None, {}, {"retries": 3, "delay": 5, "exponential_backoff": True}]),
            "timeout": st.sampled_from([None, 60, "180"]),
            "zz_unknown": NESTED,
        }
        made.append(entry | draw(st.fixed_dictionaries({}, optional=more)))
    for entry in made:
        entry["downstream_blocks"] = [each["uuid"] for each in made if entry["uuid"] in each["upstream_blocks"]]
    return made


FILES = st.fixed_dictionaries(
    {"blocks": blocks(5), "name": LINES.filter(bool), "type": st.sampled_from(["python", "streaming", "integration"])},
    optional={
        "uuid": st.just("etl"),
        "cache_block_output_in_memory": st.booleans(),
        "callbacks": blocks(2),
        "concurrency_config": st.just({"block_run_limit": 1, "on_pipeline_run_limit_reached": "wait"}),
        "conditionals": blocks(2),
        "created_at": st.just("2023-10-18 06:33:45.480231+00:00"),
        "created_by": st.one_of(st.integers(1, 9), LINES),
        "data_integration": st.none(),
        "description": st.one_of(st.none(), LINES),
        "execution_framework": st.sampled_from(["standard", "rag"]),
        "executor_config": st.just({}),
        "executor_count": st.just(1),
        "executor_type": st.sampled_from([None, "local_python", "gcp_cloud_run"]),
        "extensions": st.just({"great_expectations": {"blocks": []}}),
        "notification_config": st.just({}),
        "overrides": st.just({}),
        "remote_variables_dir": st.one_of(st.none(), LINES),
        "retry_config": st.just({}),
        "run_pipeline_in_one_process": st.booleans(),
        "settings": st.just({"triggers": None}),
        "spark_config": st.just({}),
        "state_store_config": st.just({}),
        "tags": st.lists(LINES, max_size=3),
        "updated_at": st.just("2023-10-18 06:33:45"),
        "variables": st.dictionaries(NAMES, NESTED, max_size=4),
        "variables_dir": st.just("/home/somebody/.mage_data/shop"),
        "widgets": blocks(2),
        "zz_unknown": NESTED,
    },
)


def dumped(document, **options) -> str:
    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data):
            return True

    return yaml.dump(document, Dumper=Plain, **options)


@settings(max_examples=60, deadline=None)
@given(FILES, st.booleans(), st.booleans())
def test_generated_files_keep_their_bytes_and_edits_their_place(document, is_raw, is_sorted):
    text = dumped(document, allow_unicode=is_raw, sort_keys=is_sorted)
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


@settings(max_examples=40, deadline=None)
@given(FILES, st.booleans(), st.data())
def test_links_and_removals_touch_only_the_blocks_they_name(document, is_raw, data):
    """Entries of other blocks, and every key of the edited ones but the links, stay as they are, unknown ones too."""
    file = parse_pipeline(dumped(document, allow_unicode=is_raw).encode("utf-8"), PLACE)
    names = [block.uuid for block in file.pipeline.blocks]
    if len(names) < 2:
        return
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
