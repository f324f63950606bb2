from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.registry import Collector

from pynet_browser.proxy.workers.merging import merged


class Process(Collector):
    """What one process tells."""

    def __init__(self, start: float, lag: float, **sessions: int) -> None:
        self.start, self.lag, self.sessions = start, lag, sessions

    def collect(self):
        family = CounterMetricFamily("sessions", "Some.", labels=["of"])
        for name, count in self.sessions.items():
            family.add_metric([f'{name} of "a"\n'], count)
        yield family
        yield GaugeMetricFamily("process_start_time_seconds", "When.", self.start)
        yield GaugeMetricFamily("lag_max_seconds", "How long.", self.lag)
        yield HistogramMetricFamily("lag", "All.", buckets=[("1.0", 2), ("+Inf", 3)], sum_value=self.lag)


def values_of(families: list[Metric]) -> dict[tuple[str, str], float]:
    return {
        (each.name, "".join(each.labels.values())): each.value for one in families for each in one.samples
    }


EXPECTED = {
    ("sessions_total", 'ada of "a"\n'): 5,
    ("sessions_total", 'bob of "a"\n'): 4,
    ("sessions_total", 'eve of "a"\n'): 1e9,
    ("process_start_time_seconds", ""): 7,
    ("lag_max_seconds", ""): 0.5,
    ("lag_bucket", "1.0"): 4,
    ("lag_bucket", "+Inf"): 6,
    ("lag_count", ""): 6,
    ("lag_sum", ""): 0.75,
}


def test_samples_of_several_processes_are_added_up():
    for generate, parser in ((generate_latest, parse), (exposition.generate_latest, parse_openmetrics)):
        texts = []
        for process in (Process(7, 0.25, ada=2, bob=4), Process(9, 0.5, ada=3, eve=10**9)):
            registry = CollectorRegistry()
            registry.register(process)
            texts.append(generate(registry).decode())
        assert values_of([*parser(merged(texts))]) == EXPECTED


def test_one_process_alone_says_the_same():
    registry = CollectorRegistry()
    registry.register(Process(7, 0.25, ada=2))
    text = generate_latest(registry).decode()
    assert values_of([*parse(merged([text]))]) == values_of([*parse(text)])
