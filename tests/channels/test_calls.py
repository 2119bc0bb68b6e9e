"""A mistake in a channel of somebody else is one sentence that names the channel; own bugs keep their traceback."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import netsim
from netsim.channels import channel_from_spec
from netsim.channels.conformance import check_channel
from netsim.cli import app
from netsim.errors import InputError
from netsim.registry import register

pytestmark = pytest.mark.usefixtures("empty_registry", "in_tmp_path")


class Every(netsim.Channel):
    """Loses every period-th packet."""

    def __init__(self, period: Any = 4, offset: Any = 0) -> None:
        if period < 1:
            raise ValueError(f"period is {period}, it must be 1 or more")
        self.period, self.name, self.loss_rate = period, f"every {period}", 1 / period
        self.offset = int(offset)

    def initial_state(self, u: float) -> Any:
        return int(u * self.period)

    def receive_one(self, u_step: float, u_loss: float, state: Any, steps: int = 1) -> Any:
        state = (state + steps) % self.period
        return state != 0, state

    def receive(self, uniforms: Any, state: Any, steps: Any = 1) -> Any:
        states = (state + np.cumsum(np.broadcast_to(steps, len(uniforms)))) % self.period
        return states != 0, int(states[-1]) if len(states) else state


def changed(**body: Any) -> type[Every]:
    return type("Every", (Every,), body)


def run(channel: Any, engine: str = "array", spec: Any = "every") -> Any:
    register("channel", "every")(channel)
    keys = {"codecs": [{"jpeg": {"quality": 30, "packets": 4}}], "channels": [spec], "engine": engine, "trials": 3}
    return netsim.run({"images": {"samples": ["coffee"]}, "seed": 1, "slots": 1, **keys})


def error_of(call: Callable[[], Any]) -> InputError:
    with pytest.raises(InputError) as caught:
        call()
    return caught.value


@pytest.mark.parametrize("engine", ["array", "event"])
def test_the_channel_without_a_mistake_runs(engine: str) -> None:
    assert len(run(Every, engine).slots) == 3


def received(change: Callable[[Any, Any], Any]) -> Any:
    return lambda self, uniforms, state, steps=1: change(*Every.receive(self, uniforms, state, steps))


def received_one(change: Callable[[Any, Any], Any]) -> Any:
    return lambda self, u_step, u_loss, state, steps=1: change(*Every.receive_one(self, u_step, u_loss, state, steps))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda mask, state: mask, "returns bool [4] for 4 packets"),
        (lambda mask, state: None, "returns None for 4 packets"),
        (lambda mask, state: (state, mask), "returns (int, bool [4]) for 4 packets"),
        (lambda mask, state: (mask.astype(float), state), "returns (float64 [4], int) for 4 packets"),
        (lambda mask, state: (mask[:-1], state), "returns (bool [3], int) for 4 packets"),
        (lambda mask, state: (mask[:, None], state), "returns (bool [4, 1], int) for 4 packets"),
        (lambda mask, state: (mask.tolist(), state), "returns (list, int) for 4 packets"),
        (lambda mask, state: (mask, state, 0), "returns (bool [4], int, int) for 4 packets"),
    ],
)
def test_a_wrong_return_value_of_receive_is_one_sentence_in_a_run_and_in_the_checker(wrong: Any, words: str) -> None:
    kind = changed(receive=received(wrong))
    error = error_of(lambda: run(kind))
    assert error.message == f"channel `every 4`: Every.receive {words}"
    assert error.hint == "(mask, state): the mask is a bool array of shape [4], True = received"
    assert "channel `every 4`: Every.receive returns" in check_channel(kind())[0].detail


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda received, state: received, "returns bool"),
        (lambda received, state: (state, received), "returns (int, bool)"),
        (lambda received, state: (received, state, 1), "returns (bool, int, int)"),
        (lambda received, state: None, "returns None"),
    ],
)
def test_a_wrong_return_value_of_receive_one_is_one_sentence_in_a_run_and_in_the_checker(
    wrong: Any, words: str
) -> None:
    kind = changed(receive_one=received_one(wrong))
    error = error_of(lambda: run(kind, "event"))
    assert error.message == f"channel `every 4`: Every.receive_one {words}"
    assert error.hint == "(received, state): received is True or False"
    assert f"Every.receive_one {words}" in check_channel(kind())[0].detail


def test_a_switch_names_the_channel_inside_it() -> None:
    kind = changed(receive=received(lambda mask, state: mask))
    assert "channel `every 4`: Every.receive returns" in error_of(lambda: run(kind, spec={"switch": ["every"]})).message


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        (
            {"__init__": lambda self: None},
            "channel `every`: Every has no attribute `name`",
            'self.name = "…" in __init__, or the class attribute name = "every": the name in logs and figures',
        ),
        (
            {"__init__": lambda self: None, "name": 3},
            "channel `every`: the name of Every is 3",
            'self.name = "…" in __init__, or the class attribute name = "every": the name in logs and figures',
        ),
        (
            {"receive": lambda self, uniforms: None},
            "channel `every` can't be called as netsim calls it: Every.<lambda>(self, uniforms)",
            "def receive(self, uniforms, state, steps=1)",
        ),
        (
            {"__init__": lambda self: None, "name": "x", "loss_rate": "10%"},
            "channel `every`: loss_rate of Every is '10%'",
            "a number from 0 to 1, or a property; leave it out where it is not known",
        ),
        (
            {"__init__": lambda self: None, "name": "x", "loss_rate": lambda self: 0.1},
            "channel `every`: loss_rate of Every is a method",
            "a number from 0 to 1, or a property; leave it out where it is not known",
        ),
        (
            {"step_s": "1 s"},
            "channel `every`: step_s of Every is '1 s'",
            "seconds per step, above 0; None: a step per packet",
        ),
    ],
)
def test_a_faulty_instance_is_refused_when_it_is_made(body: dict[str, Any], message: str, hint: str) -> None:
    register("channel", "every")(changed(**body))
    error = error_of(lambda: channel_from_spec("every"))
    assert (error.message, error.hint) == (message, hint)


def test_a_class_without_a_method_or_base_is_refused_at_registration() -> None:
    body = {key: vars(Every)[key] for key in ("__init__", "initial_state", "receive_one")}
    error = error_of(lambda: register("channel", "half")(type("Half", (netsim.Channel,), body)))
    assert error.message == "channel `half`: Half has no method `receive`"
    assert error.hint == "def receive(self, uniforms, state, steps=1)"
    error = error_of(lambda: register("channel", "half")(type("Half", (), body)))
    assert error.message == "channel `half` is the class Half, which is not a channel"
    assert error.hint == "a subclass of netsim.Channel, or a function that returns a channel"


@pytest.mark.parametrize(
    ("maker", "words"),
    [
        (lambda: {"loss_rate": 0.1}, "<lambda> returns dict, not a channel"),
        (lambda: Every, "<lambda> returns the class Every, not a channel"),
        (lambda: None, "<lambda> returns None, not a channel"),
    ],
)
def test_a_function_that_makes_no_channel_is_one_sentence(maker: Any, words: str) -> None:
    register("channel", "made")(maker)
    error = error_of(lambda: channel_from_spec("made"))
    assert error.message == f"channel `made`: {words}"
    assert "a function that returns an instance" in error.hint


@pytest.mark.parametrize(
    ("parameters", "message", "hint", "where"),
    [
        (
            {"perriod": 3},
            "channel `every` has no parameter `perriod`",
            "did you mean `period`? known: offset, period",
            "channels[0].every.perriod",
        ),
        (
            {"period": 3, "step_s": 2},
            "channel `every` has no parameter `step_s`",
            "`step_s` stands beside `every`: {every: {…}, step_s: 2}",
            "channels[0].every.step_s",
        ),
        (
            {"name": "mine"},
            "channel `every` has no parameter `name`",
            "`name` stands beside `every`: {every: {…}, name: mine}",
            "channels[0].every.name",
        ),
        (
            {"period": 0},
            "channel `every` refuses period: 0 (ValueError: period is 0, it must be 1 or more)",
            "raised in ",
            "channels[0].every.period",
        ),
        (
            {"period": 4, "offset": "three"},
            "channel `every` refuses {'period': 4, 'offset': 'three'} (ValueError: invalid literal for int() with base "
            "10: 'three')",
            "raised in ",
            "channels[0].every",
        ),
        (
            {"period": -2, "offset": 1},
            "channel `every` refuses period: -2 (ValueError: period is -2, it must be 1 or more)",
            "test_calls.py, line ",
            "channels[0].every.period",
        ),
    ],
)
def test_a_wrong_parameter_is_one_sentence_with_its_key(
    parameters: dict[str, Any], message: str, hint: str, where: str
) -> None:
    error = error_of(lambda: run(Every, spec={"every": parameters}))
    assert error.message == message
    assert hint in error.hint
    assert error.where == where


def test_a_parameter_that_is_missing_is_named() -> None:
    register("channel", "made")(lambda period, offset=0: Every(period))
    error = error_of(lambda: channel_from_spec({"made": {"offset": 1}}))
    assert (error.message, error.hint) == ("channel `made` needs `period`", "{made: {period: …}}")


def test_a_parameter_that_the_channel_refuses_itself_keeps_its_words_and_gets_its_place() -> None:
    def refuses(period: Any) -> Any:
        raise InputError(f"odd period {period}", hint="an even period", key=("period",))

    error = error_of(lambda: run(refuses, spec={"every": {"period": 3}}))
    assert str(error) == "channels[0].every.period  odd period 3\n  an even period"


def test_the_command_ends_with_2_and_names_the_line(tmp_path: Path) -> None:
    register("channel", "every")(Every)
    Path("mine.yaml").write_text("images: samples\ncodecs: [jpeg: {quality: 30}]\nchannels:\n  - every: {perriod: 3}\n")
    done = CliRunner().invoke(app, ["validate", "mine.yaml"])
    assert "mine.yaml:4:" in str(done.exception)
    assert "channels[0].every.perriod" in str(done.exception)


@pytest.mark.parametrize(("method", "engine"), [("receive", "array"), ("receive_one", "event"), ("__init__", "array")])
def test_a_bug_inside_a_channel_keeps_a_traceback_that_ends_in_its_file(method: str, engine: str) -> None:
    def bug(*arguments: Any) -> Any:
        return [].index(3)

    with pytest.raises(ValueError, match="is not in list") as caught:
        run(changed(**{method: bug}), engine)
    assert not isinstance(caught.value, InputError)
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "bug"


@pytest.mark.parametrize("given", [Every, "every"])
def test_the_checker_takes_an_instance(given: Any) -> None:
    error = error_of(lambda: check_channel(given))
    assert error.message == f"check_channel takes a channel, not {given!r}"
    assert error.hint == 'an instance: MyChannel(), or netsim.channels["my-channel"]'
