"""Every rule of mage that Spellbook promises to keep, and the tests that hold it to that.

The table is `RULES`: a rule in words, then its tests. A test that is renamed or removed fails here.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
RULES = {
    "file lookup: file_source.path, file_path, type folder; each with its first folders removed": [
        "compat/test_mage_odd_projects.py::test_odd_projects_run",
        "unit/project/test_project_layout.py",
    ],
    "language missing means python; a stub without blocks is an empty pipeline": [
        "compat/test_mage_files.py::test_old_blocks_default_to_python",
        "compat/test_mage_files.py::test_stub_is_an_empty_pipeline",
    ],
    "file order is not run order; upstream_blocks is the truth, a disagreement is a warning": [
        "compat/test_mage_contract.py::test_parents_come_in_the_order_of_the_file_s_upstream_blocks",
        "compat/test_mage_odd_projects.py::test_odd_projects_run",
        "unit/project/test_metadata.py",
    ],
    "unknown keys survive at every level; unedited files keep their bytes, an edit changes its own lines": [
        "compat/test_mage_round_trip.py::test_generated_files_keep_their_bytes_and_edits_their_place",
        "compat/test_mage_round_trip.py::test_links_and_removals_touch_only_the_blocks_they_name",
        "compat/test_mage_round_trip.py::test_every_edit_changes_its_own_lines_only",
        "compat/test_mage_files.py::test_unedited_file_keeps_its_bytes",
        "compat/test_mage_files.py::test_new_block_has_every_key_of_mage",
        "unit/project/test_yaml_patch.py::test_edit_changes_its_own_lines",
        "unit/project/test_yaml_patch.py::test_any_text_with_comments_takes_any_edit",
    ],
    "triggers.yaml, io_config.yaml and the project's metadata.yaml are text": [
        "compat/test_mage_text_files.py::test_file_keeps_its_bytes_and_an_edit_its_place",
        "compat/test_mage_text_files.py::test_generated_file_keeps_its_bytes",
        "compat/test_mage_text_files.py::test_the_one_edit_of_a_project_file_adds_its_section_and_nothing_else",
    ],
    "environment variables are filled into the project's metadata.yaml": [
        "unit/project/test_project_file.py::test_environment_variables_are_filled_in",
    ],
    "names that YAML would retype are refused with their line": [
        "compat/test_mage_odd_projects.py::test_names_that_yaml_retypes_are_refused_with_their_line",
    ],
    "missing, unreadable and unparsable block files do not keep a project from opening": [
        "compat/test_mage_odd_projects.py::test_every_odd_project_is_checked_shown_and_kept",
    ],
    "links inside the project are followed, links that leave it are not": [
        "compat/test_mage_odd_projects.py::test_links_that_stay_inside_are_followed",
        "compat/test_mage_odd_projects.py::test_links_that_leave_are_not_followed",
    ],
    "opening executes nothing of the project": [
        "compat/test_mage_odd_projects.py::test_folder_of_projects_is_opened_and_nothing_is_executed",
        "guarantees/test_n29_opening_runs_nothing.py",
    ],
    "decorators are injected, importable from mage_ai, and register the innermost function": [
        "compat/test_mage_shim.py::test_chart_files_import_and_decorators_register_however_imported",
        "compat/test_mage_contract.py::test_inner_function_is_registered_below_an_own_decorator",
    ],
    "keyword arguments: mage's names, types and precedence": [
        "compat/test_mage_contract.py::test_keyword_arguments_have_mage_s_names_and_types",
        "compat/test_mage_contract.py::test_mage_s_own_names_go_over_variables_in_a_run",
        "compat/test_mage_contract.py::test_trigger_s_variables_go_over_the_pipeline_s",
    ],
    "a child gets one value or one list per parent; a tuple or list is several outputs": [
        "compat/test_mage_contract.py::test_child_gets_a_value_or_one_list",
        "compat/test_mage_contract.py::test_outputs_come_one_by_one_when_only_that_fits",
    ],
    "the project is importable by its name, as default_repo, and its modules directly": [
        "compat/test_mage_contract.py::test_project_modules_are_imported_by_every_name_that_mage_allows",
    ],
    "replicas, dynamic blocks, conditions and callbacks run": [
        "compat/test_mage_contract.py::test_replica_runs_the_code_of_its_original",
        "compat/test_mage_kinds.py::test_callbacks_of_both_spellings_are_called",
        "engine/test_block_kinds.py",
    ],
    "a callback that only has_callback names is shown, checked, called, renamed and deleted with its block": [
        "compat/test_mage_own_callbacks.py",
        "compat/test_mage_kinds.py::test_callbacks_of_both_spellings_are_called",
        "ui/test_editor_marks.py::test_code_of_a_callback_that_no_list_names_opens_and_is_saved",
    ],
    "charts are drawn by settings, variables and decorators, outside of runs": [
        "compat/test_mage_charts.py::test_charts_are_drawn_by_their_settings",
        "compat/test_mage_charts.py::test_charts_of_mage_s_own_templates_are_drawn",
        "compat/test_mage_charts.py::test_charts_are_drawn_by_decorated_functions",
        "compat/test_mage_charts.py::test_chart_of_children_has_the_rows_of_all_of_them",
        "compat/test_mage_charts.py::test_chart_waits_for_its_parent_and_no_run_is_made",
        "compat/test_mage_charts.py::test_chart_is_added_and_removed_in_mage_s_form",
    ],
    "every name of mage_ai resolves, or fails with one line that says what to use": [
        "compat/test_mage_shim.py::test_every_module_offered_can_be_imported_in_a_block",
        "compat/test_mage_shim.py::test_name_that_is_missing_is_named_at_the_line_with_what_to_use",
        "compat/test_mage_io.py::test_clients_of_mage_s_templates_resolve_or_say_what_to_use",
    ],
    "io_config.yaml: profiles, expressions, flat and nested keys": [
        "compat/test_mage_shim.py::test_profiles_are_rendered",
        "compat/test_mage_io.py::test_nested_form_of_the_configuration_reads_like_the_flat_one",
    ],
    "FileIO formats; a missing driver says what to install": [
        "compat/test_mage_io.py::test_file_formats_are_written_and_read_or_name_their_driver",
    ],
    "database clients export, load and upsert": [
        "compat/test_mage_shim.py::test_duckdb_client_exports_and_loads",
        "compat/test_mage_shim.py::test_postgres_client_exports_and_loads",
        "compat/test_mage_shim.py::test_mysql_client_exports_and_loads",
        "compat/test_mage_shim.py::test_s3_client_exports_and_loads",
        "compat/test_mage_io.py::test_unique_constraints_update_or_ignore_in_duckdb",
    ],
    "trigger_pipeline, check_status, variable manager, data products": [
        "compat/test_mage_shim.py::test_triggered_pipeline_runs_without_an_engine",
        "compat/test_mage_shim.py::test_past_runs_outputs_and_variables_can_be_read",
    ],
    "a global data product runs its pipeline when it is outdated, and hands on its outputs": [
        "compat/test_mage_contract.py::test_data_product_runs_its_pipeline_when_it_is_outdated",
        "compat/test_mage_contract.py::test_block_s_own_settings_go_over_the_product_s",
    ],
    "transformer actions": ["compat/test_mage_actions.py"],
    "streaming, integration, Spark, dbt, R and extensions are shown, kept, and say that they do not run here": [
        "compat/test_mage_odd_projects.py::test_kinds_that_do_not_run_here_say_so_and_are_kept",
        "unit/model/test_not_run.py",
        "ui/test_editor_marks.py",
    ],
    "missing packages are named before the run, with the name to install": [
        "unit/project/test_missing_packages.py",
    ],
    "a real mage loads what we write, and we load what it writes (by hand)": [
        "compat/test_with_mage.py::test_mage_loads_what_the_services_write",
        "compat/test_with_mage.py::test_what_mage_writes_is_loaded_kept_and_run",
        "compat/test_with_mage.py::test_settings_survive_a_save_of_mage_but_for_keys_that_it_does_not_know",
    ],
    "the command line keeps its exit codes and JSON": [
        "engine/test_cli.py::test_unusable_input_ends_with_2_and_says_why",
        "engine/test_cli.py::test_failed_run_explains_itself_and_ends_with_1",
        "engine/test_cli.py::test_interrupted_run_is_cancelled_and_ends_with_130",
        "engine/test_cli_giving.py::test_findings_have_the_promised_shape",
        "compat/test_mage_odd_projects.py::test_error_is_one_json_object_where_json_was_asked_for",
        "compat/test_mage_odd_projects.py::test_our_own_fault_ends_with_3",
    ],
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule[:50])
def test_rule_has_its_tests(rule):
    for place in RULES[rule]:
        file, _, name = place.partition("::")
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        found = name in names if name else any(each.startswith("test_") for each in names)
        assert found, place
