"""The fields of a SQL block's settings: which database, and which table its rows are written into."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from spellbook_core.model.values import YamlValue
from spellbook_core.services.sql_settings import POLICIES, PROVIDERS

_NAMES = {
    "duckdb": "DuckDB",
    "postgres": "PostgreSQL",
    "mysql": "MySQL",
    "mssql": "SQL Server",
    "snowflake": "Snowflake",
}
_POLICIES = {"append": "Add the rows", "replace": "Replace it", "fail": "Fail"}


def draw(own: Mapping[str, YamlValue], key: str) -> dict[str, YamlValue]:
    """Draw the fields and return what they say, in the file's keys; empty ones are left out."""
    st.markdown("##### Its database", anchors=False)
    known = str(own.get("data_provider") or PROVIDERS[0]).lower()
    offered = [*PROVIDERS] if known in PROVIDERS else [*PROVIDERS, known]
    provider = st.selectbox(
        "Runs on",
        offered,
        index=offered.index(known),
        key=f"{key}_provider",
        format_func=lambda name: _NAMES.get(name, f"{name[:40]} (not offered)"),
        help="DuckDB needs no server. The others take host and password from the project's io_config.yaml.",
    )
    found: dict[str, YamlValue] = {}
    if provider != PROVIDERS[0] or "data_provider" in own:
        found["data_provider"] = provider
    left, right = st.columns(2)
    with left:
        if provider == PROVIDERS[0]:
            database = _field(
                own, "data_provider_database", "DuckDB file", "none: in memory", "Inside the project.", key
            )
            found["data_provider_database"] = database
        profile = _field(own, "data_provider_profile", "Profile of io_config.yaml", "default", "", key)
        found["data_provider_profile"] = profile
    with right:
        found["data_provider_schema"] = _field(own, "data_provider_schema", "Schema", "the database's own", "", key)
        found["data_provider_table"] = _field(
            own, "data_provider_table", "Table", "pipeline_block", "An exporter writes its rows into it.", key
        )
    policy = str(own.get("export_write_policy") or POLICIES[0]).lower()
    chosen = st.segmented_control(
        "When the table is there",
        POLICIES,
        key=f"{key}_policy",
        default=policy if policy in POLICIES else POLICIES[0],
        required=True,
        format_func=_POLICIES.__getitem__,
    )
    if chosen != POLICIES[0] or "export_write_policy" in own:
        found["export_write_policy"] = chosen
    found["use_raw_sql"] = st.toggle(
        "Only run the statements, and write no table beside them",
        value=str(own.get("use_raw_sql")).lower() == "true",
        key=f"{key}_raw",
    )
    return {name: value for name, value in found.items() if value not in ("", None, False)}


def _field(own: Mapping[str, YamlValue], name: str, label: str, empty: str, about: str, key: str) -> str:
    value = own.get(name)
    typed = st.text_input(
        label,
        value="" if value is None else str(value),
        placeholder=empty,
        help=about or None,
        key=f"{key}_{name}",
    )
    return (typed or "").strip()
