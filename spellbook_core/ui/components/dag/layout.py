"""Where the blocks of a pipeline are drawn: layers, few crossings, straight long edges. Pure, deterministic.

The method is that of Sugiyama, Tagawa and Toda (1981): longest-path layers; an edge that skips layers gets a bend
(a dummy) in each layer it crosses, so that it does not run under blocks; layers are ordered by barycentres, the order
with the fewest crossings is kept; coordinates are least squares under a minimum distance (isotonic regression).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

Direction: TypeAlias = Literal["LR", "TB"]
Point: TypeAlias = tuple[int, int]
_Edge: TypeAlias = tuple[int, int]

_ORDER_SWEEPS = 8
_PLACE_SWEEPS = 6
_LARGE = 1500
"""Blocks and bends together beyond which fewer sweeps are made: 8 sweeps over 5,000 took 0.3 s."""
_BEND_SHARE = 0.5
"""Distance of a bend from its neighbour, as a share of the distance between blocks."""


@dataclass(frozen=True, slots=True)
class Size:
    """Pixels of a block's box, and of the free space between boxes."""

    width: int
    height: int
    gap_along: int
    gap_across: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """Centres in pixels, origin in the middle of the picture.

    Attributes:
        nodes: Centre of each block.
        bends: For each (parent, child) whose edge skips layers, the points it runs through, parent's side first.
    """

    nodes: dict[str, Point]
    bends: dict[tuple[str, str], tuple[Point, ...]]

    @property
    def extent(self) -> tuple[int, int]:
        """Width and height in pixels, from the first centre to the last."""
        points = [*self.nodes.values(), *(point for bends in self.bends.values() for point in bends)]
        if not points:
            return 0, 0
        across, down = zip(*points, strict=True)
        return max(across) - min(across), max(down) - min(down)


def lay_out(uuids: Sequence[str], parents: Mapping[str, Iterable[str]], size: Size, direction: Direction) -> Drawing:
    """Return the drawing of a pipeline; the same input gives the same drawing.

    Args:
        uuids: Every block once; their order breaks ties.
        parents: Parents of each block. Unknown names, self-loops and repeats are left out; of a cycle, the edges
            that close it are drawn but do not count for the layers.
        size: Of the boxes.
        direction: LR puts parents to the left of children, TB above them.
    """
    if not uuids:
        return Drawing({}, {})
    index = {uuid: number for number, uuid in enumerate(dict.fromkeys(uuids))}
    edges = sorted(
        {
            (index[parent], index[child])
            for child in index
            for parent in parents.get(child, ())
            if parent in index and parent != child
        }
    )
    layer_of = _layers(len(index), edges)
    chains, layer_of = _bend(len(index), edges, layer_of)
    segments = [pair for chain in chains.values() for pair in pairwise(chain)]
    layers = _order(_by_layer(layer_of), segments, layer_of)
    along_step, across_step = (
        (size.width + size.gap_along, size.height + size.gap_across)
        if direction == "LR"
        else (size.height + size.gap_along, size.width + size.gap_across)
    )
    across = _place(layers, segments, len(index), across_step)
    points = _points(layer_of, across, along_step, direction)
    names = list(index)
    return Drawing(
        nodes={uuid: points[number] for uuid, number in index.items()},
        bends={
            (names[first], names[last]): tuple(points[bend] for bend in chain[1:-1])
            for (first, last), chain in chains.items()
            if len(chain) > 2
        },
    )


def _layers(count: int, edges: list[_Edge]) -> list[int]:
    """Return each block's layer: one below its lowest parent; a block without parents sits just above its children."""
    children: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for parent, child in edges:
        children[parent].append(child)
        waiting[child] += 1
    has_parents = [number > 0 for number in waiting]
    layer = [0] * count
    done = [False] * count
    ready = [node for node in range(count) if not waiting[node]]
    while not all(done):
        if not ready:  # a cycle: start with its first block, as if its remaining parents were not there
            ready = [next(node for node in range(count) if not done[node])]
        node = ready.pop(0)
        if done[node]:
            continue
        done[node] = True
        for child in children[node]:
            if not done[child]:
                layer[child] = max(layer[child], layer[node] + 1)
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)
    for node in range(count):
        if not has_parents[node] and children[node]:
            layer[node] = max(0, min(layer[child] for child in children[node]) - 1)
    return layer


def _bend(count: int, edges: list[_Edge], layer_of: list[int]) -> tuple[dict[_Edge, list[int]], list[int]]:
    """Return for each edge the nodes it runs through, ends included, and the layers with those of the bends added."""
    layers = list(layer_of)
    chains: dict[_Edge, list[int]] = {}
    for parent, child in edges:
        first, last = layers[parent], layers[child]
        step = 1 if last > first else -1
        bends = []
        for layer in range(first + step, last, step):
            bends.append(len(layers))
            layers.append(layer)
        chains[parent, child] = [parent, *bends, child]
    return chains, layers


