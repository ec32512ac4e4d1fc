"""mage's clients of object stores, BigQuery and MongoDB: thin, over each vendor's own package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spellbook_core.project.packages import CLIENT_DRIVERS
from spellbook_core.worker.mage_shim.drivers import driver
from spellbook_core.worker.mage_shim.files import format_of, frame_from_bytes, frame_to_bytes
from spellbook_core.worker.mage_shim.sql import not_offered


class _Client:
    """A client that needs no closing."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        return None


class S3(_Client):
    """Objects of an S3-compatible store, by boto3.

    Args:
        verbose: Without effect.
        settings: Arguments of `boto3.client`, e.g. `endpoint_url`, `region_name`.
    """

    def __init__(self, verbose: bool = False, **settings: Any) -> None:
        self.client = driver("S3", *CLIENT_DRIVERS["mage_ai.io.s3"]).client("s3", **settings)

    def load(
        self, bucket_name: str, object_key: str, format: object = None, limit: int | None = None, **read: Any
    ) -> Any:
        """Return the table in an object."""
        data = self.client.get_object(Bucket=bucket_name, Key=object_key)["Body"].read()
        frame = frame_from_bytes(data, format_of(object_key, format), object_key, **read)
        return frame if limit is None else frame.head(limit)

    def export(self, data: Any, bucket_name: str, object_key: str, format: object = None, **write: Any) -> None:
        """Write a table, or the file at a path, into an object."""
        content = _content(data, object_key, format, write)
        self.client.put_object(Bucket=bucket_name, Key=object_key, Body=content)

    def exists(self, bucket_name: str, prefix: str) -> bool:
        """Return whether any object begins with `prefix`."""
        return bool(self.client.list_objects_v2(Bucket=bucket_name, Prefix=prefix, MaxKeys=1).get("KeyCount"))

    @classmethod
    def with_config(cls, config: Any, **options: Any) -> S3:
        """Return a client with the AWS_* keys of a profile."""
        keys = {"AWS_ACCESS_KEY_ID": "aws_access_key_id", "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key"}
        keys |= {"AWS_SESSION_TOKEN": "aws_session_token", "AWS_REGION": "region_name", "AWS_ENDPOINT": "endpoint_url"}
        return cls(**_picked(config, keys), **options)


class GoogleCloudStorage(_Client):
    """Objects of Google Cloud Storage, by Google's own package."""

    def __init__(self, verbose: bool = False, **settings: Any) -> None:
        module = driver("GoogleCloudStorage", *CLIENT_DRIVERS["mage_ai.io.google_cloud_storage"])
        self.client = module.Client(**settings)

    def load(
        self, bucket_name: str, object_key: str, format: object = None, limit: int | None = None, **read: Any
    ) -> Any:
        """Return the table in an object."""
        data = self.client.bucket(bucket_name).blob(object_key).download_as_bytes()
        frame = frame_from_bytes(data, format_of(object_key, format), object_key, **read)
        return frame if limit is None else frame.head(limit)

    def export(self, data: Any, bucket_name: str, object_key: str, format: object = None, **write: Any) -> None:
        """Write a table, or the file at a path, into an object."""
        content = _content(data, object_key, format, write)
        self.client.bucket(bucket_name).blob(object_key).upload_from_string(content)

    def exists(self, bucket_name: str, prefix: str) -> bool:
        """Return whether there is an object of this name."""
        return bool(self.client.bucket(bucket_name).blob(prefix).exists())

    @classmethod
    def with_config(cls, config: Any, **options: Any) -> GoogleCloudStorage:
        """Return a client with the GOOGLE_* keys of a profile."""
        return cls(**_google(config), **options)


