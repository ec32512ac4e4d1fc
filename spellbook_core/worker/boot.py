"""Start a worker process under another interpreter: `python boot.py MODULE ARGUMENT...`.

It needs no Spellbook installed there: the package is found by its own folder alone, so that no package which lies
beside it (Spellbook's own pandas, say) comes into reach. Written for any Python 3, to tell one that is too old.
"""

import os
import sys

OLDEST = (3, 11)
"""The oldest Python that runs blocks."""


def install() -> None:
    """Make `spellbook_core` importable in this process."""
    from importlib.util import module_from_spec, spec_from_file_location

    if "spellbook_core" in sys.modules:
        return
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    place = os.path.join(root, "__init__.py")
    spec = spec_from_file_location("spellbook_core", place, submodule_search_locations=[root])
    if spec is None or spec.loader is None:
        raise ImportError("%s is not there" % place)  # noqa: UP031  # for any Python
    module = module_from_spec(spec)
    sys.modules["spellbook_core"] = module
    spec.loader.exec_module(module)


def main() -> None:
    """Run the `main` of the module that the first argument names."""
    if sys.version_info[:2] < OLDEST:
        found = (sys.executable, ".".join(map(str, sys.version_info[:3])), ".".join(map(str, OLDEST)))
        sys.exit("%s is Python %s, which is too old for blocks: use Python %s or newer" % found)  # noqa: UP031
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != here]  # whose modules are called `load`, `call`, `api`
    install()
    del sys.argv[0]
    from importlib import import_module

    import_module(sys.argv[0]).main()


if __name__ == "__main__":
    main()
elif __name__ == "__mp_main__":  # a process that a block made by multiprocessing
    install()
