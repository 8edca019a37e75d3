"""Sums over the alignments of a label sequence with a longer one, in log space.

Connectionist temporal classification: A. Graves, S. Fernández, F. Gomez, J. Schmidhuber,
ICML 2006. The states are the labels with blanks between, before and after them. At each time an
alignment stays in its state, moves to the next, or passes over the blank between unequal labels.
Every function works on a whole batch: arrays are (time, batch, state), in float64.
"""

from dataclasses import dataclass
from typing import final

import numpy as np

from lamina.memory.array import NDArray


@final
@dataclass(frozen=True, slots=True)
class Lattice:
    """The states of a batch of label sequences and the log-probability of each at each time.

    `classes` (batch, state) is what a state emits, blanks at the even states. In `emitted`, −∞
    closes the states and times past the end of a sequence.
    """

    classes: NDArray
    emitted: NDArray
    input_lengths: NDArray
    last_states: NDArray

    def reversed(self, values: NDArray, fill: float) -> NDArray:
        """Return `values` with the times and states of each sequence counted from its end."""
        times, batch, states = values.shape
        if not times:
            return values
        t = self.input_lengths - 1 - np.arange(times)[:, None]
        s = self.last_states[:, None] - np.arange(states)
        place = np.maximum(t, 0)[:, :, None], np.arange(batch)[:, None], np.maximum(s, 0)
        return np.where((t >= 0)[:, :, None] & (s >= 0), values[place], fill)

    def emission(self, scores: NDArray) -> NDArray:
        """Return the scores (time, batch, class) of what each state emits."""
        index = np.broadcast_to(self.classes, (len(scores), *self.classes.shape))
        return np.take_along_axis(scores, index, 2).astype(np.float64)

    def by_class(self, values: NDArray, classes: int) -> NDArray:
        """Return the sum of `values` over the states that emit each class: (time, batch, class)."""
        times, batch, _ = values.shape
        rows = (np.arange(times)[:, None] * batch + np.arange(batch)) * classes
        out = np.zeros(times * batch * classes)
        np.add.at(out, (rows[:, :, None] + self.classes).reshape(-1), values.reshape(-1))
        return out.reshape(times, batch, classes)

    def at_ends(self, values: NDArray, fill: float) -> NDArray:
        """Return `values` at the last time in the last blank and the last label: (2, batch)."""
        place = np.maximum(self.input_lengths - 1, 0), np.arange(len(self.last_states))
        label = values[(*place, np.maximum(self.last_states - 1, 0))]
        return np.stack(
            [values[(*place, self.last_states)], np.where(self.last_states > 0, label, fill)]
        )


def lattice(
    log_probs: NDArray,
    targets: NDArray,
    input_lengths: NDArray,
    target_lengths: NDArray,
    *,
    blank: int,
) -> Lattice:
    """Return the lattice of targets (batch, labels), of which the first `target_lengths` count."""
    batch, labels = targets.shape
    classes = np.full((batch, 2 * labels + 1), blank, np.intp)
    classes[:, 1::2] = np.where(np.arange(labels) < target_lengths[:, None], targets, blank)
    last = 2 * target_lengths.astype(np.intp)
    lengths = input_lengths.astype(np.intp)
    emitted = Lattice(classes, log_probs, lengths, last).emission(log_probs)
    emitted[:, np.arange(classes.shape[1]) > last[:, None]] = -np.inf
    emitted[np.arange(len(log_probs))[:, None] >= lengths] = -np.inf
    return Lattice(classes, emitted, lengths, last)


def log_likelihood(grid: Lattice) -> NDArray:
    """Return log Σ over the alignments of each sequence, −∞ where none fits."""
    return _likelihood(grid, forward(grid.emitted, _skips(grid.classes))[0])


def _likelihood(grid: Lattice, total: NDArray) -> NDArray:
    # In no time there is one alignment with no labels, and none with some.
    empty = np.where(grid.last_states == 0, 0.0, -np.inf)
    if not len(total):
        return empty
    return np.where(grid.input_lengths == 0, empty, _log_sum(grid.at_ends(total, -np.inf)))


def posterior(grid: Lattice, moved: NDArray | None = None) -> NDArray:
    """Return the share of alignments that are in each state at each time, zeros where none fits.

    With `moved`, return instead the change of those shares when `emitted` changes by `moved`.
    """
    total, change = forward(grid.emitted, _skips(grid.classes), moved)
    rest, rest_change = _backward(grid, moved)
    likelihood = _likelihood(grid, total)
    with np.errstate(invalid="ignore"):
        share = np.exp(total + rest - grid.emitted - likelihood[:, None])
    share[np.isnan(share)] = 0
    if moved is None or not len(total):
        return share
    shares = _shares(grid.at_ends(total, -np.inf), likelihood)
    drift = (shares * grid.at_ends(change, 0.0)).sum(0)
    return share * (change + rest_change - moved - drift[:, None])


def _backward(grid: Lattice, moved: NDArray | None) -> tuple[NDArray, NDArray]:
    """Return what `forward` returns, of the alignments from time t to the end."""
    places = np.maximum(grid.last_states[:, None] - np.arange(grid.classes.shape[1]), 0)
    classes = np.take_along_axis(grid.classes, places, 1)
    turned = None if moved is None else grid.reversed(moved, 0.0)
    total, change = forward(grid.reversed(grid.emitted, -np.inf), _skips(classes), turned)
    return grid.reversed(total, -np.inf), grid.reversed(change, 0.0)


def _skips(classes: NDArray) -> NDArray:
    """Return which states are entered from two before: labels unlike the label before them."""
    skips = np.zeros(classes.shape, bool)
    skips[:, 3::2] = classes[:, 3::2] != classes[:, 1:-2:2]
    return skips


def forward(
    emitted: NDArray, skips: NDArray, moved: NDArray | None = None
) -> tuple[NDArray, NDArray]:
    """Return log Σ over the alignments of times 0 to t that end in a state, for every t and state.

    Second, the change of that when `emitted` changes by `moved`; zeros where it does not.
    """
    total = np.full_like(emitted, -np.inf)
    change = np.zeros_like(emitted)
    total[:1, :, :2] = emitted[:1, :, :2]
    if moved is not None:
        change[:1, :, :2] = moved[:1, :, :2]
    for t in range(1, len(emitted)):
        ways = _ways(total[t - 1], skips, -np.inf)
        summed = _log_sum(ways)
        total[t] = emitted[t] + summed
        if moved is not None:
            arriving = _shares(ways, summed) * _ways(change[t - 1], skips, 0.0)
            change[t] = moved[t] + arriving.sum(0)
    return total, change


def _ways(before: NDArray, skips: NDArray, fill: float) -> NDArray:
    """Return what comes into each state: from itself, from the one before, over a blank."""
    ways = np.full((3, *before.shape), fill)
    ways[0] = before
    ways[1, :, 1:] = before[:, :-1]
    ways[2, :, 2:] = np.where(skips[:, 2:], before[:, :-2], fill)
    return ways


def _log_sum(values: NDArray) -> NDArray:
    greatest = values.max(0)
    greatest[np.isneginf(greatest)] = 0
    with np.errstate(divide="ignore"):
        return np.log(np.exp(values - greatest).sum(0)) + greatest


def _shares(values: NDArray, summed: NDArray) -> NDArray:
    """Return the share of each value in its sum; 0 where the sum is nothing."""
    return np.exp(values - np.where(np.isneginf(summed), 0, summed))
