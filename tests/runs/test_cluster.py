"""A run on Ray: the bytes of one process, whatever dies meanwhile."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

import netsim
from netsim.codec import Codec, CodecSettings, OperatingPoint, Packet, Stream, create_codec
from netsim.decoding.store import Store
from netsim.decoding.streams import content_key, plan_stream_keys
from netsim.distribution import installed_version
from netsim.errors import InputError
from netsim.runs.executors import Task, cluster
from netsim.runs.executors.answers import Answer
from netsim.runs.executors.cluster import RayExecutor
from netsim.runs.executors.gpu_actors import GpuActors
from tests.faults.kills import descendants

BoolArray = NDArray[np.bool_]
Pixels = NDArray[np.uint8]

DEADLINE_S = 60  # for what takes seconds; a machine may be busy


def _netsim(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netsim", *arguments], capture_output=True, text=True, timeout=DEADLINE_S
    )


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # an import of it fails
    with pytest.raises(InputError, match=r"--cluster needs Ray[\s\S]*netsim-codecs\[cluster\]"):
        RayExecutor("", str, 1, "ray")


@pytest.fixture
def ray() -> Any:
    return pytest.importorskip("ray")


@pytest.mark.parametrize("address", ["nowhere", ":6379", "host:99999", "ray://host:10001"])
def test_what_is_no_address_is_refused(ray: Any, address: str) -> None:
    with pytest.raises(InputError, match=f"`{address}` is not an address"):
        RayExecutor("", str, 1, address)


def test_an_address_that_nobody_answers_is_one_error(ray: Any, scenario: Path) -> None:
    with socket.socket() as free:  # bound, but it does not listen
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        done = _netsim("run", str(scenario), "--out", "r", "--cluster", address)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"the Ray cluster `{address}` can't be reached: Connection refused" in done.stderr
    assert "Traceback" not in done.stderr


def test_workers_of_a_cluster_elsewhere_are_not_chosen_here(scenario: Path) -> None:
    done = _netsim("run", str(scenario), "--cluster", "auto", "--workers", "2")
    assert done.returncode == 2
    assert "a cluster has as many workers as CPUs" in done.stderr


def test_auto_needs_a_cluster(ray: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from ray._private import services

    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))  # a cluster of this machine is not this test's, found by its file
    monkeypatch.setattr(services, "find_gcs_addresses", set)  # or among all processes, such as those of another test
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(InputError, match="the Ray cluster `auto` can't be used"):
        RayExecutor("", str, 1, "auto")


def test_a_ray_that_does_not_start_is_one_error(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(**_: Any) -> None:
        raise Exception("The current node timed out during startup.\nThis could happen")  # as Ray raises it

    monkeypatch.setattr(ray, "init", late)
    with pytest.raises(InputError, match=r"`ray` can't be used: The current node timed out during startup\.\n"):
        RayExecutor("", str, 1, "ray")


@pytest.fixture(scope="module")
def started() -> Iterator[Any]:
    """A Ray of two workers, which all executors of these tests use."""
    ray = pytest.importorskip("ray")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "ERROR"}
    ray.init(address="local", num_cpus=2, num_gpus=1, **quiet)  # the GPU is one that Ray believes in
    yield ray
    ray.shutdown()


def joined(context: str, argument: str, values: Mapping[str, str]) -> str:
    return " ".join([context, argument, *(f"{name}={value}" for name, value in sorted(values.items()))])


def fails(context: str, argument: str, values: Mapping[str, str]) -> str:
    raise InputError(f"{context} {argument}", hint="none")


def dies_so_often(context: str, argument: tuple[str, int], values: Mapping[str, str]) -> str:
    """Kills its worker until a file has so many lines."""
    path, times = Path(argument[0]), argument[1]
    with path.open("a") as file:
        file.write("here\n")
    if len(path.read_text().splitlines()) <= times:
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def _results(tasks: list[Task]) -> list[Any]:
    results: list[Any] = []

    def done(task: Task, result: Any) -> Iterable[Task]:
        results.append(result)
        return [Task("t", joined, "more", ("b",))] if result == "all first a=A b=B" else ()

    with RayExecutor("all", str.upper, 2, "ray") as executor:
        executor.work(tasks, done)
    return sorted(results)


@pytest.mark.slow
def test_a_task_gets_the_values_that_it_needs_and_may_give_more_tasks(started: Any) -> None:
    tasks = [Task("t", joined, "first", ("a", "b")), Task("t", joined, "second")]
    assert _results(tasks) == ["all first a=A b=B", "all more b=B", "all second"]


@pytest.mark.slow
def test_an_error_of_a_task_is_raised_here(started: Any) -> None:
    with pytest.raises(InputError, match="all task") as caught:
        _results([Task("t", fails, "task")])
    assert "in fails" in str(caught.value.__cause__)


@pytest.mark.slow
@pytest.mark.parametrize("gpu", [False, True])
def test_a_task_runs_again_where_its_worker_dies(started: Any, tmp_path: Path, gpu: bool) -> None:
    count = tmp_path / "count"
    assert _results([Task("t", dies_so_often, (str(count), 2), gpu=gpu)]) == ["done"]
    assert len(count.read_text().splitlines()) == 3


@pytest.mark.slow
@pytest.mark.parametrize("gpu", [False, True])
def test_a_task_that_always_kills_its_worker_ends_in_one_sentence(started: Any, tmp_path: Path, gpu: bool) -> None:
    count = tmp_path / "count"
    with pytest.raises(InputError, match="the cluster lost a task of kind `bad`, 4 times"):
        _results([Task("bad", dies_so_often, (str(count), 99), gpu=gpu)])
    assert len(count.read_text().splitlines()) == 4


@pytest.mark.slow
def test_a_worker_with_other_code_of_one_version_is_one_error(started: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "running_code", lambda: f"{installed_version()}, code 0")
    with pytest.raises(InputError, match=r"a worker has netsim .*, code \w{12}, the driver .*, code 0"):
        _results([Task("t", joined, "first", ())])


@pytest.mark.slow
def test_a_log_from_ray_has_the_bytes_of_one_process(
    started: Any, scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = netsim.run(scenario, out="one", workers=1)
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "another.sqlite"))  # nothing remembered
    several = netsim.run(scenario, out="several", cluster="ray")
    for name in ("log.parquet", "summary.csv"):
        assert (several.path / name).read_bytes() == (one.path / name).read_bytes(), name


class OnGpu(Codec):
    """Notes which process works, and which GPUs it may use, as the name of a file."""

    class Settings(CodecSettings):
        """notes: folder."""

        notes: str = ""

    name = "on-gpu"
    operating_point_keys: ClassVar[Mapping[str, type]] = {"quality": int}
    settings: Settings
    uses_gpu = True

    def _note(self) -> None:
        (Path(self.settings.notes) / f"{os.getpid()} {os.environ.get('CUDA_VISIBLE_DEVICES')}").touch()

    def encode(self, image: Pixels, operating_point: OperatingPoint, packet_limit_bytes: int | None = None) -> Stream:
        self._note()
        return Stream((Packet(bytes([int(image.mean())])),), (image.shape[0], image.shape[1]), operating_point)

    def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
        return received.copy()

    def decode(self, stream: Stream, masks: BoolArray) -> Pixels:
        self._note()
        return np.full((len(masks), *stream.shape, 3), stream.packets[0].payload[0], np.uint8)


@pytest.mark.slow
def test_codecs_on_a_gpu_run_in_one_process_that_has_it(
    started: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_registry: None
) -> None:
    netsim.register("codec")(OnGpu)
    notes = tmp_path / "notes"
    notes.mkdir()
    codecs = [{"on-gpu": {"quality": [1, 2, 3], "notes": str(notes)}}, {"jpeg": {"quality": 30}}]
    plan = netsim.plan(images={"samples": ["chelsea"]}, codecs=codecs, channels=["EP4"], trials=2)
    one = netsim.run(plan, out=tmp_path / "one", workers=1)
    for path in notes.iterdir():
        path.unlink()
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "another.sqlite"))  # nothing remembered
    several = netsim.run(plan, out=tmp_path / "several", cluster="ray")
    assert (several.path / "log.parquet").read_bytes() == (one.path / "log.parquet").read_bytes()
    (note,) = notes.iterdir()
    process, gpus = note.name.split()
    assert int(process) != os.getpid()
    assert gpus == "0"


class Elsewhere(OnGpu):
    """Its fingerprint names the processor, which is another one in every process but the driver's."""

    class Settings(CodecSettings):
        """driver: number of the driver's process."""

        driver: int = 0

    name = "elsewhere"
    settings: Settings  # type: ignore[assignment]
    uses_gpu = False

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        return {"format": 1, "search": "bfloat16" if os.getpid() == self.settings.driver else "float32"}

    def _note(self) -> None:
        pass


