"""An agent, two gateways and Jaeger, as processes of the shipped files: what is kept, whole, and what a kill costs."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.collector import Samples, ShippedCollector
from tests.peers.jaeger import Jaeger, running_shipped_jaeger
from tests.peers.process import running, wait_until
from tests.stack.pushed import exposed_of, overlapping_runs, push_each, served
from tests.stack.shipped import COLLECTORS, CONFIGS, SentRun, finished_run, send, spans_in, wait_for_whole

SAMPLING = ("gateway.yaml", "tail-sampling.yaml")
WAITING = ("otelcol_exporter_queue_size", "otelcol_exporter_in_flight_requests")


@dataclass
class Tier:
    """An agent before two gateways."""

    agent: ShippedCollector
    gateways: tuple[ShippedCollector, ShippedCollector]

    def told(self, metric: str, exporter: str = "") -> list[float]:
        """A metric of each gateway's own telemetry."""
        return [gateway.told_of_itself(metric, exporter) for gateway in self.gateways]

    def is_passed_on(self) -> bool:
        """Whether the agent waits for no answer of a gateway."""
        return not any(self.agent.told_of_itself(metric, "load_balancing") for metric in WAITING)

    def is_stored(self) -> bool:
        """Whether, after that, no gateway waits for an answer of Jaeger."""
        return self.is_passed_on() and not any(sum(self.told(metric, "otlp_grpc")) for metric in WAITING)


@contextmanager
def running_tier(otelcol: Path, folder: Path, jaeger: str, files: tuple[str, ...], **variables: str) -> Iterator[Tier]:
    """Run an agent and two gateways of these files."""
    configs = [COLLECTORS / name for name in files]
    first, second = (
        ShippedCollector(otelcol, folder / name, configs, JAEGER_OTLP=jaeger, **variables)
        for name in ("gateway-1", "gateway-2")
    )
    agent = ShippedCollector(
        otelcol,
        folder / "agent",
        [COLLECTORS / "agent.yaml"],
        GATEWAY_1=first.otlp_grpc,
        GATEWAY_2=second.otlp_grpc,
    )
    with ExitStack() as servers:
        for each in (first, second, agent):
            servers.enter_context(running(each.server))
        yield Tier(agent, (first, second))


@pytest.fixture
def sampled(otelcol: Path, tmp_path: Path, jaeger: Jaeger) -> Iterator[Tier]:
    """A tier that samples 30 % of the successes."""
    with running_tier(otelcol, tmp_path, jaeger.otlp_grpc, SAMPLING, SAMPLED_SUCCESSES_PERCENT="30") as tier:
        yield tier


def test_failures_are_kept_whole_and_successes_at_the_set_rate(sampled: Tier, jaeger: Jaeger) -> None:
    """What failed is kept with all that came before the failure; a share of the rest is kept whole, nothing by half."""
    successes = [finished_run(f"sampled-{number}") for number in range(400)]
    failures = [finished_run(f"sampled-failed-{number}", is_failed=True) for number in range(40)]
    send(sampled.agent.otlp_http, [*successes, *failures])
    wait_for_whole(jaeger, failures)
    assert wait_until(sampled.is_stored)
    kept = [each for each in successes if spans_in(jaeger, each)]
    wait_for_whole(jaeger, kept)
    assert 75 < len(kept) < 165  # 120 expected; five standard deviations
    seen = sampled.told("otelcol_processor_tail_sampling_new_trace_id_received")
    assert sum(seen) == len(successes) + len(failures)  # a trace that both had seen would count twice
    assert min(seen) > 0


def test_a_run_that_fails_later_is_kept_from_its_beginning(sampled: Tier, jaeger: Jaeger) -> None:
    """Spans that no policy chose wait until the run fails, and go out with the failure."""
    failed = [finished_run(f"later-{number}", is_failed=True) for number in range(20)]
    beginnings = [SentRun(each.trace_id, each.attempts[:1], ()) for each in failed]
    rests = [SentRun(each.trace_id, each.attempts[1:], each.containers) for each in failed]
    send(sampled.agent.otlp_http, beginnings)
    assert wait_until(sampled.is_passed_on)
    waiting = [each for each in failed if not spans_in(jaeger, each)]
    assert waiting
    send(sampled.agent.otlp_http, rests)
    wait_for_whole(jaeger, failed)


