"""`io_config.yaml`: named profiles with credentials, whose values may be small templates."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from spellbook_core.errors import SpellbookError
from spellbook_core.worker.mage_shim import place
from spellbook_core.worker.mage_shim.failures import ConfigurationFileError
from spellbook_core.worker.mage_shim.secrets import get_secret_value


class ExportWritePolicy(StrEnum):
    """What happens to a table that is there already."""

    APPEND = "append"
    FAIL = "fail"
    REPLACE = "replace"


class FileFormat(StrEnum):
    """Formats of files."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    HDF5 = "hdf5"
    XML = "xml"
    EXCEL = "xlsx"


class DataSource(StrEnum):
    """Names of sources, as mage writes them."""

    API = "api"
    BIGQUERY = "bigquery"
    DUCKDB = "duckdb"
    FILE = "file"
    GOOGLE_CLOUD_STORAGE = "google_cloud_storage"
    MONGODB = "mongodb"
    MSSQL = "mssql"
    MYSQL = "mysql"
    POSTGRES = "postgres"
    S3 = "s3"
    SNOWFLAKE = "snowflake"


_KEYS = {
    "AIRTABLE": "ACCESS_TOKEN",
    "ALGOLIA": "API_KEY APP_ID INDEX_NAME",
    "AWS": "ACCESS_KEY_ID ENDPOINT REGION SECRET_ACCESS_KEY SESSION_TOKEN",
    "AZURE": "CLIENT_ID CLIENT_SECRET STORAGE_ACCOUNT_NAME TENANT_ID",
    "B2": "APPLICATION_KEY APPLICATION_KEY_ID ENDPOINT_URL",
    "CHROMA": "COLLECTION PATH",
    "CLICKHOUSE": "DATABASE HOST INTERFACE PASSWORD PORT USERNAME",
    "DRUID": "HOST PASSWORD PATH PORT SCHEME USER",
    "DUCKDB": "DATABASE SCHEMA",
    "GOOGLE": "LOCATION SERVICE_ACC_KEY SERVICE_ACC_KEY_FILEPATH",
    "MONGODB": "COLLECTION CONNECTION_STRING DATABASE HOST PASSWORD PORT USER",
    "MOTHERDUCK": "TOKEN",
    "MSSQL": "AUTHENTICATION DATABASE DRIVER HOST PASSWORD PORT SCHEMA USER",
    "MYSQL": "ALLOW_LOCAL_INFILE CONNECTION_METHOD DATABASE HOST PASSWORD PORT USER",
    "ORACLEDB": "HOST MODE PASSWORD PORT SERVICE USER",
    "PINOT": "HOST PASSWORD PATH PORT SCHEME USER",
    "POSTGRES": "CONNECTION_METHOD CONNECT_TIMEOUT DBNAME HOST PASSWORD PORT SCHEMA SSH_HOST SSH_PASSWORD SSH_PKEY "
    "SSH_PORT SSH_USERNAME USER",
    "QDRANT": "COLLECTION PATH",
    "REDSHIFT": "CLUSTER_ID DBNAME DBUSER HOST IAM_PROFILE PORT SCHEMA TEMP_CRED_PASSWORD TEMP_CRED_USER",
    "SNOWFLAKE": "ACCOUNT DEFAULT_DB DEFAULT_SCHEMA DEFAULT_WH PASSWORD PRIVATE_KEY_PASSPHRASE PRIVATE_KEY_PATH ROLE "
    "TIMEOUT USER",
    "SPARK": "CLUSTER DRIVER ENDPOINT HOST METHOD ORGANIZATION PORT SCHEMA SERVER_SIDE_PARAMETERS TOKEN USER",
    "TRINO": "CATALOG HOST PASSWORD PORT SCHEMA USER",
    "WEAVIATE": "COLLECTION ENDPOINT INFERENCE_API_KEY INSTANCE_API_KEY",
}
ConfigKey = StrEnum(  # type: ignore[misc]  # made from a table; each value is its own name
    "ConfigKey", [(f"{group}_{key}",) * 2 for group, keys in _KEYS.items() for key in keys.split()]
)

_NESTED = {
    "AWS": ("AWS", {}),
    "BigQuery": (
        "GOOGLE",
        {"credentials_mapping": "SERVICE_ACC_KEY", "path_to_credentials": "SERVICE_ACC_KEY_FILEPATH"},
    ),
    "Duck DB": ("DUCKDB", {}),
    "PostgreSQL": ("POSTGRES", {"database": "DBNAME"}),
    "Redshift": ("REDSHIFT", {"database": "DBNAME", "db_user": "DBUSER"}),
    "Snowflake": (
        "SNOWFLAKE",
        {"database": "DEFAULT_DB", "schema": "DEFAULT_SCHEMA", "warehouse": "DEFAULT_WH"},
    ),
}
"""Section of mage's older, nested form -> the group of flat keys, and which names differ from theirs in capitals."""


class EnvironmentVariableLoader:
    """Settings from the environment."""

    def get(self, key: str) -> Any:
        """Return the variable's value, None when it is not set."""
        return os.environ.get(str(key))

    def contains(self, key: str) -> bool:
        """Return whether it is set."""
        return str(key) in os.environ

    def __contains__(self, key: str) -> bool:
        return self.contains(key)

    def __getitem__(self, key: str) -> Any:
        return self.get(key)


