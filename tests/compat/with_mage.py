"""Run by the Python of a real mage-ai: `read REPO PIPELINE` prints what it loads, `make` and `save` let it write.

Not a test: `test_with_mage.py` starts it. The last line printed is JSON; mage prints others before it.
"""

import json
import os
import sys


def read(repo, uuid):
    from mage_ai.data_preparation.models.pipeline import Pipeline

    pipeline = Pipeline(uuid, repo_path=repo)
    blocks = {
        name: {
            "type": block.type,
            "language": block.language,
            "name": block.name,
            "upstream": block.upstream_block_uuids,
            "downstream": block.downstream_block_uuids,
            "configuration": block.configuration,
            "replicated": block.replicated_block,
            "content": block.content,
            "called": block.callback_block.content if block.has_callback else None,
        }
        for name, block in pipeline.blocks_by_uuid.items()
    }
    return {
        "name": pipeline.name,
        "uuid": pipeline.uuid,
        "type": pipeline.type,
        "description": pipeline.description,
        "variables": pipeline.variables,
        "blocks": blocks,
        "widgets": {name: w.configuration for name, w in pipeline.widgets_by_uuid.items()},
        "callbacks": {name: c.upstream_block_uuids for name, c in pipeline.callbacks_by_uuid.items()},
        "conditionals": {name: c.upstream_block_uuids for name, c in pipeline.conditionals_by_uuid.items()},
    }


def make(repo):
    from mage_ai.data_preparation.models.block import Block
    from mage_ai.data_preparation.models.pipeline import Pipeline
    from mage_ai.data_preparation.models.widget import Widget
    from mage_ai.data_preparation.repo_manager import init_repo

    init_repo(repo, project_type="standalone", project_uuid="abc")
    pipeline = Pipeline.create("Made by mage", repo_path=repo)
    load = Block.create("load 타이타닉", "data_loader", repo, language="python", pipeline=pipeline)
    clean = Block.create(
        "api/clean", "transformer", repo, language="python", pipeline=pipeline, upstream_block_uuids=[load.uuid]
    )
    Block.create(
        "export", "data_exporter", repo, language="python", pipeline=pipeline, upstream_block_uuids=[clean.uuid]
    )
    chart = Widget.create("ages", "chart", repo, language="python", pipeline=pipeline, upstream_block_uuids=[load.uuid])
    chart.configuration = {"chart_type": "histogram", "group_by": ["age"], "buckets": 10}
    pipeline.update_block(chart, widget=True)
    for name, kind in (("told", "callback"), ("guard", "conditional")):
        block = Block.create(name, kind, repo, language="python", pipeline=pipeline)
        block.update_upstream_blocks([clean], variables=pipeline.variables)
    pipeline.update_global_variable("rows", 3)
    pipeline.update_global_variable("day", "2024-01-01")
    return {"uuid": pipeline.uuid}


def save(repo, uuid):
    from mage_ai.data_preparation.models.pipeline import Pipeline

    pipeline = Pipeline(uuid, repo_path=repo)
    pipeline.update_global_variable("by_mage", 1)
    pipeline.save()
    return {"uuid": pipeline.uuid}


if __name__ == "__main__":
    os.environ.setdefault("MAGE_DATA_DIR", os.path.join(os.path.dirname(sys.argv[2].rstrip("/")), "mage_data"))
    os.environ["REPO_PATH"] = sys.argv[2]
    os.chdir(os.path.dirname(sys.argv[2].rstrip("/")))
    from mage_ai.settings.repo import set_repo_path

    set_repo_path(sys.argv[2])
    print(json.dumps({"read": read, "make": make, "save": save}[sys.argv[1]](*sys.argv[2:]), default=str))