def _by_layer(layer_of: list[int]) -> list[list[int]]:
    layers: list[list[int]] = [[] for _ in range(max(layer_of) + 1)]
    for node, layer in enumerate(layer_of):
        layers[layer].append(node)
    return layers


def _neighbours(segments: list[_Edge], layer_of: list[int]) -> tuple[list[list[int]], list[list[int]]]:
    """Return each node's neighbours in the layer before and in the layer after."""
    before: list[list[int]] = [[] for _ in layer_of]
    after: list[list[int]] = [[] for _ in layer_of]
    for one, other in segments:
        if layer_of[one] == layer_of[other]:
            continue
        early, late = (one, other) if layer_of[one] < layer_of[other] else (other, one)
        before[late].append(early)
        after[early].append(late)
    return before, after


def _order(layers: list[list[int]], segments: list[_Edge], layer_of: list[int]) -> list[list[int]]:
    """Return the layers in the order with the fewest crossings that the sweeps met."""
    before, after = _neighbours(segments, layer_of)
    position = [0] * len(layer_of)
    _number(layers, position)
    best, fewest = [list(layer) for layer in layers], _crossings(layers, after, position)
    sweeps = _ORDER_SWEEPS if len(layer_of) <= _LARGE else 2
    for sweep in range(sweeps):
        if not fewest:
            break
        down = sweep % 2 == 0
        side = before if down else after
        for layer in layers if down else reversed(layers):
            centre = {
                node: sum(position[other] for other in side[node]) / len(side[node]) if side[node] else position[node]
                for node in layer
            }
            layer.sort(key=lambda node: (centre[node], position[node]))
            for place, node in enumerate(layer):
                position[node] = place
        crossings = _crossings(layers, after, position)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    return best


def _number(layers: list[list[int]], position: list[int]) -> None:
    for layer in layers:
        for place, node in enumerate(layer):
            position[node] = place


def _crossings(layers: list[list[int]], after: list[list[int]], position: list[int]) -> int:
    """Count the pairs of segments that cross, by a Fenwick tree: n log n."""
    total = 0
    for layer, following in pairwise(layers):
        tree = [0] * (len(following) + 1)
        seen = 0
        for node in layer:
            ends = sorted(position[other] for other in after[node])
            for end in ends:
                total += seen - _prefix(tree, end + 1)
            for end in ends:
                slot = end + 1
                while slot < len(tree):
                    tree[slot] += 1
                    slot += slot & -slot
                seen += 1
    return total


def _prefix(tree: list[int], slot: int) -> int:
    total = 0
    while slot:
        total += tree[slot]
        slot -= slot & -slot
    return total


def _place(layers: list[list[int]], segments: list[_Edge], blocks: int, step: int) -> list[float]:
    """Return each node's coordinate across the layers: near its neighbours, never closer than the minimum distance."""
    total = sum(len(layer) for layer in layers)
    layer_of = [0] * total
    across = [0.0] * total
    offsets: list[list[float]] = []
    for number, layer in enumerate(layers):
        offset = [0.0]
        for one, other in pairwise(layer):
            share = 1.0 if one < blocks and other < blocks else _BEND_SHARE
            offset.append(offset[-1] + share * step)
        offsets.append(offset)
        for place, node in enumerate(layer):
            layer_of[node] = number
            across[node] = offset[place] - offset[-1] / 2
    before, after = _neighbours(segments, layer_of)
    for sweep in range(_PLACE_SWEEPS if total <= _LARGE else 2):
        side = before if sweep % 2 == 0 else after
        order = range(len(layers)) if sweep % 2 == 0 else range(len(layers) - 1, -1, -1)
        for number in order:
            layer, offset = layers[number], offsets[number]
            wanted, weights = [], []
            for place, node in enumerate(layer):
                near = side[node]
                wish = sum(across[other] for other in near) / len(near) if near else across[node]
                wanted.append(wish - offset[place])
                # Long edges are held straighter than blocks are centred; a block without neighbours only makes room.
                weights.append(4.0 if node >= blocks else 1.0 if near else 0.25)
            for place, value in enumerate(_isotonic(wanted, weights)):
                across[layer[place]] = value + offset[place]
    return across


def _isotonic(values: list[float], weights: list[float]) -> list[float]:
    """Return the non-decreasing sequence nearest to `values` in weighted least squares (pool adjacent violators)."""
    pools: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights, strict=True):
        mean, mass, count = value, weight, 1
        while pools and pools[-1][0] > mean:
            other_mean, other_mass, other_count = pools.pop()
            mean = (mean * mass + other_mean * other_mass) / (mass + other_mass)
            mass += other_mass
            count += other_count
        pools.append((mean, mass, count))
    return [mean for mean, _, count in pools for _ in range(count)]


def _points(layer_of: list[int], across: list[float], along_step: int, direction: Direction) -> list[Point]:
    middle_along = max(layer_of) * along_step / 2
    middle_across = (max(across) + min(across)) / 2
    points = []
    for layer, value in zip(layer_of, across, strict=True):
        along, over = round(layer * along_step - middle_along), round(value - middle_across)
        points.append((along, over) if direction == "LR" else (over, along))
    return points
