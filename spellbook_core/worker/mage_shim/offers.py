"""Which names of `mage_ai` are offered, where ours come from, and what to use for those that are not. Plain data."""

from __future__ import annotations

from collections.abc import Mapping

_DECORATORS = (
    *("data_loader", "transformer", "custom", "data_exporter", "sensor", "condition", "callback", "preprocesser"),
    *("test", "on_success", "on_failure", "data_source", "x", "y", "xy", "columns", "configuration", "render"),
    *("extension", "factory", "streaming_source", "streaming_sink"),
)
_REPO = ("get_repo_path", "get_repo_name")
_RUNS = ("PipelineRun", "PipelineSchedule", "BlockRun")
_VARIABLES = (
    *("get_variable", "get_variables", "get_global_variable", "get_global_variables", "set_global_variable"),
    "delete_global_variable",
)

MODULES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "mage_ai.data_preparation.decorators": ("marks", _DECORATORS),
    "mage_ai.settings.repo": ("repo", _REPO),
    "mage_ai.data_preparation.repo_manager": ("repo", _REPO),
    "mage_ai.io.config": ("config", ("ConfigFileLoader", "ConfigKey", "EnvironmentVariableLoader")),
    "mage_ai.io.base": ("config", ("DataSource", "ExportWritePolicy", "FileFormat")),
    "mage_ai.io.file": ("files", ("FileIO",)),
    "mage_ai.data_preparation.shared.secrets": ("secrets", ("get_secret_value",)),
    "mage_ai.orchestration.triggers.api": ("triggers", ("trigger_pipeline",)),
    "mage_ai.orchestration.run_status_checker": ("runs", ("check_status",)),
    "mage_ai.orchestration.db.models.schedules": ("runs", _RUNS),
    "mage_ai.data_preparation.variable_manager": ("variables", _VARIABLES),
    "mage_ai.data_preparation.models.block.remote.models": ("products", ("RemoteBlock",)),
    "mage_ai.data_preparation.models.global_data_product": ("products", ("GlobalDataProduct",)),
    "mage_ai.data_cleaner.transformer_actions.base": ("actions", ("BaseAction",)),
    "mage_ai.data_cleaner.transformer_actions.constants": (
        "action_names",
        ("ActionType", "Axis", "ImputationStrategy", "Operator", "VariableType"),
    ),
    "mage_ai.data_cleaner.transformer_actions.utils": ("actions", ("build_transformer_action",)),
    "mage_ai.data_cleaner.column_types.constants": ("action_names", ("ColumnType",)),
    "mage_ai.data_cleaner.column_types.column_type_detector": ("parsing", ("infer_column_types", "ColumnType")),
    "mage_ai.data_preparation.models.constants": (
        "parsing",
        (
            *("DATAFRAME_ANALYSIS_MAX_COLUMNS", "DATAFRAME_ANALYSIS_MAX_ROWS"),
            *("DATAFRAME_SAMPLE_COUNT", "DATAFRAME_SAMPLE_COUNT_PREVIEW"),
        ),
    ),
    "mage_ai.shared.parsers": ("parsing", ("convert_matrix_to_dataframe", "encode_complex")),
    "mage_ai.io.duckdb": ("duck", ("DuckDB",)),
    "mage_ai.io.postgres": ("databases", ("Postgres",)),
    "mage_ai.io.mysql": ("databases", ("MySQL",)),
    "mage_ai.io.mssql": ("databases", ("MSSQL",)),
    "mage_ai.io.snowflake": ("databases", ("Snowflake",)),
    "mage_ai.io.bigquery": ("clouds", ("BigQuery",)),
    "mage_ai.io.s3": ("clouds", ("S3",)),
    "mage_ai.io.google_cloud_storage": ("clouds", ("GoogleCloudStorage",)),
    "mage_ai.io.mongodb": ("clouds", ("MongoDB",)),
}
"""mage's module -> our module in this package, and the names it hands out."""

PACKAGES = frozenset(
    ".".join(parts[:length]) for parts in (name.split(".") for name in MODULES) for length in range(1, len(parts))
)
"""Every package on the way to a module."""

INSTEAD: Mapping[str, str] = {
    "mage_ai.streaming": "streaming is not run here: read in batches in a data loader, started by a schedule.",
    "mage_ai.data_integrations": "data integration is not run here: read the source in a data loader.",
    "mage_integrations": "data integration is not run here: read the source in a data loader.",
    "mage_ai.shared.parsers": "use `json.dumps(value, default=str)` in your own code.",
    "mage_ai.data_cleaner": "do the same with pandas in the block, e.g. `df.dropna()` or `df.astype(...)`.",
    "mage_ai.services.spark": "Spark is not run here: open a session of your own with `pyspark` in the block.",
    "mage_ai.data_preparation.shared.secrets": "put the secret into the environment or the project's `.env` file.",
    "mage_ai.io.redshift": "Redshift speaks PostgreSQL: use mage_ai.io.postgres, or the package redshift-connector.",
    "mage_ai.io.oracledb": "use the package oracledb in the block, with values of ConfigFileLoader.",
    "mage_ai.io.google_sheets": "use the package gspread in the block, with values of ConfigFileLoader.",
    "mage_ai.io.azure_blob_storage": "use the package azure-storage-blob in the block.",
    "mage_ai.io.clickhouse": "use the package clickhouse-connect in the block, with values of ConfigFileLoader.",
    "mage_ai.io.trino": "use the package trino in the block, with values of ConfigFileLoader.",
    "mage_ai.io.airtable": "use the package pyairtable in the block, with values of ConfigFileLoader.",
    "mage_ai.io.algolia": "use the package algoliasearch in the block, with values of ConfigFileLoader.",
    "mage_ai.io.chroma": "use the package chromadb in the block.",
    "mage_ai.io.qdrant": "use the package qdrant-client in the block.",
    "mage_ai.io.weaviate": "use the package weaviate-client in the block.",
    "mage_ai.io.pinot": "use the package pinotdb in the block, with values of ConfigFileLoader.",
    "mage_ai.io.druid": "use the package pydruid in the block, with values of ConfigFileLoader.",
    "mage_ai.io": "use the driver's own package in the block, with values of ConfigFileLoader.",
    "mage_ai.orchestration": "use trigger_pipeline of mage_ai.orchestration.triggers.api, or `spellbook run`.",
    "mage_ai.api": "use `spellbook run` or Spellbook's own web API.",
}
"""Prefix of a name that is not offered -> what to do; the first that fits."""

OTHERWISE = "do without it, or write the few lines you need into the project's own `utils` folder."
