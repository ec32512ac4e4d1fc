"""What makes a fingerprint differ, and how the difference is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spellbook_core.engine import fingerprint
from spellbook_core.engine.dependence import compute_parts
from spellbook_core.engine.fingerprint import Parts, completed_environment, content_id, reasons, value_digest
from spellbook_core.engine.policy import BadCacheSettingError, policy_of
from spellbook_core.engine.reuse import ago
from spellbook_core.model.output import ArtifactRef
from spellbook_core.project.closure import Closure
from spellbook_core.project.sourcefacts import facts_of

OUTPUT, OTHER = ArtifactRef("a" * 32, "arrow"), ArtifactRef("b" * 32, "arrow")
SOURCE = "@transformer\ndef f(data, *args, **kwargs):\n    return data * kwargs['rate']\n"
EVERYTHING = "@transformer\ndef f(data, *args, **kwargs):\n    return g(data, **kwargs)\n"
MODULE = facts_of("EPOCHS = 3\nRATE = 1\n")
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def parts(**changes) -> Parts:
    given = {
        "block_type": "transformer",
        "language": "python",
        "source": SOURCE,
        "modules": {"utils/variables.py": MODULE},
        "parents": [("load", content_id([OUTPUT]))],
        "variables": {"rate": 2, "epochs": 3},
        "configuration": {},
        "environment": {"Python": "3.11.7", "pandas": "3.1.1"},
        "moments": {"execution_date": "2026", "pipeline_run_id": "7", "env": "prod"},
    } | changes
    facts = facts_of(given.pop("source"))
    closure = Closure(given.pop("modules"), frozenset())
    digests = {name: value_digest(value) for name, value in given.pop("variables").items()}
    return compute_parts(facts=facts, closure=closure, variables=digests, **given)


MEANINGS = {}


def meaning(digest: str):
    return MEANINGS.get(digest, {})


def know(modules) -> None:
    MEANINGS[Closure(modules, frozenset()).digest] = {path: facts.digest for path, facts in modules.items()}
    MEANINGS.update({facts.digest: facts.names for facts in modules.values()})


EDITED = {"utils/variables.py": facts_of("EPOCHS = 4\nRATE = 1\n")}
know({"utils/variables.py": MODULE})
know(EDITED)

CHANGES = [
    ({"source": SOURCE.replace("*", "+", 1)}, None),
    ({"source": SOURCE.replace("data * ", "data + ")}, ("its code changed",)),
    ({"modules": EDITED}, ("utils/variables.py changed: EPOCHS",)),
    ({"modules": {}}, ("utils/variables.py is no longer imported",)),
    ({"parents": [("load", content_id([OTHER]))]}, ("load changed",)),
    ({"parents": [("load", content_id([OUTPUT, OUTPUT]))]}, ("load changed",)),
    ({"parents": [("load", content_id([]))]}, ("load changed",)),
    ({"parents": [("other", content_id([OUTPUT]))]}, ("its parents changed",)),
    ({"parents": []}, ("its parents changed",)),
    ({"variables": {"rate": 3, "epochs": 3}}, ("variable rate changed",)),
    ({"variables": {"rate": 2.0, "epochs": 3}}, ("variable rate changed",)),
    ({"variables": {"epochs": 3}}, ("variable rate changed",)),
    ({"configuration": {"limit": 3}}, ("its configuration changed",)),
    ({"environment": {"Python": "3.11.7", "pandas": "3.2.0"}}, ("environment changed: pandas 3.1.1 → 3.2.0",)),
    ({"environment": {"Python": "3.11.7"}}, ("environment changed: pandas 3.1.1 → not there",)),
    ({"block_type": "custom"}, ("its type changed",)),
    (
        {"source": SOURCE.replace("data * ", "data + "), "parents": [("load", content_id([OTHER]))]},
        ("its code changed", "load changed"),
    ),
]


@pytest.mark.parametrize(("change", "told"), CHANGES)
def test_what_counts_changes_the_fingerprint(change, told):
    assert parts(**change).digest != parts().digest
    if told is not None:
        assert reasons(parts(), parts(**change), meaning) == told


@pytest.mark.parametrize(
    "change",
    [
        {"source": SOURCE + "# a comment\n"},
        {"variables": {"rate": 2, "epochs": 4}},
        {"variables": {"epochs": 3, "rate": 2}},
        {"configuration": {"cache": "1h", "file_source": {"path": "transformers/f.py"}}},
        {"moments": {"execution_date": "2027", "pipeline_run_id": "8", "env": "dev"}},
    ],
)
def test_what_does_not_count_leaves_it(change):
    assert parts(**change).digest == parts().digest
    assert reasons(parts(), parts(**change), meaning) == ()


def test_block_that_hands_its_keywords_on_sees_every_variable():
    before = parts(source=EVERYTHING)
    assert set(before.variables) == {"rate", "epochs"}
    assert parts(source=EVERYTHING, variables={"rate": 2, "epochs": 4}).digest != before.digest


@pytest.mark.parametrize(
    ("source", "moment"),
    [
        (SOURCE.replace("'rate'", "'execution_date'"), {"execution_date": "2026"}),
        (EVERYTHING, {}),
        (EVERYTHING + "x = 'env'", {"env": "prod"}),
        ("from spellbook_core import current_run\nid = current_run().run_id\n" + SOURCE, {"pipeline_run_id": "7"}),
    ],
)
def test_facts_of_the_run_count_where_they_are_looked_at(source, moment):
    assert parts(source=source).moment == moment


def test_variable_of_a_fact_s_name_counts_besides_the_fact():
    """In a run the fact is what the block sees, in the notebook the variable."""
    found = parts(source=SOURCE.replace("'rate'", "'env'"), variables={"env": "mine"})
    assert (set(found.moment), set(found.variables)) == ({"env"}, {"env"})


def test_secret_is_told_by_its_name_alone():
    old = parts(environment={"secret API_KEY": "0123456789abcdef", "pandas": "3.1.1"})
    new = parts(environment={"secret API_KEY": "fedcba9876543210", "pandas": "3.1.1"})
    assert reasons(old, new, meaning) == ("environment changed: secret API_KEY",)


def test_packages_of_an_environment_that_was_not_made_yet_are_no_change():
    unmade = {"environment": "ab", "platform": "linux", "requirements.txt": "cd"}
    made, other = unmade | {"pandas": "3.1.1"}, unmade | {"pandas": "3.2.0"}
    assert reasons(parts(environment=unmade), parts(environment=made), meaning) == ()
    assert reasons(parts(environment=made), parts(environment=other), meaning) == (
        "environment changed: pandas 3.1.1 → 3.2.0",
    )


def test_environment_told_before_it_was_made_takes_only_its_packages_from_what_came_of_it():
    unmade = {"environment": "ab", "platform": "linux", "requirements.txt": "cd", "secret KEY": "1"}
    now = {"environment": "ab", "pandas": "3.1.1", "platform": "linux", "requirements.txt": "ef", "secret KEY": "2"}
    completed = completed_environment(unmade, now)
    assert completed == unmade | {"pandas": "3.1.1"}
    assert completed_environment(completed, unmade | {"pandas": "3.2.0"}) == completed
    own = {"Python": "3.11.7", "platform": "linux"}
    assert completed_environment(own, own | {"pandas": "3.1.1"}) == own


def test_unknown_module_is_told_without_names():
    old = replace(parts(), modules="unknown")
    assert reasons(old, parts(), lambda digest: {}) == ("a module it imports changed",)


@pytest.mark.thorough
@given(
    st.builds(
        Parts,
        block=st.text(max_size=5),
        code=st.text(max_size=5),
        modules=st.text(max_size=5),
        parents=st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=3).map(tuple),
        variables=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
        configuration=st.text(max_size=3),
        environment=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
        moment=st.just({}),
    )
)
def test_parts_survive_being_stored(made):
    again = fingerprint.read_parts(made.text)
    assert (again, again.digest) == (made, made.digest)
    assert reasons(made, again, lambda digest: {}) == ()


def test_values_of_different_types_differ():
    values = [1, 1.0, True, "1", None, [1], {"a": 1}, date(2026, 1, 1), "2026-01-01", datetime(2026, 1, 1)]
    values += [{"a": 1, "b": 2}, {"b": 2, "a": 1}]  # a block may go through it in its order
    assert len({value_digest(value) for value in values}) == len(values)


def test_content_is_named_by_bytes_and_order():
    assert len({content_id(refs) for refs in ([], [OUTPUT], [OTHER], [OUTPUT, OTHER], [OTHER, OUTPUT])}) == 5


@pytest.mark.parametrize(
    ("block_type", "value", "allows", "ttl_s"),
    [
        ("transformer", None, True, None),
        ("custom", "auto", True, None),
        ("data_loader", None, False, None),
        ("data_exporter", "auto", False, None),
        ("sensor", None, False, None),
        ("data_loader", "always", True, None),
        ("transformer", "never", False, None),
        ("transformer", False, False, None),
        ("data_loader", "1h", True, 3600),
        ("data_loader", "30m", True, 1800),
        ("data_loader", "1.5 d", True, 129_600),
    ],
)
def test_policy_follows_type_and_setting(block_type, value, allows, ttl_s):
    policy = policy_of(block_type, {} if value is None else {"cache": value})
    assert (policy.allows, policy.ttl_s) == (allows, ttl_s)


@pytest.mark.parametrize("value", ["sometimes", "1 fortnight", "-1h", 3, "", ["1h"]])
def test_unknown_policy_is_refused(value):
    with pytest.raises(BadCacheSettingError, match="cache"):
        policy_of("transformer", {"cache": value})


def test_ttl_objects_to_older_output_only():
    policy = policy_of("data_loader", {"cache": "1h"})
    assert policy.objection(NOON, NOON + timedelta(hours=1)) is None
    assert policy.objection(NOON, NOON + timedelta(hours=1, seconds=1)) == "its output is older than 1h"
    assert "set back" in str(policy.objection(NOON, NOON - timedelta(seconds=1)))
    assert policy_of("data_loader", {"cache": "always"}).objection(NOON, NOON - timedelta(days=1)) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (30, "30 seconds ago"), (61, "1 minute ago"), (7300, "2 hours ago"), (90_000, "1 day ago")],
)
def test_age_is_told_in_words(seconds, text):
    assert ago(seconds) == text
