"""Which secrets a project declares, and how its `.env` is read and written."""

from __future__ import annotations

from pathlib import Path

import pytest

from spellbook_core.project.secrets import (
    declared,
    is_secret_name,
    masked_values,
    read_env_file,
    with_secret,
    without_secret,
)

IO_CONFIG = """
version: 0.1.1
default:
  # POSTGRES_PASSWORD: old-password
  POSTGRES_PASSWORD: 'it''s-mine-now'   # a comment
  POSTGRES_HOST: db.example
  POSTGRES_PORT: 5432
  MYSQL_PASSWORD: ''
  SNOWFLAKE_PASSWORD: "{{ env_var('SNOW') }}"
  MONGODB_CONNECTION_STRING: mongodb://me:pass%40word@host/db
  GOOGLE_SERVICE_ACC_KEY:
    type: service_account
    private_key: "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBg\\n-----END PRIVATE KEY-----\\n"
    token_uri: https://oauth2.example/token
dev:
  AWS_SECRET_ACCESS_KEY: plain-value
  PEM_KEY: |
    line-one-of-it
    line-two-of-it
  OTHER: 1
"""


def found(tmp_path: Path, environment: dict[str, str] | None = None, **files: str) -> dict[str, tuple[str, str, bool]]:
    for name, text in files.items():
        (tmp_path / {"env": ".env", "io": "io_config.yaml", "meta": "metadata.yaml"}[name]).write_text(text)
    return {one.name: (one.value, one.origin, one.is_masked) for one in declared(tmp_path, tmp_path, environment or {})}


def test_io_config_declares_its_secret_like_keys(tmp_path):
    secrets = found(tmp_path, {"SNOW": "flakes-of-snow"}, io=IO_CONFIG)
    assert secrets["POSTGRES_PASSWORD"][0] == "it's-mine-now"
    assert secrets["SNOW"] == ("flakes-of-snow", "environment", True)
    assert secrets["AWS_SECRET_ACCESS_KEY"][0] == "plain-value"
    assert secrets["PEM_KEY"][0] == "line-one-of-it\nline-two-of-it"
    assert not {"POSTGRES_HOST", "MYSQL_PASSWORD"} & set(secrets)
    assert secrets["private_key"][0].splitlines()[1] == "MIIEvQIBADANBg"
    assert "old-password" not in str(secrets)
    masked = masked_values(declared(tmp_path, tmp_path, {}))
    assert {"pass%40word", "pass@word"} <= set(masked)


def test_every_profile_counts(tmp_path):
    profiles = "".join(f"{name}:\n  DB_PASSWORD: of-{name}-alone\n" for name in ("default", "dev", "prod"))
    found(tmp_path, io=profiles)
    masked = masked_values(declared(tmp_path, tmp_path, {}))
    assert set(masked) == {"of-default-alone", "of-dev-alone", "of-prod-alone"}


def test_plain_values_of_an_env_file_are_not_masked(tmp_path):
    text = "STAGE=dev\nPORT=5432\nHOST=localhost\nIS_ON=true\nREGION=eu-central-1\nAPP_KEY=abcd\nPIN_TOKEN=12\n"
    secrets = found(tmp_path, env=text)
    assert {name for name, (_, _, is_masked) in secrets.items() if is_masked} == {"REGION", "APP_KEY"}


def test_environment_wins_and_paths_in_it_are_no_secrets(tmp_path):
    environment = {"API_TOKEN": "of-the-environment", "SSH_KEY": "/home/me/.ssh/id", "PWD": "/x", "PATH": "/usr/bin"}
    secrets = found(tmp_path, environment, env="API_TOKEN=of-the-file\n")
    assert secrets["API_TOKEN"][:2] == ("of-the-environment", "environment")
    assert set(secrets) == {"API_TOKEN"}


@pytest.mark.parametrize(
    "text", ["secrets: [ALPHA, 'BETA']\n", "name: x\nsecrets:\n  - ALPHA  # first\n  # none\n  - BETA\nother: 1\n"]
)
def test_project_lists_variables_that_are_secret(tmp_path, text):
    secrets = found(tmp_path, {"ALPHA": "value-a", "BETA": "value-b", "other": "value-c"}, meta=text)
    assert set(secrets) == {"ALPHA", "BETA"}


def test_written_value_is_read_back(tmp_path):
    value = "quotes \" ' and \\ and\nlines # = $x"
    text = with_secret("# mine\nexport API_KEY=old\nOTHER='a b'\n", "API_KEY", value)
    (tmp_path / ".env").write_text(text)
    assert read_env_file(tmp_path / ".env") == {"OTHER": "a b", "API_KEY": value}
    assert text.startswith("# mine\n")
    assert without_secret(text, "API_KEY") == "# mine\nOTHER='a b'\n"


@pytest.mark.parametrize(
    ("name", "is_secret"),
    [
        ("DB_PASSWORD", True),
        ("GITHUB_TOKEN", True),
        ("api.key", True),
        ("SECRET_SAUCE", True),
        ("SENTRY_DSN", True),
        ("KEYBOARD", False),
        ("TOKENIZERS_PARALLELISM", False),
        ("PATH", False),
        ("MONKEY", False),
    ],
)
def test_names_tell_secrets(name, is_secret):
    assert is_secret_name(name) is is_secret


def test_unreadable_files_declare_nothing(tmp_path):
    (tmp_path / ".env").mkdir()
    (tmp_path / "io_config.yaml").write_bytes(b"\xff\xfe: [{{{")
    assert declared(tmp_path, tmp_path, {}) == ()
