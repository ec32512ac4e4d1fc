"""`io_config.yaml`: named profiles with credentials, whose values may be small templates."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

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
    "AWS": "ACCESS_KEY_ID ENDPOINT REGION SECRET_ACCESS_KEY SESSION_TOKEN",
    "DUCKDB": "DATABASE SCHEMA",
    "GOOGLE": "LOCATION SERVICE_ACC_KEY SERVICE_ACC_KEY_FILEPATH",
    "MONGODB": "COLLECTION CONNECTION_STRING DATABASE HOST PASSWORD PORT USER",
    "MSSQL": "DATABASE DRIVER HOST PASSWORD PORT SCHEMA USER",
    "MYSQL": "CONNECTION_METHOD DATABASE HOST PASSWORD PORT USER",
    "POSTGRES": "CONNECTION_METHOD CONNECT_TIMEOUT DBNAME HOST PASSWORD PORT SCHEMA USER",
    "SNOWFLAKE": "ACCOUNT DEFAULT_DB DEFAULT_SCHEMA DEFAULT_WH PASSWORD ROLE TIMEOUT USER",
}
ConfigKey = StrEnum(  # type: ignore[misc]  # made from a table; each value is its own name
    "ConfigKey", [(f"{group}_{key}",) * 2 for group, keys in _KEYS.items() for key in keys.split()]
)


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
        """Return the value of `key`, None when the profile lacks it."""
        return self.config.get(str(key))

    def contains(self, key: str, **options: object) -> bool:
        """Return whether the profile has `key`."""
        return str(key) in self.config

    def __contains__(self, key: str) -> bool:
        return self.contains(key)

    def __getitem__(self, key: str) -> Any:
        return self.get(key)


def _profile(path: Path, profile: str) -> Mapping[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(render(path.read_text(encoding="utf-8"), path))
    except OSError as cause:
        raise ConfigurationFileError(
            f"{path.name} cannot be read: {cause.strerror}.",
            hint="put io_config.yaml into the project's folder, and name it with get_repo_path().",
            path=str(path),
        ) from None
    except yaml.YAMLError as cause:
        raise ConfigurationFileError(
            f"{path.name} is no YAML: {str(cause).splitlines()[0]}.", hint="correct that file.", path=str(path)
        ) from None
    found = document.get(profile) if isinstance(document, Mapping) else None
    if not isinstance(found, Mapping):
        names = [str(name) for name in document if name != "version"] if isinstance(document, Mapping) else []
        raise ConfigurationFileError(
            f"{path.name} has no profile '{profile}'.",
            hint=f"its profiles are: {', '.join(names) or 'none'}.",
            path=str(path),
        )
    return found


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
            f"{path.name}: an expression in {{{{ }}}} cannot be filled in: {cause}.",
            hint="use env_var('NAME'), variables('name'), mage_secret_var('NAME') or json_value(text, 'key').",
            path=str(path),
        ) from None


def _environment_value(name: str, default: str = "") -> str:
    return os.environ.get(name, default)


def _variable(name: str, **options: object) -> Any:
    return place.current().variables.get(name, "")


def _json_value(text: str, key: str) -> Any:
    return json.loads(text).get(key)