@pytest.mark.parametrize("way", [{"workers": 2}, pytest.param({"cluster": "ray"}, marks=pytest.mark.slow)])
def test_a_worker_with_another_processor_makes_no_stream_and_says_what_differs(
    way: dict[str, Any], tmp_path: Path, empty_registry: None, request: pytest.FixtureRequest
) -> None:
    if "cluster" in way:
        request.getfixturevalue("started")
    netsim.register("codec")(Elsewhere)
    codecs = [{"elsewhere": {"quality": [1, 2], "driver": os.getpid()}}]
    plan = netsim.plan(images={"samples": ["chelsea"]}, codecs=codecs, channels=["EP4"], trials=2)
    host = re.escape(socket.gethostname())
    with pytest.raises(
        InputError, match=rf"`codec elsewhere .*` on `{host}` .*: search is float32, was bfloat16\n"
    ) as raised:
        netsim.run(plan, out=tmp_path / "run", **way)
    assert "processors" in str(raised.value.hint)
    with Store() as store:
        assert not any(store.has_stream(content_key(one)) for one in plan_stream_keys(plan))


def waits_for(context: str, argument: str, values: Mapping[str, str]) -> str:
    deadline = time.monotonic() + DEADLINE_S
    while not Path(argument).exists():
        if time.monotonic() > deadline:
            raise TimeoutError(argument)
        time.sleep(0.02)
    return "waited"


