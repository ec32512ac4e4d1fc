"""mage's clients of files and databases, and `io_config.yaml` in both of its forms."""

from __future__ import annotations

import os
from functools import partial
from types import SimpleNamespace

import pandas as pd
import pytest

from spellbook_core.worker.mage_shim import clouds
from spellbook_core.worker.mage_shim.config import ConfigKey, flat
from spellbook_core.worker.mage_shim.failures import DataFileError
from spellbook_core.worker.mage_shim.files import FileIO
from tests.compat.test_mage_shim import error_of, is_installed, loader, value_of

CONFIG = "from mage_ai.io.config import ConfigFileLoader, ConfigKey"
NESTED = """
version: 0.1.1
default:
  AWS:
    access_key_id: id
    region: eu
    Redshift:
      host: red
      database: dev
  BigQuery:
    path_to_credentials: /keys.json
  Duck DB:
    database: x.duckdb
  PostgreSQL:
    host: "{{ env_var('HOME') }}"
    database: shop
    user: me
    password: p
    port: 5432
    schema: public
  Snowflake: {account: a, database: D, warehouse: W}
  MYSQL_HOST: flat
"""


def test_nested_form_of_the_configuration_reads_like_the_flat_one(tmp_path):
    names = (
        *("AWS_ACCESS_KEY_ID", "AWS_REGION", "REDSHIFT_HOST", "REDSHIFT_DBNAME", "GOOGLE_SERVICE_ACC_KEY_FILEPATH"),
        *("DUCKDB_DATABASE", "POSTGRES_DBNAME", "POSTGRES_PORT", "POSTGRES_SCHEMA", "SNOWFLAKE_DEFAULT_DB"),
        *("SNOWFLAKE_DEFAULT_WH", "MYSQL_HOST"),
    )
    body = f"config = ConfigFileLoader()\nfound = {{name: config[ConfigKey[name]] for name in {names!r}}}\n"
    body += "found['home'] = config.get('POSTGRES_HOST')\nreturn found"
    found = value_of(tmp_path, loader(CONFIG, body), files={"io_config.yaml": NESTED})
    assert found.pop("home") == os.environ["HOME"]
    expected = ("id", "eu", "red", "dev", "/keys.json", "x.duckdb", "shop", 5432, "public", "D", "W", "flat")
    assert found == dict(zip(names, expected, strict=True))


def test_flat_keys_go_over_nested_ones():
    assert flat({"PostgreSQL": {"host": "a", "user": "b"}, "POSTGRES_HOST": "c"}) == {
        "POSTGRES_HOST": "c",
        "POSTGRES_USER": "b",
    }


def test_every_key_of_mage_has_its_name():
    assert len(ConfigKey) == 125
    assert ConfigKey.REDSHIFT_CLUSTER_ID == "REDSHIFT_CLUSTER_ID"


UPSERT = """
import pandas as pd
with CLIENT as client:
    def put(rows, how, method):
        client.export(pd.DataFrame(rows, columns=["id", "name", "n"]), SCHEMA, "people", if_exists=how,
                      unique_constraints=["id", "name"], unique_conflict_method=method)
    put([(1, "a", 1), (2, "b", 2)], "replace", None)
    put([(1, "a", 9), (3, "c", 3)], "append", "UPDATE")
    put([(1, "a", 0), (4, "d", 4)], "append", "IGNORE")
    try:
        put([(1, "a", 5)], "append", None)
        refused = False
    except Exception as error:
        refused = type(error).__name__
    found = client.load("SELECT id, name, n FROM TABLE ORDER BY id")
    CLEAN
return {"rows": [[int(i), n, int(x)] for i, n, x in found.values.tolist()], "refused": bool(refused)}
"""
EXPECTED = {"rows": [[1, "a", 9], [2, "b", 2], [3, "c", 3], [4, "d", 4]], "refused": True}


