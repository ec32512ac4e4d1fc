"""What a block's result depends on, as named digests; equal digests mean that running it again brings nothing new.

Pure: the parts are values, and what changed between two fingerprints is told from them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache

from spellbook_core.atomic import content_hash
from spellbook_core.model.output import ArtifactRef
from spellbook_core.model.record import record
from spellbook_core.model.values import YamlValue
from spellbook_core.project.installed import OF_SECRET, OF_VARIABLE
from spellbook_core.project.secrets import IO_CONFIG_FILE
from spellbook_core.project.sourcefacts import MOMENTS, REST, SourceFacts

SCHEMA = 1
"""Raised when a fingerprint means something else; everything then runs once more."""

NOT_FINGERPRINTED = frozenset({"cache", "file_source", "file_path", "memory_limit"})
"""Configuration that says when a block runs or where its text is, not what it does."""

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode

MAX_NAMED = 4
"""Most changed names that a reason lists."""


@record
class Parts:
    """All that a result depends on.

    Attributes:
        block: Type and language.
        code: Digest of the meaning of its text.
        modules: Digest of the project modules it reaches; empty without any.
        parents: Parent -> id of the content it hands over, in argument order.
        variables: Variable -> digest of its value, for those the block can see.
        configuration: Digest of the block's own settings.
        environment: Name -> version or digest.
        moment: Fact of the run -> value, for those the block looks at.
    """

    block: str
    code: str
    modules: str
    parents: tuple[tuple[str, str], ...]
    variables: Mapping[str, str]
    configuration: str
    environment: Mapping[str, str]
    moment: Mapping[str, str]

    @property
    def text(self) -> str:
        """The parts as JSON, the same text for the same parts."""
        return _encode(
            {
                "block": self.block,
                "code": self.code,
                "modules": self.modules,
                "parents": self.parents,
                "variables": self.variables,
                "configuration": self.configuration,
                "environment": self.environment,
                "moment": self.moment,
            }
        )

    @property
    def digest(self) -> str:
        """The fingerprint: 32 hexadecimal characters."""
        return digest_of(self.text)


def digest_of(text: str) -> str:
    """Return the fingerprint of the parts that `Parts.text` wrote."""
    return content_hash(f"{SCHEMA}{text}".encode("utf-8", "surrogatepass"))


def read_parts(text: str) -> Parts:
    """Return the parts that `Parts.text` wrote. Raises ValueError, KeyError or TypeError for anything else."""
    data = json.loads(text)
    data["parents"] = tuple((name, content) for name, content in data["parents"])
    return Parts(**data)


def content_id(outputs: Iterable[ArtifactRef], shape: Sequence[str] | None = None) -> str:
    """Return what names the outputs of a block by their bytes, in order.

    Args:
        outputs: All of them.
        shape: Of a block that ran once per item: which child made each of `outputs`.
    """
    if shape is not None:
        return "children:" + ",".join(
            f"{child}={ref.digest}.{ref.format}" for ref, child in zip(outputs, shape, strict=True)
        )
    return ",".join(f"{ref.digest}.{ref.format}" for ref in outputs) or "nothing"


def value_digest(value: YamlValue) -> str:
    """Return a digest of a variable's value; 1, 1.0 and True differ, and so do the same entries in another order."""
    return content_hash(json.dumps(value, default=repr).encode())[:16]


@lru_cache(maxsize=1)
def _no_configuration() -> str:
    return value_digest({})


def configuration_digest(configuration: Mapping[str, YamlValue]) -> str:
    """Return a digest of what a block's own settings say about its work."""
    counted = {name: configuration[name] for name in sorted(configuration) if name not in NOT_FINGERPRINTED}
    return value_digest(counted) if counted else _no_configuration()


def visible(names: Iterable[str], facts: SourceFacts) -> list[str]:
    """Return those of the variables `names` that a block can see, in their order."""
    return [name for name in names if facts.keywords is None or name in facts.keywords]


def moments_of(facts: SourceFacts, mentions: Collection[str], asked: Collection[str]) -> list[str]:
    """Return the facts of a run that a block looks at, sorted.

    Args:
        facts: Of the block.
        mentions: Moments that its modules mention; they count where the block may hand its keywords on.
        asked: Moments that its modules ask `current_run()` for.
    """
    seen = facts.keywords if facts.keywords is not None else {*facts.mentions, *mentions}
    return sorted({*(MOMENTS & set(seen)), *facts.asked, *asked})


def reasons(old: Parts, new: Parts, meaning: Callable[[str], Mapping[str, str]]) -> tuple[str, ...]:
    """Return what changed, for people; the facts of the run do not count.

    Args:
        old: What the stored output was made from.
        new: As things are.
        meaning: Digest -> what it stands for: path -> digest for `modules`, name -> digest for a module; empty when
            that is not known.
    """
    found: list[str] = []
    if old.block != new.block:
        found.append("its type changed")
    if old.code != new.code:
        found.append("its code changed")
    if old.modules != new.modules:
        found += _changed_modules(meaning(old.modules), meaning(new.modules), meaning, but_imports=bool(found))
        if not found:
            found.append("a module it imports changed")
    if old.parents != new.parents:
        found += _changed_parents(old.parents, new.parents)
    found += [f"variable {name} changed" for name in _differing(old.variables, new.variables)]
    if old.configuration != new.configuration:
        found.append("its configuration changed")
    surroundings = _differing(completed_environment(old.environment, new.environment), new.environment)
    if surroundings:
        told = [_told(name, old.environment.get(name), new.environment.get(name)) for name in surroundings]
        found.append(f"environment changed: {_listed(told)}")
    return tuple(found)


def _changed_modules(
    old: Mapping[str, str],
    new: Mapping[str, str],
    meaning: Callable[[str], Mapping[str, str]],
    *,
    but_imports: bool,
) -> list[str]:
    if not old and not new:
        return []
    found = []
    for path in _differing(old, new):
        if path in old and path in new:
            names = _differing(meaning(old[path]), meaning(new[path]))
            names.sort(key=lambda name: name == REST)
            found.append(f"{path} changed" + (f": {_listed(names)}" if names else ""))
        elif not but_imports:
            found.append(f"{path} was added" if path in new else f"{path} is no longer imported")
    return found


def _changed_parents(old: tuple[tuple[str, str], ...], new: tuple[tuple[str, str], ...]) -> list[str]:
    if [name for name, _ in old] != [name for name, _ in new]:
        return ["its parents changed"]
    return [f"{name} changed" for (name, before), (_, now) in zip(old, new, strict=True) if before != now]


def completed_environment(old: Mapping[str, str], new: Mapping[str, str]) -> Mapping[str, str]:
    """Return `old` with the packages of `new` where it was told before its environment was made, else as it is."""
    if old == new or "environment" not in old or any(map(_is_package, old)):
        return old
    return dict(sorted({**{name: told for name, told in new.items() if _is_package(name)}, **old}.items()))


def _is_package(name: str) -> bool:
    return name not in {"environment", "platform", "Python"} and not _is_nameless(name)


def _is_nameless(name: str) -> bool:
    """Whether the value of this part of an environment is a digest, of a file or a secret."""
    return name.endswith((".txt", ".lock")) or name == IO_CONFIG_FILE or name.startswith((OF_SECRET, OF_VARIABLE))


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    return [] if old == new else [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]


def _told(name: str, old: str | None, new: str | None) -> str:
    if _is_nameless(name):
        return name
    return f"{name} {old or 'not there'} → {new or 'not there'}"


def _listed(names: list[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
