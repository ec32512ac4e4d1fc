"""All that a block's result depends on, gathered: from a block of a run, or as things are without one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache

from spellbook_core.clock import to_text
from spellbook_core.engine import fingerprint
from spellbook_core.engine.active import ActiveBlock, ActiveRun
from spellbook_core.model.naming import RunId
from spellbook_core.model.task import BlockInput
from spellbook_core.model.values import YamlValue
from spellbook_core.project.closure import Closure
from spellbook_core.project.installed import environment_of
from spellbook_core.project.layout import ProjectLayout
from spellbook_core.project.secrets import references_in
from spellbook_core.project.sourcefacts import NAMED, READS_VARIABLES, SourceFacts


def environment_for(
    project: ProjectLayout,
    facts: SourceFacts,
    closure: Closure,
    python: str | None = None,
    *,
    referred: frozenset[str] = frozenset(),
) -> dict[str, str]:
    """Return what a block of these imports owes to its environment; see `environment_of`.

    Args:
        project: Where the block is.
        facts: Of its text.
        closure: The modules that it reaches.
        python: An interpreter's path; None for the one that runs this.
        referred: Of `referred_by`.
    """
    packages = closure.packages | {ref.module.split(".")[0] for ref in facts.imports if not ref.level}
    return environment_of(project, frozenset(packages | referred), python)


def referred_by(configuration: Mapping[str, YamlValue]) -> frozenset[str]:
    """Return the variables and secrets that a block's `env` refers to, as `environment_of` takes them."""
    declared = configuration.get("env")
    if not isinstance(declared, Mapping):
        return frozenset()
    names = references_in(" ".join(str(value) for value in declared.values()))
    return frozenset({READS_VARIABLES, *(f"{NAMED}{name}" for name in names)}) if names else frozenset()


def compute_parts(
    *,
    block_type: str,
    language: str,
    facts: SourceFacts,
    closure: Closure,
    parents: Iterable[tuple[str, str]],
    variables: Mapping[str, str],
    configuration: Mapping[str, YamlValue],
    environment: Mapping[str, str],
    moments: Mapping[str, str] | None = None,
    child: int | None = None,
) -> fingerprint.Parts:
    """Return all that a block's result depends on.

    Args:
        block_type: As the pipeline has it.
        language: As the pipeline has it.
        facts: Of the block's text.
        closure: The modules that it reaches.
        parents: Parent -> what names the content that it hands over, in argument order; see `content_id`.
        variables: Digest of the value of every variable of the run.
        configuration: The block's own.
        environment: Of `environment_for`.
        moments: Facts of the run; those that the block looks at count. None when there is no run.
        child: Which child it is of a block that runs once per item.
    """
    looked_at = fingerprint.moments_of(facts, closure.mentions, closure.asked) if moments else []
    return fingerprint.Parts(
        block=f"{block_type}/{language}",
        code=facts.digest,
        modules=closure.digest,
        parents=tuple(parents),
        variables={name: variables[name] for name in fingerprint.visible(sorted(variables), facts)},
        configuration=fingerprint.configuration_digest(configuration),
        environment=environment,
        moment={
            **{name: (moments or {})[name] for name in looked_at},  # in a run they go over variables of that name
            **({} if child is None else {"dynamic_block_index": str(child)}),
        },
    )


def parts_of(run: ActiveRun, block: ActiveBlock, facts: SourceFacts, closure: Closure) -> fingerprint.Parts:
    """Return what the result of a block of a run depends on; its parents have ended.

    Args:
        run: The run.
        block: The block.
        facts: Of its text.
        closure: The modules that it runs with.
    """
    return compute_parts(
        block_type=block.block_type,
        language=block.spec.language,
        facts=facts,
        closure=closure,
        parents=[(given.block, _content_of(given)) for given in run.inputs(block)],
        variables=_variables(run),
        configuration=block.spec.configuration,
        environment=environment_for(
            run.project,
            facts,
            closure,
            run.environment_of(block).python,
            referred=referred_by(block.spec.configuration),
        ),
        moments=_moments(run.run.id, run.run.execution_date, run.run.trigger),
        child=block.index,
    )


def _variables(run: ActiveRun) -> Mapping[str, str]:
    """Return the digest of each variable, worked out once per run."""
    if run.variable_digests is None:
        run.variable_digests = {name: fingerprint.value_digest(value) for name, value in run.variables.items()}
    return run.variable_digests


def _content_of(given: BlockInput) -> str:
    if given.item is not None:
        return f"item:{given.outputs[0].items[0].digest}" if given.outputs and given.outputs[0].items else "item"
    shape = None if given.children is None else [output.child for output in given.outputs]
    return fingerprint.content_id([output.artifact for output in given.outputs], shape)


@lru_cache(maxsize=64)
def _moments(run_id: RunId, at: datetime, trigger: str) -> Mapping[str, str]:
    """Return the facts of a run that blocks receive as keywords; see `worker.call.system_keywords`."""
    return {
        "execution_date": to_text(at),
        "ds": f"{at:%Y-%m-%d}",
        "hr": f"{at:%H}",
        "interval_start_datetime": to_text(at),
        "execution_partition": str(run_id),
        "pipeline_run_id": str(run_id),
        "trigger_name": trigger,
        "env": "dev" if trigger == "notebook" else "prod",
    }
