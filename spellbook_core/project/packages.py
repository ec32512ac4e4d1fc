"""Names of packages: what is installed to make an import work, and what may be asked of an installer."""

from __future__ import annotations

import re
from collections.abc import Mapping

INSTALL_NAMES: Mapping[str, str] = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "git": "gitpython",
    "google": "google-cloud-storage",
    "jwt": "pyjwt",
    "kafka": "kafka-python",
    "magic": "python-magic",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyopenssl",
    "PIL": "pillow",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "snowflake": "snowflake-connector-python",
    "telegram": "python-telegram-bot",
    "usb": "pyusb",
    "win32api": "pywin32",
    "yaml": "pyyaml",
    "zmq": "pyzmq",
}
"""Import name -> the name to install, where they differ."""

CLIENT_DRIVERS: Mapping[str, tuple[str, ...]] = {
    "mage_ai.io.bigquery": ("google-cloud-bigquery[pandas,pyarrow]", "google.cloud.bigquery"),
    "mage_ai.io.duckdb": ("duckdb", "duckdb"),
    "mage_ai.io.google_cloud_storage": ("google-cloud-storage", "google.cloud.storage"),
    "mage_ai.io.mongodb": ("pymongo", "pymongo"),
    "mage_ai.io.mssql": ("pymssql", "pymssql"),
    "mage_ai.io.mysql": ("pymysql", "pymysql", "mysql.connector"),
    "mage_ai.io.postgres": ("psycopg[binary]", "psycopg", "psycopg2"),
    "mage_ai.io.s3": ("boto3", "boto3"),
    "mage_ai.io.snowflake": ("snowflake-connector-python", "snowflake.connector"),
}
"""mage's client -> the package to install for it, then the modules of which one must be there, best first."""

REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?)"
    r"(?P<extras>\[[A-Za-z0-9._-]{1,60}(?:,[A-Za-z0-9._-]{1,60}){0,9}\])?"
    r"(?P<versions>[ ]?(?:[<>=!~]=?=?[ ]?[A-Za-z0-9.*+!_-]{1,60})(?:,[ ]?[<>=!~]=?=?[ ]?[A-Za-z0-9.*+!_-]{1,60}){0,5})?"
)
"""A package's name, extras and versions: never an option, an address or a path."""


def install_name(imported: str) -> str:
    """Return the name to install for a top-level import name."""
    return INSTALL_NAMES.get(imported, imported)


def normalized(package: str) -> str:
    """Return a package's name in the one form in which two names are compared: `scikit_learn`."""
    return re.sub(r"[-_.]+", "_", package).lower()


def required(text: str) -> dict[str, str]:
    """Return normalized name -> requirement of a requirements file's plain lines; options, paths and URLs left out."""
    found = {}
    for line in text.splitlines():
        plain = line.partition("#")[0].partition(";")[0].strip()
        match = REQUIREMENT.fullmatch(plain)
        if match:
            found[normalized(match["name"])] = plain
    return found
