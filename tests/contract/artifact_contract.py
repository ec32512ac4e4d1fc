"""What every artifact store promises; a backend's test class inherits it and says how to make an empty store."""

from __future__ import annotations

import multiprocessing
import shutil
import threading
from pathlib import Path

import pytest

from spellbook_core.artifacts.parts import told_parts
from spellbook_core.artifacts.problems import ArtifactMissingError, CorruptArtifactError, UntrustedArtifactError
from spellbook_core.artifacts.store import META_FILE, ArtifactStore
from spellbook_core.model.output import ArtifactRef, OutputInfo, OutputKind


def put_many(store: ArtifactStore, barrier, answers) -> None:
    """Store the same value as other processes at the same moment."""
    barrier.wait(timeout=30)
    answers.put(store.put({"same": list(range(10_000))}).artifact.digest)


class ArtifactContract:
    """Inherit, and define the fixture `store`: an empty store of a new workspace; and `other`: one of another."""

    def test_put_then_get_gives_an_equal_value(self, store):
        value = {"rows": [1, 2.5, None, True, "가"]}
        info = store.put(value, index=2)
        assert store.get(info.artifact) == value
        assert (info.index, info.kind, info.name) == (2, OutputKind.JSON, "output_2")

    def test_info_survives_json(self, store):
        info = store.put([1, 2])
        assert OutputInfo.from_json(info.to_json()) == info

    def test_equal_values_are_stored_once(self, store):
        first, second = store.put([1, 2]), store.put([1, 2])
        assert first == second
        assert len(list(store.folder(first.artifact).parent.iterdir())) == 1

    def test_equal_bytes_of_two_formats_stay_apart(self, store):
        import pandas as pd
        import pyarrow as pa

        frame = pd.DataFrame({"a": [1, 2]})
        as_frame, as_table = store.put(frame), store.put(pa.Table.from_pandas(frame))
        assert type(store.get(as_frame.artifact)) is pd.DataFrame
        assert type(store.get(as_table.artifact)) is pa.Table

    def test_processes_may_store_the_same_at_once(self, store):
        context = multiprocessing.get_context("fork")
        barrier, answers = context.Barrier(4), context.Queue()
        workers = [context.Process(target=put_many, args=(store, barrier, answers)) for _ in range(4)]
        for worker in workers:
            worker.start()
        digests = {answers.get(timeout=30) for _ in workers}
        for worker in workers:
            worker.join(30)
        assert [worker.exitcode for worker in workers] == [0] * 4
        assert len(digests) == 1
        store.verify(ArtifactRef(digests.pop(), "json"))

    def test_threads_may_store_the_same_at_once(self, store):
        problems: list[BaseException] = []

        def work() -> None:
            try:
                store.put(set(range(1000)))
            except BaseException as problem:  # noqa: BLE001  # told in the assertion
                problems.append(problem)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert problems == []

    def test_missing_artifact_is_named(self, store):
        ref = ArtifactRef("0" * 32, "json")
        assert not store.has(ref)
        for ask in (store.get, store.verify, store.meta):
            with pytest.raises(ArtifactMissingError, match="0000"):
                ask(ref)

    @pytest.mark.parametrize("digest", ["../../../etc/passwd", "", "ab", "0" * 31 + "/", "A" * 32, "0" * 32 + "\n"])
    def test_odd_digests_never_become_paths(self, store, digest):
        ref = ArtifactRef(digest, "json")
        assert not store.has(ref)
        with pytest.raises(ArtifactMissingError, match="not in the store"):
            store.folder(ref)

    @pytest.mark.guarantee("F22")
    @pytest.mark.parametrize("kind", ["json", "frame", "pickle"])
    def test_flipped_byte_is_found(self, store, kind):
        import pandas as pd

        value = {"json": [1, 2, 3], "frame": pd.DataFrame({"a": range(100)}), "pickle": {1, 2}}[kind]
        ref = store.put(value).artifact
        path = store.data_path(ref)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        for ask in (store.get, store.verify):
            with pytest.raises(CorruptArtifactError, match="corrupt"):
                ask(ref)
        assert not store.has(ref)  # from now on: so that the block which makes it is not reused
        with pytest.raises(CorruptArtifactError, match="corrupt"):
            store.data_path(ref)
        assert store.put(value).artifact == ref
        assert store.has(ref)
        store.verify(ref)

    @pytest.mark.guarantee("F22")
    @pytest.mark.parametrize("damage", ["cut", "gone", "meta"])
    def test_damaged_artifact_is_replaced_when_stored_again(self, store, damage):
        ref = store.put({1, 2, 3}).artifact
        path = store.data_path(ref)
        if damage == "cut":
            path.write_bytes(path.read_bytes()[:-1])
        elif damage == "gone":
            path.unlink()
        else:
            (store.folder(ref) / META_FILE).write_text("{")
        with pytest.raises(CorruptArtifactError, match="corrupt"):
            store.get(ref)
        assert store.put({1, 2, 3}).artifact == ref
        assert store.get(ref) == {1, 2, 3}

    @pytest.mark.guarantee("N25")
    def test_foreign_pickle_is_refused(self, store, other):
        copy_artifact(other, store, ref := other.put({1, 2}).artifact)
        with pytest.raises(UntrustedArtifactError, match="did not write"):
            store.get(ref)

    @pytest.mark.guarantee("N25")
    def test_foreign_pickle_is_replaced_by_the_own_one(self, store, other):
        copy_artifact(other, store, ref := other.put({1, 2}).artifact)
        assert store.put({1, 2}).artifact == ref
        assert store.get(ref) == {1, 2}

    def test_foreign_data_without_code_is_read(self, store, other):
        copy_artifact(other, store, ref := other.put([1, 2]).artifact)
        assert store.get(ref) == [1, 2]

    def test_stored_value_does_not_follow_the_original(self, store):
        import pandas as pd

        frame = pd.DataFrame({"a": [1.0, 2.0], "c": pd.Categorical(["x", "y"])})
        ref = store.put(frame).artifact
        copy = store.get(ref)
        copy.loc[0, "a"] = 9.0
        copy.iloc[0, 1] = "y"
        assert frame["a"].tolist() == [1.0, 2.0]
        assert store.get(ref).equals(frame)

    def test_equal_tables_of_several_values_are_stored_once(self, store):
        import pandas as pd

        train, test = pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [3]})
        alone = store.put(train)
        both = store.put({"train": train, "test": test})
        others = store.put([{"again": train.copy()}, "text"])
        parts = [told_parts(store.meta(info.artifact)) for info in (both, others)]
        assert [part.place for part in parts[0]] == ["['train']", "['test']"]
        assert parts[0][0].artifact == parts[1][0].artifact == alone.artifact
        assert both.summary == "dict of 2 with 2 tables"
        assert both.size_bytes > 2 * alone.size_bytes * 0.9

    def test_an_object_held_twice_is_one_object_again_and_equal_ones_stay_two(self, store):
        import pandas as pd

        frame = pd.DataFrame({"a": [1, 2]})
        found = store.get(store.put({"one": frame, "same": [frame], "equal": frame.copy()}).artifact)
        assert found["one"] is found["same"][0]
        assert found["one"] is not found["equal"]
        assert found["equal"].equals(frame)

    def test_objects_beside_tables_keep_what_they_share(self, store):
        import pandas as pd

        shared = {1, 2}
        found = store.get(store.put({"a": {3: shared}, "b": [shared, None], "f": pd.Series([1])}).artifact)
        assert found["a"][3] is found["b"][0]

    @pytest.mark.guarantee("F22")
    def test_damaged_part_is_found_and_replaced(self, store):
        import pandas as pd

        value = {"train": pd.DataFrame({"a": range(100)}), "day": {1}}
        ref = store.put(value).artifact
        [part] = told_parts(store.meta(ref))
        path = store.data_path(part.artifact)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        for ask in (store.get, store.verify):
            with pytest.raises(CorruptArtifactError, match="corrupt"):
                ask(ref)
        assert store.put(value).artifact == ref
        assert store.get(ref)["train"].equals(value["train"])

    def test_value_whose_part_is_gone_is_not_there(self, store):
        import pandas as pd

        ref = store.put({"train": pd.DataFrame({"a": [1]})}).artifact
        assert store.has(ref)
        assert store.hold(ref)
        [part] = told_parts(store.meta(ref))
        shutil.rmtree(store.folder(part.artifact))
        assert not store.has(ref)
        assert not store.hold(ref)
        for ask in (store.get, store.verify, store.data_path):
            with pytest.raises(ArtifactMissingError, match=part.artifact.digest):
                ask(ref)

    def test_foreign_dict_of_tables_is_read_without_code(self, store, other):
        import pandas as pd

        ref = other.put({"a": pd.DataFrame({"x": [1]}), "n": [1, None]}).artifact
        copy_artifact(other, store, ref)
        copy_artifact(other, store, told_parts(other.meta(ref))[0].artifact)
        assert store.get(ref)["a"].equals(pd.DataFrame({"x": [1]}))

    @pytest.mark.parametrize("kind", ["many", "itself", "keys"])
    def test_what_cannot_be_taken_apart_is_kept_whole(self, store, kind):
        import pandas as pd

        frame = pd.DataFrame({"x": [1]})
        itself: list = [frame]
        itself.append(itself)
        value = {"many": [frame.copy() for _ in range(201)], "itself": itself, "keys": {frozenset({1}): frame}}[kind]
        info = store.put(value)
        assert info.artifact.format == "pickle5"
        found = store.get(info.artifact)
        assert (found[0] if kind != "keys" else found[frozenset({1})]).equals(frame)

    def test_what_cannot_be_kept_beside_a_table_tells_its_place(self, store):
        import pandas as pd

        with pytest.raises(TypeError, match=r"generator at \['rows'\]\[1\] of the returned dict"):
            store.put({"frame": pd.DataFrame({"x": [1]}), "rows": [1, (n for n in [1])]})
        with pytest.raises(ValueError, match=r"At \['odd'\]: The table has several columns named a"):
            store.put({"odd": pd.DataFrame([[1, 2]], columns=["a", "a"])})

    def test_refusal_leaves_nothing_behind(self, store, tmp_path):
        store.put(1)
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(TypeError, match="generator"):
            store.put(x for x in "abc")
        assert sorted(tmp_path.rglob("*")) == before


def copy_artifact(source: ArtifactStore, target: ArtifactStore, ref: ArtifactRef) -> None:
    """Plant an artifact of one workspace in another, as an imported project would."""
    target.put(0)
    folder = target.folder(ref)
    folder.mkdir(parents=True)
    for path in Path(source.folder(ref)).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
