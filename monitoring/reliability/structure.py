"""Whether and how surely a system works, exactly: by a binary decision diagram over its components.

A component that stands in several places is decided once, so that its appearances are never taken for independent.

Source: Bryant 1986, "Graph-based algorithms for Boolean function manipulation", IEEE Transactions on Computers C-35(8)
(the diagram); Rauzy 1993, "New algorithms for fault trees analysis", Reliability Engineering & System Safety 40(3)
(its use for reliability).
"""

from collections.abc import Collection, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from monitoring.reliability.diagram import Gate, leaves
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

MOST_NODES: Final = 200_000
_FAILS, _WORKS = 0, 1
Floats = npt.NDArray[np.float64]


class Structure:
    """The components of a gate and what follows from their states.

    Args:
        gate: The system.

    Raises:
        InvalidValueError: When it is too entangled to be decided exactly.

    Example:
        >>> pair = Gate(name="pair", title="pair", needed=1, parts=("a", "b"))
        >>> round(Structure(pair).availability({"a": 0.9, "b": 0.9}), 12)
        0.99
    """

    def __init__(self, gate: Gate) -> None:
        self.names: Final = tuple(dict.fromkeys(leaves(gate)))
        self._order = {name: place for place, name in enumerate(self.names)}
        # (component, node when it fails, node when it works); the first two stand for the system itself.
        self._nodes: list[tuple[int, int, int]] = [(len(self.names), 0, 0), (len(self.names), 1, 1)]
        self._same: dict[tuple[int, int, int], int] = {}
        self._chosen: dict[tuple[int, int, int], int] = {}
        self._root = self._gate(gate)

    def works(self, up: Collection[str]) -> bool:
        """Say whether the system works when these components do and no other."""
        node = self._root
        while node > _WORKS:
            place, low, high = self._nodes[node]
            node = high if self.names[place] in up else low
        return node == _WORKS

    def availability(self, components: Mapping[str, float]) -> float:
        """Return the share of the time in which the system works.

        Args:
            components: The same of each component; they fail independently of one another.

        Raises:
            InvalidValueError: When a component is missing or its share is not 0 … 1.
        """
        for name in self.names:
            if name not in components:
                raise InvalidValueError(f"the component {name!r} has no availability", "must have one")
            check_scalar(float(components[name]), f"availability of {name}", ge=0, le=1)
        whole = self.over_draws({name: np.array([components[name]]) for name in self.names})
        return float(whole[0])

    def over_draws(self, components: Mapping[str, Floats]) -> Floats:
        """Return the same for many draws of the shares at once, each of shape (n_draws,)."""
        draws = [np.asarray(components[name], dtype=np.float64) for name in self.names]
        values: list[Floats] = [np.zeros_like(draws[0]), np.ones_like(draws[0])]
        # A node is made after those it leads to: their values are there.
        for place, low, high in self._nodes[2:]:
            # Failing first: near 1 the sum keeps more digits of what is missing than the product of shares does.
            values.append(values[high] - (1 - draws[place]) * (values[high] - values[low]))
        return values[self._root]

    def _gate(self, gate: Gate) -> int:
        parts = [self._gate(part) if isinstance(part, Gate) else self._leaf(part) for part in gate.parts]
        # row[k]: at least k of the parts from here on work.
        row = [_WORKS] + [_FAILS] * gate.needed
        for part in reversed(parts):
            row = [_WORKS] + [self._choose(part, row[k - 1], row[k]) for k in range(1, gate.needed + 1)]
        return row[gate.needed]

    def _leaf(self, name: str) -> int:
        return self._node(self._order[name], _FAILS, _WORKS)

    def _node(self, place: int, low: int, high: int) -> int:
        if low == high:
            return low
        key = (place, low, high)
        if key not in self._same:
            if len(self._nodes) >= MOST_NODES:
                raise InvalidValueError(
                    f"the diagram needs more than {MOST_NODES:,} decisions", "must need fewer", "split it into systems"
                )
            self._same[key] = len(self._nodes)
            self._nodes.append(key)
        return self._same[key]

    def _choose(self, condition: int, then: int, otherwise: int) -> int:
        """Return the node of: if the condition then this, otherwise that."""
        if condition in (_FAILS, _WORKS):
            return then if condition == _WORKS else otherwise
        if then == otherwise:
            return then
        key = (condition, then, otherwise)
        if key not in self._chosen:
            place = min(self._nodes[node][0] for node in key)
            low = self._choose(*(self._branch(node, place, 1) for node in key))
            high = self._choose(*(self._branch(node, place, 2) for node in key))
            self._chosen[key] = self._node(place, low, high)
        return self._chosen[key]

    def _branch(self, node: int, place: int, side: int) -> int:
        return self._nodes[node][side] if self._nodes[node][0] == place else node