def touches(context: str, argument: str, values: Mapping[str, str]) -> str:
    Path(argument).touch()
    return "touched"


@pytest.mark.slow
def test_a_cpu_task_does_not_wait_behind_tasks_for_a_gpu(started: Any, tmp_path: Path) -> None:
    """A hundred tasks on the GPU end only once the last task, which needs none, has run."""
    there = str(tmp_path / "there")
    waiting = [Task("t", waits_for, there, gpu=True) for _ in range(100)]
    assert _results([*waiting, Task("t", touches, there)]) == ["touched"] + ["waited"] * 100


class Reference:
    def __init__(self, task: Task) -> None:
        self.task = task


class CountedRay:
    """A cluster that only counts: two CPUs and one GPU. Tasks of one kind end only when nothing else is under way."""

    def __init__(self, ends_last: bool) -> None:
        self.ends_last = ends_last  # gpu
        self.most = {True: 0, False: 0}  # tasks under way at once

    is_initialized = staticmethod(lambda: True)
    cluster_resources = staticmethod(lambda: {"CPU": 2.0, "GPU": 1.0})
    put = staticmethod(lambda value: value)
    kill = staticmethod(lambda actor: None)

    def remote(self, function: Any) -> Any:
        send = SimpleNamespace(remote=lambda common, task, *values: Reference(task))
        actor = SimpleNamespace(remote=lambda function: SimpleNamespace(do=send))
        return SimpleNamespace(options=lambda **_: actor if isinstance(function, type) else send)

    def wait(self, references: list[Any], num_returns: int) -> tuple[list[Any], list[Any]]:
        for gpu in self.most:
            self.most[gpu] = max(self.most[gpu], sum(one.task.gpu is gpu for one in references))
        return [min(references, key=lambda one: one.task.gpu is self.ends_last)], []

    def get(self, reference: Any) -> Answer:
        return Answer(reference.task.kind)


@pytest.mark.parametrize("first", [True, False])
def test_tasks_behind_a_thousand_of_the_other_kind_begin_at_once(monkeypatch: pytest.MonkeyPatch, first: bool) -> None:
    """On a GPU or on CPUs: the ten tasks behind end first, as no task of the first kind ends before them."""
    ray = CountedRay(ends_last=first)
    monkeypatch.setattr(cluster, "_import_ray", lambda: ray)
    ended = []

    def done(task: Task, result: Any) -> Iterable[Task]:
        ended.append(result)
        return ()

    tasks = [Task("first", joined, "", gpu=first)] * 1000 + [Task("behind", joined, "", gpu=not first)] * 10
    with RayExecutor("", str, 2, "ray") as executor:
        executor.work(tasks, done)
    assert ended == ["behind"] * 10 + ["first"] * 1000
    assert ray.most == {True: 2, False: 4}


def test_a_cluster_without_a_gpu_is_one_error() -> None:
    class NoGpu:
        remote = staticmethod(lambda kind: kind)

    actors = GpuActors(NoGpu, print, 3)
    assert not actors.free(0)
    with pytest.raises(InputError, match=r"on a GPU \(`device: cuda`\), and the cluster has none"):
        actors.check(0)


def test_learned_codecs_say_whether_they_use_a_gpu() -> None:
    for name in ("mbt-mean", "resicomp"):
        assert [create_codec(name, {"device": device}).uses_gpu for device in ("cpu", "cuda")] == [False, True]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_ctrl_c_ends_a_run_and_its_ray(ray: Any, scenario: Path) -> None:
    command = [sys.executable, "-m", "netsim", "run", str(scenario), "--out", "r", "--cluster", "ray", "--workers", "2"]
    command += ["--set", "engine=event", "--set", "trials=20000"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("engine"):
                break
        children = descendants(process.pid)
        assert len(children) > 2
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert "Traceback" not in output
    deadline = time.monotonic() + 4 * DEADLINE_S  # Ray gives its workers, and so their children, a low priority
    while (left := [pid for pid in children if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