def test_deltas_are_added_up_by_one_gateway_per_series(sampled: Tier) -> None:
    """Of runs that push their points through the agent, every one is counted, and no series is on both gateways."""
    runs = overlapping_runs("delta", 80)
    push_each(sampled.agent.otlp_http, runs)
    expected = served(runs)

    def exposed() -> list[Samples]:
        return [exposed_of(gateway, "delta") for gateway in sampled.gateways]

    assert wait_until(lambda: exposed()[0] | exposed()[1] == pytest.approx(expected)), exposed()
    first, second = exposed()
    assert not first.keys() & second.keys()


def test_a_trace_waits_for_its_own_gateway(otelcol: Path, tmp_path: Path, jaeger: Jaeger) -> None:
    """While a gateway is away, the other one's traces arrive whole and its own not at all, until it is back."""
    runs = [finished_run(f"own-{number}") for number in range(60)]
    with running_tier(otelcol, tmp_path, jaeger.otlp_grpc, ("gateway.yaml",)) as tier:
        tier.gateways[0].server.kill()
        send(tier.agent.otlp_http, runs)

        def is_whole_or_absent() -> bool:
            counts = [(spans_in(jaeger, each), each.count) for each in runs]
            return any(there for there, _ in counts) and all(there in (0, whole) for there, whole in counts)

        assert wait_until(is_whole_or_absent)
        assert not all(spans_in(jaeger, each) for each in runs)
        tier.gateways[0].server.start()
        wait_for_whole(jaeger, runs)


def test_kills_lose_nothing_that_was_acknowledged(otelcol: Path, jaeger_program: Path, tmp_path: Path) -> None:
    """A gateway is killed while spans come, the agent afterwards, Jaeger is away: then everything is there."""
    config = CONFIGS / "jaeger" / "jaeger.yaml"
    (tmp_path / "jaeger").mkdir()
    with running_shipped_jaeger(jaeger_program, tmp_path / "jaeger", config, "http://127.0.0.1:9") as (jaeger, server):
        server.stop()
        with running_tier(otelcol, tmp_path, jaeger.otlp_grpc, ("gateway.yaml",)) as tier:
            runs = [finished_run(f"killed-{number}") for number in range(120)]
            with ThreadPoolExecutor(1) as pool:
                sending = pool.submit(send, tier.agent.otlp_http, runs)
                assert wait_until(lambda: min(tier.told("otelcol_exporter_queue_size", "otlp_grpc")) > 10)
                tier.gateways[0].server.kill()
                sending.result()
            tier.agent.server.kill()
            tier.agent.server.start()
            tier.gateways[0].server.start()
            server.start()
            wait_for_whole(jaeger, runs)


def test_what_a_sampler_forgot_is_sent_again_from_the_log(otelcol: Path, tmp_path: Path, jaeger: Jaeger) -> None:
    """A killed sampler forgets the beginning of a run; sending it again makes the trace whole, nothing twice."""
    failed = [finished_run(f"forgotten-{number}", is_failed=True) for number in range(20)]
    with running_tier(otelcol, tmp_path, jaeger.otlp_grpc, SAMPLING, SAMPLED_SUCCESSES_PERCENT="0") as tier:
        send(tier.agent.otlp_http, [SentRun(each.trace_id, each.attempts[:1], ()) for each in failed])
        assert wait_until(tier.is_passed_on)
        for gateway in tier.gateways:
            gateway.server.kill()
            gateway.server.start()
        rests = [SentRun(each.trace_id, each.attempts[1:], each.containers) for each in failed]
        send(tier.agent.otlp_http, rests)
        assert wait_until(lambda: all(spans_in(jaeger, each) == each.count - 1 for each in failed))
        send(tier.agent.otlp_http, failed)
        wait_for_whole(jaeger, failed)
        assert [spans_in(jaeger, each) - each.count for each in failed] == [0] * len(failed)