def upsert(client: str, schema: str, table: str, clean: str = "pass") -> str:
    found = UPSERT.replace("CLIENT", client).replace("SCHEMA", schema).replace("FROM TABLE", f"FROM {table}")
    return found.replace("CLEAN", clean)


def test_unique_constraints_update_or_ignore_in_duckdb(tmp_path):
    imports = "from mage_ai.io.duckdb import DuckDB\n" + CONFIG
    source = loader(imports, upsert("DuckDB.with_config(ConfigFileLoader())", "'main'", "main.people"))
    assert value_of(tmp_path, source, files={"io_config.yaml": "default: {A: 1}\n"}) == EXPECTED


@pytest.mark.skipif("SPELLBOOK_TEST_POSTGRES" not in os.environ, reason="names a server: host,port,user,database")
def test_unique_constraints_update_or_ignore_in_postgres(tmp_path):
    host, port, user, database = os.environ["SPELLBOOK_TEST_POSTGRES"].split(",")
    profile = f"default:\n  PostgreSQL: {{host: '{host}', port: {port}, user: {user}, database: {database}}}\n"
    imports = "from mage_ai.io.postgres import Postgres\n" + CONFIG
    clean = "client.execute_queries(['DROP SCHEMA upsert_test CASCADE'], commit=True)"
    body = upsert("Postgres.with_config(ConfigFileLoader())", "'upsert_test'", "upsert_test.people", clean)
    assert value_of(tmp_path, loader(imports, body), files={"io_config.yaml": profile}) == EXPECTED


@pytest.mark.skipif("SPELLBOOK_TEST_MYSQL" not in os.environ, reason="names a server: host,port,user,database")
def test_unique_constraints_update_or_ignore_in_mysql(tmp_path):
    host, port, user, database = os.environ["SPELLBOOK_TEST_MYSQL"].split(",")
    profile = f"default:\n  MYSQL_HOST: '{host}'\n  MYSQL_PORT: {port}\n  MYSQL_USER: {user}\n"
    profile += f"  MYSQL_DATABASE: {database}\n"
    imports = "from mage_ai.io.mysql import MySQL\n" + CONFIG
    body = upsert("MySQL.with_config(ConfigFileLoader())", "None", "people", "client.execute('DROP TABLE people')")
    assert value_of(tmp_path, loader(imports, body), files={"io_config.yaml": profile}) == EXPECTED


FILEIO = """
import pandas as pd
frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
FileIO().export(frame, "out/data.EXTENSION")
return {"a": FileIO().load("out/data.EXTENSION")["a"].tolist()}
"""


@pytest.mark.parametrize(
    ("extension", "module", "package"),
    [
        ("csv", None, None),
        ("tsv", None, None),
        ("json", None, None),
        ("parquet", None, None),
        ("xlsx", "openpyxl", "openpyxl"),
        ("xml", "lxml", "lxml"),
        ("hdf5", "tables", "tables"),
        ("h5", "tables", "tables"),
    ],
)
def test_file_formats_are_written_and_read_or_name_their_driver(extension, module, package, tmp_path):
    source = loader("from mage_ai.io.file import FileIO", FILEIO.replace("EXTENSION", extension))
    if module is None or is_installed(module):
        assert value_of(tmp_path, source) == {"a": [1, 2]}
        return
    error = error_of(tmp_path, source)
    assert error.code == "SB-WRK-034"
    assert error.hint == f"pip install '{package}'"


OF_TEMPLATES = (
    *("airtable.Airtable", "algolia.Algolia", "azure_blob_storage.AzureBlobStorage", "base.DataSource"),
    *("bigquery.BigQuery", "chroma.Chroma", "config.ConfigFileLoader", "druid.Druid", "duckdb.DuckDB", "file.FileIO"),
    *("google_cloud_storage.GoogleCloudStorage", "google_sheets.GoogleSheets", "mongodb.MongoDB", "mssql.MSSQL"),
    *("mysql.MySQL", "oracledb.OracleDB", "pinot.Pinot", "postgres.Postgres", "qdrant.Qdrant", "redshift.Redshift"),
    *("s3.S3", "snowflake.Snowflake", "weaviate.Weaviate"),
)
"""What the templates of mage 0.9.80 import from `mage_ai.io`."""


