"""Writing the aliases of a YAML text out: `*name` becomes the value, `&name` goes; all else stays as it is."""

from __future__ import annotations

import math

import yaml


class _Loader(yaml.SafeLoader):
    """Notes where aliases stand and what each points to there: a name may be given twice."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.places: list[tuple[int, int, yaml.Node]] = []

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        alias = self.peek_event() if self.check_event(yaml.AliasEvent) else None  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        if alias is not None and node is not None:
            self.places.append((alias.start_mark.index, alias.end_mark.index, node))
        return node


def without_aliases(text: str) -> str:
    """Return the text with its aliases written out on their lines; it was read before, so they are few and end.

    Raises:
        yaml.YAMLError: PyYAML's own reader refuses what libyaml's took, such as a tab after a colon.
    """
    loader = _Loader(text)
    try:
        loader.get_single_node()
        edits = [(start, end, _written(loader, node)) for start, end, node in loader.places]
    finally:
        loader.dispose()
    for token in yaml.scan(text, Loader=yaml.SafeLoader):
        if isinstance(token, yaml.AnchorToken):
            start, end = token.start_mark.index, token.end_mark.index
            is_before_value = text[end : end + 1] == " "  # else it ends its line, and a space stands before it
            edits.append((start - (not is_before_value), end + is_before_value, ""))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _written(loader: _Loader, node: yaml.Node) -> str:
    value = loader.construct_object(node, deep=True)

    class Plain(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    made = yaml.dump(value, Dumper=Plain, default_flow_style=True, width=math.inf, allow_unicode=True)
    return str(made).removesuffix("\n").removesuffix("\n...")