class BigQuery(_Client):
    """BigQuery, by Google's own package."""

    def __init__(self, verbose: bool = False, **settings: Any) -> None:
        self._module = driver("BigQuery", *CLIENT_DRIVERS["mage_ai.io.bigquery"])
        self.client = self._module.Client(**settings)

    def load(self, query_string: str, limit: int | None = None, **options: Any) -> Any:
        """Return the rows of a query as a table."""
        return self.client.query(query_string).result(max_results=limit).to_dataframe()

    def execute(self, query_string: str, **options: Any) -> None:
        """Execute one statement and wait for its end."""
        self.client.query(query_string).result()

    @classmethod
    def with_credentials_file(cls, path_to_credentials: str, **options: Any) -> BigQuery:
        """Return a client with the service account's key in a file."""
        return cls(**_google({"GOOGLE_SERVICE_ACC_KEY_FILEPATH": path_to_credentials}), **options)

    @classmethod
    def with_credentials_object(cls, credentials: Mapping[str, str], **options: Any) -> BigQuery:
        """Return a client with a service account's key."""
        return cls(**_google({"GOOGLE_SERVICE_ACC_KEY": credentials}), **options)

    def export(self, df: Any, table_id: str, if_exists: str = "replace", **options: Any) -> None:
        """Write a table, e.g. to `project.dataset.table`, and wait for its end."""
        for name in ("unique_constraints", "query_string"):
            if options.get(name):
                raise not_offered(f"'{name}' for BigQuery, an export option")
        modes = {"replace": "WRITE_TRUNCATE", "append": "WRITE_APPEND", "fail": "WRITE_EMPTY"}
        job = self._module.LoadJobConfig(write_disposition=modes[str(if_exists)])
        self.client.load_table_from_dataframe(df, table_id, job_config=job).result()

    @classmethod
    def with_config(cls, config: Any, **options: Any) -> BigQuery:
        """Return a client with the GOOGLE_* keys of a profile."""
        location = config.get("GOOGLE_LOCATION")
        return cls(**_google(config), **({"location": location} if location else {}), **options)


class MongoDB(_Client):
    """Collections of MongoDB, by pymongo."""

    def __init__(
        self, verbose: bool = False, database: str | None = None, collection: str | None = None, **settings: Any
    ):
        self.client = driver("MongoDB", *CLIENT_DRIVERS["mage_ai.io.mongodb"]).MongoClient(**settings)
        self.database, self.collection = database, collection

    def __exit__(self, *error: object) -> None:
        self.client.close()

    def load(
        self,
        collection: str | None = None,
        query: Mapping[str, Any] | None = None,
        limit: int | None = None,
        **options: Any,
    ) -> Any:
        """Return documents as a table."""
        import pandas as pd

        return pd.DataFrame(list(self._of(collection).find(query or {}, limit=limit or 0)))

    def export(self, data: Any, collection: str | None = None, if_exists: str = "append", **options: Any) -> None:
        """Write the rows of a table, or a list of dictionaries, as documents."""
        target = self._of(collection)
        if str(if_exists) == "replace":
            target.drop()
        rows = data if isinstance(data, list) else data.to_dict("records")
        if rows:
            target.insert_many(rows)

    def _of(self, collection: str | None) -> Any:
        return self.client[self.database][collection or self.collection]

    @classmethod
    def with_config(cls, config: Any, **options: Any) -> MongoDB:
        """Return a client with the MONGODB_* keys of a profile."""
        keys = {"MONGODB_DATABASE": "database", "MONGODB_COLLECTION": "collection"}
        if config.get("MONGODB_CONNECTION_STRING"):
            return cls(**_picked(config, keys), host=config["MONGODB_CONNECTION_STRING"], **options)
        keys |= {"MONGODB_HOST": "host", "MONGODB_PORT": "port", "MONGODB_USER": "username"}
        keys |= {"MONGODB_PASSWORD": "password"}
        settings = _picked(config, keys)
        return cls(**({**settings, "port": int(settings["port"])} if "port" in settings else settings), **options)


def _content(data: Any, object_key: str, format: object, write: Mapping[str, Any]) -> bytes:
    """Return the bytes of an object: of the file at a path, or of a table in the object's format."""
    if isinstance(data, str) and Path(data).is_file():
        return Path(data).read_bytes()
    return frame_to_bytes(data, format_of(object_key, format), object_key, **write)


def _picked(config: Any, keys: Mapping[str, str]) -> dict[str, Any]:
    found = {argument: config.get(key) for key, argument in keys.items()}
    return {name: value for name, value in found.items() if value not in (None, "")}


def _google(config: Any) -> dict[str, Any]:
    """Return the credentials of a profile; empty leaves them to Google's own rules."""
    key, path = config.get("GOOGLE_SERVICE_ACC_KEY"), config.get("GOOGLE_SERVICE_ACC_KEY_FILEPATH")
    if not key and not path:
        return {}
    accounts = driver("Google's clients", "google-auth", "google.oauth2.service_account").Credentials
    made = accounts.from_service_account_info(key) if key else accounts.from_service_account_file(path)
    return {"credentials": made, "project": made.project_id}