def test_clients_of_mage_s_templates_resolve_or_say_what_to_use(tmp_path):
    body = f"""
import importlib
said = {{}}
for name in {OF_TEMPLATES!r}:
    module, client = name.split(".")
    try:
        getattr(importlib.import_module("mage_ai.io." + module), client)
    except ImportError as error:
        said[name] = [str(error), error.hint]
return said
"""
    said = value_of(tmp_path, loader("", body))
    assert set(said) == {
        *("airtable.Airtable", "algolia.Algolia", "azure_blob_storage.AzureBlobStorage", "chroma.Chroma"),
        *("druid.Druid", "google_sheets.GoogleSheets", "oracledb.OracleDB", "pinot.Pinot", "qdrant.Qdrant"),
        *("redshift.Redshift", "weaviate.Weaviate"),
    }
    for name, (message, hint) in said.items():
        assert f"mage_ai.io.{name.split('.')[0]}" in message
        assert "\n" not in message
        assert "package" in hint


def test_all_files_below_folders_are_one_table(tmp_path):
    """`file_directories`, as mage's own template for local files names it."""
    for name, text in (("one/a.csv", "n\n1\n"), ("one/deep/b.csv", "n\n2\n"), ("two/c.csv", "n\n3\n")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    folders = [str(tmp_path / "one"), str(tmp_path / "two")]
    loaded = FileIO().load(file_directories=folders)
    assert (loaded["n"].tolist(), loaded.index.tolist()) == ([1, 2, 3], [0, 1, 2])
    assert FileIO().load(None, "csv", folders[1:])["n"].tolist() == [3]
    for wrong in ({}, {"file_directories": [str(tmp_path / "none")]}):
        with pytest.raises(DataFileError, match=r"needs a path|no file below"):
            FileIO().load(**wrong)


class FakeCollection(list):
    """What the clients call of pymongo's, S3's and Google's objects, kept in memory: no server is there to ask."""

    insert_many = list.extend

    def find(self, query, limit=0):
        return [each for each in self if query.items() <= each.items()]


def test_mongodb_takes_its_arguments_in_mage_s_order(monkeypatch):
    store = {"shop": {"orders": FakeCollection()}}
    monkeypatch.setattr(clouds, "driver", lambda *names: SimpleNamespace(MongoClient=lambda **settings: store))
    client = clouds.MongoDB(database="shop")
    client.export([{"n": 1, "k": "a"}], "orders")
    client.export(data=pd.DataFrame({"n": [2], "k": ["b"]}), collection="orders")
    assert client.load("orders", {"k": "b"})["n"].tolist() == [2]
    assert client.load(query={}, collection="orders")["n"].tolist() == [1, 2]


def test_object_stores_take_files_and_tell_what_is_there(tmp_path, monkeypatch):
    held = {}

    def blob(name):
        return SimpleNamespace(exists=lambda: name in held, upload_from_string=partial(held.setdefault, name))

    google = SimpleNamespace(Client=lambda: SimpleNamespace(bucket=lambda name: SimpleNamespace(blob=blob)))
    monkeypatch.setattr(clouds, "driver", lambda *names: google)
    path = tmp_path / "model.bin"
    path.write_bytes(b"\x00\x01")
    client = clouds.GoogleCloudStorage()
    client.export(str(path), "bucket", "model.bin")
    client.export(data=pd.DataFrame({"n": [1]}), bucket_name="bucket", object_key="t.csv")
    assert held == {"model.bin": b"\x00\x01", "t.csv": b"n\n1\n"}
    assert (client.exists("bucket", "t.csv"), client.exists("bucket", "none")) == (True, False)
