"""Where everything lies: the only module that joins the names of projects, pipelines and blocks into paths.

Every method checks the names (`model.naming.validate_uuid`) and that the result stays in its folder, links followed.
"""

from __future__ import annotations

import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from spellbook_core.errors import BadNameError, NotFoundError, SpellbookError
from spellbook_core.model.block import Block
from spellbook_core.model.naming import PipelineUuid, ProjectName, names_hint, validate_uuid
from spellbook_core.project.containment import OutsideProjectError, check_relative, existing_form, inside
from spellbook_core.project.state_folder import StateFolder

PIPELINE_FILE = "metadata.yaml"
PROJECTS_FOLDER = "projects"

TYPE_FOLDERS = {
    "data_loader": "data_loaders",
    "transformer": "transformers",
    "custom": "custom",
    "data_exporter": "data_exporters",
    "sensor": "sensors",
    "conditional": "conditionals",
    "callback": "callbacks",
    "chart": "charts",
    "scratchpad": "scratchpads",
    "markdown": "markdowns",
    "extension": "extensions",
    "dbt": "dbts",
}
"""Block type -> its folder; `custom` is singular. Source: mage-ai 0.9.80's project layout."""

EXTENSIONS = {
    **{"python": "py", "sql": "sql", "yaml": "yaml", "markdown": "md", "r": "r"},
    **{"bash": "sh", "shell": "sh"},
}
"""Language -> file extension; the last of two languages with one extension is what its files are taken for."""


class NotAWorkspaceError(SpellbookError, NotADirectoryError):
    """A folder holds neither `projects/` nor a project."""

    code = "SB-PRJ-001"


@dataclass(frozen=True, slots=True)
class Workspace(StateFolder):
    """The folder that is served, with its folder of state.

    Attributes:
        is_single_project: Whether `root` itself is the only project (mage's way), rather than a folder of projects.
        holds_projects: Whether the projects lie in `root` itself, where there is no `projects/`.
    """

    is_single_project: bool
    holds_projects: bool = False

    @classmethod
    def open(cls, path: Path, *, create: bool = False) -> Workspace:
        """Return the workspace at `path`.

        Args:
            path: A folder with `projects/`, a single project (`metadata.yaml` and `pipelines/`), or any folder that
                holds such projects.
            create: Make the folder and its `projects/` when it is none of these.

        Raises:
            NotAWorkspaceError: It is none of these. [SB-PRJ-001]
        """
        root = path.expanduser().resolve()
        has_folder = (root / PROJECTS_FOLDER).is_dir()
        if _is_project(root) and not (has_folder and _has_projects(root / PROJECTS_FOLDER)):
            return cls(root, is_single_project=True)
        if has_folder:
            return cls(root, is_single_project=False)
        if _has_projects(root):
            return cls(root, is_single_project=False, holds_projects=True)
        if not create:
            raise NotAWorkspaceError(
                f"{root} holds no projects: there is neither a folder 'projects' nor 'metadata.yaml' with 'pipelines', "
                "here or in a folder of it.",
                hint="give the path of a project or of the folder above it, or make a folder 'projects' here.",
                path=str(root),
            )
        try:
            (root / PROJECTS_FOLDER).mkdir(parents=True, exist_ok=True)
        except OSError as cause:
            raise NotAWorkspaceError(
                f"Cannot make a workspace at {root}: {cause.strerror or cause}.",
                hint="choose a folder that you may write to.",
                path=str(root),
            ) from cause
        return cls(root, is_single_project=False)

    @property
    def projects_dir(self) -> Path:
        """The folder above the projects."""
        if self.holds_projects:
            return self.root
        return self.root.parent if self.is_single_project else self.root / PROJECTS_FOLDER

    def project_names(self) -> list[ProjectName]:
        """Return the projects, sorted; folders with a name or link that is refused are left out."""
        if self.is_single_project:
            return [ProjectName(self.root.name)]
        found = []
        try:
            entries = sorted(os.scandir(self.projects_dir), key=lambda entry: entry.name)
        except OSError:
            return []
        for entry in entries:
            path = Path(entry.path)
            if not (_is_project(path) if self.holds_projects else _may_be_project(path)):
                continue
            try:
                validate_uuid(entry.name, "project")
                inside(self.projects_dir, path)
            except SpellbookError:
                continue
            found.append(ProjectName(unicodedata.normalize("NFC", entry.name)))
        return found

    def project(self, name: str) -> ProjectLayout:
        """Return where the files of project `name` lie.

        Raises:
            NotFoundError: Names the projects there are. [SB-SYS-002]
            BadNameError: The name cannot be one. [SB-SYS-001]
        """
        if self.is_single_project and name == self.root.name:
            return ProjectLayout(ProjectName(name), self.root, self)
        layout = None if self.is_single_project else self.new_project(name)
        if layout is None or not layout.root.is_dir():
            raise NotFoundError(
                f"There is no project '{ascii(name[:60])[1:-1] if not name.isprintable() else name[:60]}'.",
                hint=names_hint("the projects are", self.project_names(), name),
            )
        return layout

    def new_project(self, name: str) -> ProjectLayout:
        """Return where project `name` would lie; nothing is made.

        Raises:
            BadNameError: The name cannot be one, or the workspace is a single project. [SB-SYS-001]
        """
        if self.is_single_project:
            raise BadNameError(
                f"{self.root} is one project; it cannot hold another.",
                hint="serve a folder with 'projects/' in it to have several.",
            )
        validate_uuid(name, "project")
        root = inside(self.projects_dir, existing_form(self.projects_dir, name))
        return ProjectLayout(ProjectName(unicodedata.normalize("NFC", name)), root, self)


