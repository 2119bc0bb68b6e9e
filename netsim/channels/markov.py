"""Hidden Markov loss channels: a chain of states, and a loss probability in each.

Independent loss is a chain of one state, Gilbert–Elliott of two, the ResiComp error patterns of three:
``netsim.channels.chains`` makes these from their usual parameters.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netsim.channels import statistics
from netsim.channels.base import Channel
from netsim.channels.matrices import ROW_SUM_TOLERANCE, cdf, check_step_s, checked_loss, checked_transition
from netsim.errors import InputError, did_you_mean

__all__ = ["MarkovChannel"]

Vector = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]

COMPILED_FROM = 512  # packets; below, plain Python is done before numba is even loaded


class MarkovChannel(Channel):
    """A loss channel given by its matrices. It does not change after it is made.

    The state between packets is the index of a state, int.

    Args:
        name: As in scenarios and logs.
        transition: [S, S], row i = probabilities of going from state i; rows that miss 1 by at most 1e-9 are scaled.
        loss: [S], probability that a packet is lost in each state.
        states: S names.
        start: Distribution of the state before the first packet: ``stationary``, ``uniform`` or a state's name.
        step_s: Seconds per step of the chain; None: one step per packet.

    Raises:
        InputError: Rows that don't sum to one, entries outside 0…1, shapes that don't fit, an unknown start, or a
            stationary start where no single stationary distribution exists; ``key`` says where.

    >>> channel = MarkovChannel("mine", [[0.9, 0.1], [0.3, 0.7]], [0, 1], ("G", "B"))
    >>> channel.loss_rate, channel.receive_one(0.95, 0.5, 0)  # steps to B, and is lost there
    (0.25, (False, 1))
    """

    def __init__(
        self,
        name: str,
        transition: ArrayLike,
        loss: ArrayLike,
        states: Sequence[str] | None = None,
        start: str = "stationary",
        step_s: float | None = None,
    ) -> None:
        self.name = name
        self.transition, self.states = checked_transition(transition, states)
        self.loss = checked_loss(loss, self.states)
        if step_s is not None:
            check_step_s(step_s)
        self.step_s = step_s
        self.start = start
        self.start_distribution = self._distribution(start)
        self._loss = self.loss.tolist()
        self._start_cdf = cdf(self.start_distribution)
        self._cdfs = [cdf(row) for row in self.transition]
        self._powers: dict[int, list[list[float]]] = {1: self._cdfs}

    def _distribution(self, start: str) -> Vector:
        if start == "uniform":
            return np.full(len(self.states), 1 / len(self.states))
        if start == "stationary":
            return self.stationary
        if start not in self.states:
            known = [*self.states, "stationary", "uniform"]
            raise InputError(f"unknown start `{start}`", hint=did_you_mean(str(start), known), key=("start",))
        return np.eye(len(self.states))[self.states.index(start)]

    # sampling ---------------------------------------------------------------------------------------------

    def initial_state(self, u: float) -> int:
        """State before the first packet.

        Args:
            u: Uniform in [0, 1).

        Returns:
            The state's number.
        """
        return bisect_right(self._start_cdf, u)

    def initial_states(self, uniforms: Vector) -> IntArray:
        """``initial_state`` of each of many trials.

        Args:
            uniforms: float64 [t], in [0, 1).

        Returns:
            int64 [t].
        """
        return np.searchsorted(np.array(self._start_cdf), uniforms, side="right").astype(np.int64)

    def receive_one(self, u_step: float, u_loss: float, state: int, steps: int = 1) -> tuple[bool, int]:
        """One packet: the chain's steps with one uniform, then the draw.

        Args:
            u_step: Uniform that decides the chain's steps.
            u_loss: Uniform that decides the loss.
            state: The chain's state before them.
            steps: How many steps; 0: the state stays.

        Returns:
            (whether the packet is received, the state after).
        """
        rows = self._cdfs if steps == 1 else self._cdfs_after(steps)
        state = bisect_right(rows[state], u_step)
        return u_loss >= self._loss[state], state

    def receive(self, uniforms: Vector, state: int, steps: int | IntArray = 1) -> tuple[BoolArray, int]:
        """Send packets in order.

        Args:
            uniforms: float64 [n, 2], for the transition and the loss of each packet.
            state: State before the first packet.
            steps: int or int [n], steps of the chain before each packet.

        Returns:
            Received, bool [n], and the state after the last packet.
        """
        steps = int(steps) if np.ndim(steps) == 0 else np.asarray(steps)
        received, states = self.receive_many(uniforms[None], np.array([state], dtype=np.int64), steps)
        return received[0], int(states[0])

    def receive_many(self, uniforms: Vector, states: IntArray, steps: int | IntArray = 1) -> tuple[BoolArray, IntArray]:
        """Packets of many trials at once, bit-identical to ``receive`` for each.

        Args:
            uniforms: float64 [t, n, 2].
            states: int [t], before the first packet of each trial.
            steps: int, int [n] or int [t, n]: steps of the chain before each packet.

        Returns:
            Received, bool [t, n], and the states after the last packets, int64 [t].

        Raises:
            InputError: Negative steps.
        """
        trials, packets = uniforms.shape[:2]
        if np.ndim(steps) == 0:
            steps = int(steps)
        states = np.array(states, dtype=np.int64)  # a copy: the loops write into it
        received = np.empty((trials, packets), dtype=bool)
        if len(self._loss) == 1 and isinstance(steps, int):
            np.greater_equal(uniforms[:, :, 1], self._loss[0], out=received)
        elif trials * packets < COMPILED_FROM:
            self._receive_plain(uniforms, states, steps, received)
        elif isinstance(steps, int):
            from netsim.channels.compiled import run_chain

            run_chain(uniforms, states, np.array(self._cdfs_after(steps)), self.loss, received)
        else:
            from netsim.channels.compiled import run_chain_varying

            numbers, which = np.unique(np.asarray(steps), return_inverse=True)
            tables = np.array([self._cdfs_after(int(number)) for number in numbers])
            which = np.broadcast_to(which.reshape(np.shape(steps)), received.shape)
            run_chain_varying(uniforms, states, which, tables, self.loss, received)
        return received, states

    def _receive_plain(self, uniforms: Vector, states: IntArray, steps: Any, received: BoolArray) -> None:
        every = np.broadcast_to(steps, received.shape).tolist()
        for t, trial in enumerate(uniforms.tolist()):
            state = int(states[t])
            for i, (u_step, u_loss) in enumerate(trial):
                received[t, i], state = self.receive_one(u_step, u_loss, state, every[t][i])
            states[t] = state

    def _cdfs_after(self, steps: int) -> list[list[float]]:
        if steps not in self._powers:
            self._powers[steps] = [cdf(row) for row in self._power(steps)]
        return self._powers[steps]

    def _power(self, steps: int) -> Vector:
        if steps < 0:
            raise InputError(f"{steps} steps of the chain between two packets", hint="0 or more")
        return statistics.transition_after(self.transition, steps)

    def decimated(self, steps: int) -> MarkovChannel:
        """The channel of packets that lie several steps apart; its closed forms hold for them.

        Args:
            steps: Steps of the chain between two packets, 0 or more.

        Returns:
            A channel with one step per packet.

        Raises:
            InputError: ``steps`` is negative.
        """
        return MarkovChannel(self.name, self._power(steps), self.loss, self.states, self.start, self.step_s)

    # closed forms -----------------------------------------------------------------------------------------

    @cached_property
    def stationary(self) -> Vector:
        """Stationary distribution, float64 [S].

        Raises:
            InputError: There are several.
        """
        return statistics.stationary(self.transition, self.states)

    @property
    def can_lose(self) -> bool:
        """Whether a packet is lost in any state."""
        return bool((self.loss > 0).any())

    @property
    def has_memory(self) -> bool:
        """Whether the chain has several states."""
        return len(self.loss) > 1

    @cached_property
    def loss_rate(self) -> float:
        """Long-run share of packets lost, ε."""
        return float(self.stationary @ self.loss)

    @cached_property
    def mean_burst(self) -> float:
        """Mean length of a run of losses in packets, γ."""
        return statistics.mean_burst(self.transition, self.loss)

    def autocorrelation(self, lag: int) -> float:
        """Correlation of the losses of two packets.

        Args:
            lag: Packets from the one to the other, 0 or more.

        Returns:
            From −1 to 1.

        Raises:
            InputError: ``lag`` is negative.
        """
        return statistics.autocorrelation(self.transition, self.loss, lag)

    def loss_count_probabilities(self, packets: int, start: ArrayLike | None = None) -> Vector:
        """Distribution of the number lost among ``packets``.

        Args:
            packets: Length of the window.
            start: Distribution of the state before the first packet, [S]; None: the channel's own.

        Returns:
            float64 [packets + 1], index = packets lost.

        >>> MarkovChannel("half", [[1]], [0.5]).loss_count_probabilities(2)
        array([0.25, 0.5 , 0.25])
        """
        return statistics.loss_count_probabilities(self.transition, self.loss, self._start(start), packets)

    def mask_probabilities(self, packets: int, start: ArrayLike | None = None) -> Vector:
        """Probability of every mask.

        Args:
            packets: Length of the masks.
            start: Distribution of the state before the first packet, [S]; None: the channel's own.

        Returns:
            float64 [2**packets]; in the index, bit j set = packet j received.

        Raises:
            InputError: Too many packets, or ``start`` is not a distribution.
        """
        return statistics.mask_probabilities(self.transition, self.loss, self._start(start), packets)

    def burst_length_probabilities(self, longest: int) -> Vector:
        """Distribution of the length of a run of losses.

        Args:
            longest: The greatest length listed.

        Returns:
            float64 [longest + 1], index = length.
        """
        return statistics.burst_length_probabilities(self.transition, self.loss, longest)

    def _start(self, start: ArrayLike | None) -> Vector:
        if start is None:
            return self.start_distribution
        vector = np.asarray(start, dtype=np.float64)
        if vector.shape != (len(self.states),) or (vector < 0).any() or abs(vector.sum() - 1) > ROW_SUM_TOLERANCE:
            raise InputError(
                f"start {vector.tolist()} is not a distribution over {', '.join(self.states)}",
                hint="one probability per state, summing to 1",
                key=("start",),
            )
        return vector
