"""Which parent feeds which parameter, and the sentence when counts do not fit."""

from __future__ import annotations

import pytest

from spellbook_core.ui.editor.signature import Feed, Parameter, match

DF = Parameter("df", is_required=True)
OTHER = Parameter("other", is_required=True)
SIZE = Parameter("size", is_required=False)
TABLE = "891 rows x 12 columns"


def test_parent_feeds_the_first_parameter() -> None:
    fit = match([DF], has_varargs=True, parents=["load"], shapes={"load": [TABLE]})
    assert fit.feeds == (Feed("df", "load", TABLE),)
    assert fit.problem is None


def test_parent_that_never_ran_has_no_shape() -> None:
    fit = match([DF], has_varargs=False, parents=["load"], shapes={})
    assert fit.feeds == (Feed("df", "load", ""),)
    assert fit.problem is None


def test_several_outputs_arrive_as_one_list() -> None:
    fit = match([DF], has_varargs=False, parents=["split"], shapes={"split": ["5 rows", "3 rows"]})
    assert fit.feeds == (Feed("df", "split", "list of 2: 5 rows | 3 rows"),)


def test_outputs_fill_parameters_one_by_one_when_only_that_fits() -> None:
    fit = match([DF, OTHER], has_varargs=False, parents=["split"], shapes={"split": ["5 rows", "3 rows"]})
    assert fit.feeds == (Feed("df", "split", "5 rows"), Feed("other", "split", "3 rows"))
    assert fit.problem is None


def test_further_parents_go_into_varargs() -> None:
    fit = match([DF], has_varargs=True, parents=["a", "b", "c"], shapes={})
    assert [feed.parameter for feed in fit.feeds] == ["df", "*args", "*args"]
    assert fit.problem is None


@pytest.mark.parametrize(
    ("parameters", "parents", "problem"),
    [
        ([DF], ["a", "b"], "The function takes 1 input, but the block has 2 parents."),
        ([], ["a"], "The function takes 0 inputs, but the block has 1 parent."),
        ([DF], [], "The function needs 1 input, but the block has no parent: df."),
        ([DF, OTHER, SIZE], ["a"], "The function needs 2 inputs, but the block has 1 parent: other."),
    ],
)
def test_counts_that_do_not_fit_are_told(parameters: list[Parameter], parents: list[str], problem: str) -> None:
    fit = match(parameters, has_varargs=False, parents=parents, shapes={parent: [TABLE] for parent in parents})
    assert fit.problem == problem


def test_optional_parameter_needs_no_parent() -> None:
    assert match([SIZE], has_varargs=False, parents=[], shapes={}).problem is None