@dataclass(frozen=True, slots=True)
class ProjectLayout:
    """Where the files of one project lie.

    Attributes:
        name: NFC; the folder on disk may be NFD.
        root: Absolute.
    """

    name: ProjectName
    root: Path
    workspace: Workspace

    @property
    def pipelines_dir(self) -> Path:
        """The folder with one folder per pipeline."""
        return inside(self.root, self.root / "pipelines")

    def pipeline_dir(self, uuid: str) -> Path:
        """Return the folder of a pipeline, which need not exist. Raises BadNameError, OutsideProjectError."""
        validate_uuid(uuid, "pipeline")
        return inside(self.root, existing_form(self.pipelines_dir, uuid))

    def pipeline_file(self, uuid: str) -> Path:
        """Return the `metadata.yaml` of a pipeline, which need not exist."""
        validate_uuid(uuid, "pipeline")
        return inside(self.root, existing_form(self.root / "pipelines", uuid) / PIPELINE_FILE)

    def pipeline_uuids(self) -> list[PipelineUuid]:
        """Return the pipelines that have a file, sorted; those with a refused name or link are left out."""
        found = []
        try:
            entries = sorted(os.scandir(self.pipelines_dir), key=lambda entry: entry.name)
        except (OSError, OutsideProjectError):
            return []
        for entry in entries:
            try:
                if self.pipeline_file(entry.name).is_file():
                    found.append(PipelineUuid(unicodedata.normalize("NFC", entry.name)))
            except SpellbookError:
                continue
        return found

    def type_folder(self, block_type: str) -> str:
        """Return the folder of a block type; unknown types get an `s`, as mage does."""
        return TYPE_FOLDERS.get(block_type) or f"{validate_uuid(block_type, 'block type')}s"

    def default_block_file(self, block_type: str, uuid: str, language: str = "python") -> Path:
        """Return `<type folder>/<uuid>.<extension>`, in the Unicode form that is on disk."""
        validate_uuid(uuid, "block", allow_slash=True)
        name = f"{self.type_folder(block_type)}/{uuid}.{EXTENSIONS.get(language, 'py')}"
        return inside(self.root, existing_form(self.root, name))

    def block_file(self, block: Block) -> Path:
        """Return the file of a block: the first that exists, else the default path.

        Looked up in this order: `configuration.file_source.path`, `configuration.file_path`, the default; each also
        with its first one or two folders removed, since some files name the project's own folder. A path in the
        configuration that leads out of the project is never looked at.

        Raises:
            BadNameError: The uuid or type cannot name a file. [SB-SYS-001]
            OutsideProjectError: The default path is a link that leaves the project. [SB-PRJ-002]
        """
        for text in configured_paths(block):
            found = self._first_of(text)
            if found is not None:
                return found
        default = self.default_block_file(block.type, block.replicated_block or block.uuid, block.language)
        return default if default.is_file() else self._first_of(self.relative(default)) or default

    def _first_of(self, text: str) -> Path | None:
        """Return the file of a relative path, else that of the path without its first one or two folders."""
        parts = text.split("/")
        for skipped in range(min(3, len(parts))):
            try:
                path = self.contained("/".join(parts[skipped:]))
            except SpellbookError:
                continue
            if path.is_file():
                return path
        return None

    def contained(self, relative: str) -> Path:
        """Return the path of a relative name that a person or a file gave; it need not exist.

        Raises:
            OutsideProjectError: It escapes, is hidden, or passes a link that leaves the project. [SB-PRJ-002]
        """
        check_relative(relative)
        return inside(self.root, existing_form(self.root, relative))

    def relative(self, path: Path) -> str:
        """Return `path` relative to the project, with `/`; for showing."""
        return path.relative_to(self.root).as_posix()


class HasWorkspace(Protocol):
    """What the services of files need of their context: the workspace, and nothing of runs."""

    @property
    def workspace(self) -> Workspace:
        """The folder that is served."""


def _is_project(folder: Path) -> bool:
    try:
        return (folder / PIPELINE_FILE).is_file() and (folder / "pipelines").is_dir()
    except OSError:  # a folder that may not be looked into
        return False


def _may_be_project(folder: Path) -> bool:
    """Whether a folder of `projects/`, where nothing else is expected, holds at least a part of a project."""
    return folder.is_dir() and ((folder / PIPELINE_FILE).is_file() or (folder / "pipelines").is_dir())


def _has_projects(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(entry.name[0] != "." and _is_project(Path(entry.path)) for entry in entries)
    except OSError:
        return False


def configured_paths(block: Block) -> list[str]:
    """Return the files that a block's configuration names, in the order in which they are tried.

    With `/` between folders, also where mage wrote the file on Windows, and without a `./` in front.
    """
    source = block.configuration.get("file_source")
    found = [source.get("path") if isinstance(source, dict) else None, block.configuration.get("file_path")]
    return [text.replace("\\", "/").removeprefix("./") for text in found if isinstance(text, str) and text]


def library_root() -> Path:
    """Return the shared `blocks/` folder of a checkout. An installed package has none: the path does not exist."""
    return Path(__file__).resolve().parents[2] / "blocks"