class ConfigFileLoader:
    """One profile of `io_config.yaml`, read-only; a key that is not there is None, as in mage.

    Args:
        filepath: The file; None for the project's own.
        profile: Which part of it.

    Raises:
        ConfigurationFileError: No such file or profile, or it cannot be read. [SB-WRK-033]
    """

    def __init__(
        self, filepath: str | os.PathLike[str] | None = None, profile: str = "default", config: Any = None
    ) -> None:
        self.filepath = Path(filepath) if filepath is not None else Path(place.repo_path()) / "io_config.yaml"
        self.profile = str(profile or "default")
        self.config: Mapping[str, Any] = config if config is not None else _profile(self.filepath, self.profile)

    def get(self, key: str, **options: object) -> Any:
        """Return the value of `key`, None when the profile lacks it.

        Raises:
            SpellbookError: The key's expression cannot be filled in, such as a secret that is not there.
        """
        found = self.config.get(str(key))
        if isinstance(found, _Unfilled):
            raise found.error
        return found

    def contains(self, key: str, **options: object) -> bool:
        """Return whether the profile has `key`."""
        return str(key) in self.config

    def __contains__(self, key: str) -> bool:
        return self.contains(key)

    def __getitem__(self, key: str) -> Any:
        return self.get(key)


@dataclass(frozen=True, slots=True)
class _Unfilled:
    """Stands for a value whose expression failed; only who asks for it meets the error."""

    error: SpellbookError


def _profile(path: Path, profile: str) -> Mapping[str, Any]:
    import yaml

    try:
        document = _document(path.read_text(encoding="utf-8"), profile, path)
    except OSError as cause:
        raise ConfigurationFileError(
            f"{path.name} cannot be read: {cause.strerror}.",
            hint="put io_config.yaml into the project's folder, and name it with get_repo_path().",
            path=str(path),
        ) from None
    except yaml.YAMLError as cause:
        mark = getattr(cause, "problem_mark", None)
        line = mark.line + 1 if mark is not None else None
        raise ConfigurationFileError(
            f"{path.name}{f':{line}' if line else ''}: this is no YAML ({getattr(cause, 'problem', None) or cause}).",
            hint="correct that line." if line else "correct that file.",
            path=str(path),
        ) from None
    found = document.get(profile) if isinstance(document, Mapping) else None
    if not isinstance(found, Mapping):
        names = [str(name) for name in document if name != "version"] if isinstance(document, Mapping) else []
        raise ConfigurationFileError(
            f"{path.name} has no profile '{profile}'.",
            hint=f"its profiles are: {', '.join(names) or 'none'}.",
            path=str(path),
        )
    return flat(found)


def _document(text: str, profile: str, path: Path) -> Any:
    """Return the file with its expressions filled in; where one fails, those of `profile` only, each by itself."""
    import yaml

    try:
        return yaml.safe_load(render(text, path))
    except SpellbookError as error:
        try:
            document = yaml.safe_load(text)
        except yaml.YAMLError:  # an expression outside of quotes
            raise error from None
        if not isinstance(document, dict) or profile not in document:
            return document
        return {**document, profile: _filled(document[profile], path)}


def _filled(value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        return {name: _filled(item, path) for name, item in value.items()}
    if not isinstance(value, str):
        return value
    try:
        return render(value, path)
    except SpellbookError as error:
        return _Unfilled(error)


def flat(profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return a profile with the sections of mage's nested form as flat keys; a flat key that is there goes over them.

    `PostgreSQL: {host: a}` becomes `POSTGRES_HOST: a`, and `AWS: {Redshift: {host: a}}` becomes `REDSHIFT_HOST: a`.
    """
    found: dict[str, Any] = {}
    for name, value in profile.items():
        if name in _NESTED and isinstance(value, Mapping):
            group, differing = _NESTED[name]
            own = {key: item for key, item in value.items() if key not in _NESTED}
            found |= {f"{group}_{differing.get(key, str(key).upper())}": item for key, item in own.items()}
            found |= flat({key: item for key, item in value.items() if key in _NESTED})
    return found | {str(name): value for name, value in profile.items() if name not in _NESTED}


def render(text: str, path: Path) -> str:
    """Return `text` with mage's expressions filled in: env_var, variables, mage_secret_var, json_value.

    The template language runs sandboxed: it reaches no attribute, module or file beyond these four functions.

    Raises:
        ConfigurationFileError: An expression is wrong, or a secret or variable is not there. [SB-WRK-033]
    """
    if "{{" not in text and "{%" not in text:
        return text
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(autoescape=False)  # the result is YAML, never HTML
    try:
        return environment.from_string(text).render(
            env_var=_environment_value, variables=_variable, mage_secret_var=get_secret_value, json_value=_json_value
        )
    except TemplateError as cause:
        raise ConfigurationFileError(
            f"{path.name}: an expression in {{{{ }}}} cannot be filled in: {str(cause).rstrip('.')}.",
            hint="use env_var('NAME'), variables('name'), mage_secret_var('NAME') or json_value(text, 'key').",
            path=str(path),
        ) from None


def _environment_value(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def _variable(name: str, **options: object) -> Any:
    return place.current().variables.get(name, "")


def _json_value(text: str, key: str) -> Any:
    return json.loads(text).get(key)
