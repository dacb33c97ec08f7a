"""What a measurement is: every sample, trtexec's statistics over them, and where they come from.

All times are milliseconds. Introduced in lesson 02; the definitions are those of NVIDIA's trtexec, so that
a number from here can be put beside a number from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import MeasureError
from ..messages import Said, filled, joined, later, told
from .provenance import Provenance

KINDS = ("enqueue", "h2d", "compute", "d2h", "latency")
WORDS = {
    "enqueue": later("enqueue (host)"),
    "h2d": later("copy in"),
    "compute": later("compute"),
    "d2h": later("copy out"),
    "latency": later("latency"),
}
MOST_SAMPLES = 500  # a series, in a recording: enough for a histogram; statistics are over all samples
DECIMALS = 4  # of a ms: CUDA events tell half a microsecond apart
STORED_PERCENTILES = (50, 90, 95, 99)
HOST_SHARE, UNSTABLE = 0.8, 0.01  # where trtexec warns: enqueue over compute, and the variation of compute


def median(samples: Iterable[float]) -> float:
    """The middle sample, or the mean of the two in the middle. Same unit as the samples."""
    ordered = _ordered(samples)
    half = len(ordered) // 2
    if len(ordered) % 2:
        return float(ordered[half])
    return float((ordered[half - 1] + ordered[half]) / 2)


def percentile(samples: Iterable[float], p: float) -> float:
    """trtexec's percentile: the largest sample left after setting aside the slowest (100 - p) per cent.

    p: 0 to 100. No interpolation: the result is always one of the samples.
    """
    if not 0 <= p <= 100:
        raise MeasureError(f"There is no percentile {p}.", cure="Give a number from 0 to 100.")
    ordered = _ordered(samples)
    n = len(ordered)
    return float(ordered[max(n - 1 - int((1 - p / 100) * n), 0)])


def variation(samples: Iterable[float]) -> float:
    """Coefficient of variation: population standard deviation over the mean (0.025 is 2.5 %)."""
    values = _ordered(samples)
    mean = float(values.mean())
    return float(values.std() / mean) if mean else 0.0


def thin(samples: np.ndarray, most: int = MOST_SAMPLES) -> np.ndarray:
    """At most `most` samples, evenly spaced over the run, in their order, the first and last kept."""
    samples = np.asarray(samples, dtype=np.float64)
    if len(samples) <= most:
        return samples
    return samples[np.linspace(0, len(samples) - 1, most).round().astype(int)]


def _ordered(samples: Iterable[float]) -> np.ndarray:
    values = np.sort(np.asarray(list(samples) if not isinstance(samples, np.ndarray) else samples, float))
    if not len(values):
        raise MeasureError("There are no samples.", cure="Measure for longer, or ask for another series.")
    return values


def _statistics(samples: np.ndarray) -> dict[str, float]:
    """The figures that are stored with a recording, computed over all samples."""
    found = {f"p{p}": percentile(samples, p) for p in STORED_PERCENTILES[1:]}
    found.update(
        median=median(samples),
        mean=float(samples.mean()),
        min=float(samples.min()),
        max=float(samples.max()),
        cv=variation(samples),
        count=len(samples),
    )
    return found


@dataclass(repr=False)
class Measurement:
    """One measured run. Times in ms, throughput in samples per second.

    series: kind -> samples; kinds are enqueue, h2d, compute, d2h, latency (no h2d and d2h without transfers).
    source: "measured" (a GPU, just now), "recorded" (a GPU, earlier) or "interpreter" (this machine's CPU).
    events: per query (start, end) of copy in, compute and copy out, for `timeline()`.
    """

    series: dict[str, np.ndarray]
    throughput: float
    batch: int
    wall_s: float
    options: dict[str, Any] = field(default_factory=dict)
    provenance: Provenance | None = None
    source: str = "measured"
    name: str | None = None
    events: list[list[float | None]] = field(default_factory=list)
    _stored: dict[str, dict[str, float]] = field(default_factory=dict)

    # -- statistics -------------------------------------------------------------------------------------
    def samples(self, kind: str = "compute") -> np.ndarray:
        """The samples of one kind, ms, in the order they were taken (thinned when recorded)."""
        if kind not in self.series:
            raise MeasureError(
                f"This measurement has no '{kind}' samples.",
                why="without transfers there is no copy to time" if kind in ("h2d", "d2h") else "",
                cure=f"Ask for one of: {', '.join(self.series)}.",
            )
        return self.series[kind]

    def statistics(self, kind: str = "compute") -> dict[str, float]:
        """median, mean, min, max, p90, p95, p99 (ms), cv and count, over all samples ever taken."""
        samples = self.samples(kind)
        if kind not in self._stored:
            self._stored[kind] = _statistics(samples)
        return self._stored[kind]

    def median(self, kind: str = "compute") -> float:
        """Median in ms."""
        return self.statistics(kind)["median"]

    def percentile(self, p: float, kind: str = "compute") -> float:
        """trtexec's percentile p (0 to 100) in ms."""
        stored = self.statistics(kind).get(f"p{p:g}")
        return stored if stored is not None else percentile(self.samples(kind), p)

    def cv(self, kind: str = "compute") -> float:
        """Coefficient of variation, 0.01 = 1 %."""
        return self.statistics(kind)["cv"]

    @property
    def count(self) -> int:
        """Queries measured after the warm-up."""
        return int(self.statistics("latency")["count"])

    def warnings(self) -> list[str]:
        """What trtexec warns about, each in a sentence with its cure; empty when all is well.

        Four rules: the host (enqueue over 0.8 of compute), either copy (no shorter than compute), and compute that
        varies by more than 1 %. One of our own: no CUDA graph could be captured.
        """
        found = []
        compute = self.median("compute")
        if self.options.get("captured") is False:
            found.append(later("No CUDA graph could be captured; measured without one."))
        by_events = self.options.get("timed") != "host clock"
        if by_events and self.median("enqueue") > HOST_SHARE * compute:
            words = (
                f"The host is the limit: enqueueing takes {self.median('enqueue'):.3f} ms (median), compute "
                f"{compute:.3f} ms. Cure: a CUDA graph (graph=True) or a larger batch."
            )
            found.append(later(words))
        for kind, words in (("h2d", "input"), ("d2h", "output")):
            if kind in self.series and self.median(kind) >= compute:
                told_of_copies = (
                    f"Copying the {words} takes {self.median(kind):.3f} ms (median), no less than compute "
                    f"({compute:.3f} ms). Cure: keep data on the GPU, or measure with transfers=False."
                )
                found.append(later(told_of_copies))
        if self.cv("compute") > UNSTABLE:
            cure = later("nothing else on the GPU, locked clocks, spin=True, or a longer run")
            if self.source == "interpreter":
                cure = later("nothing else on this machine, or a longer run")
            found.append(later(f"Compute time varies by {100 * self.cv('compute'):.1f} %. Cure: {cure}."))
        return found

    # -- showing ----------------------------------------------------------------------------------------
    @property
    def runner(self) -> str:
        """Who did the work, for the label of a bar: what ran in TensorRT's place is not called TensorRT."""
        told = self.options.get("runner", "TensorRT")
        return "onnxruntime" if self.source == "interpreter" and told == "TensorRT" else told

    @property
    def note(self) -> str:
        """Where these numbers come from, for the corner of a figure."""
        runner = self.options.get("runner", "TensorRT")
        if self.source == "interpreter":
            if runner == "TensorRT":
                return Said(later("onnxruntime on this CPU, not TensorRT"))
            return Said(later(f"{runner} on this CPU"))
        if self.provenance is None:
            return f"{self.source}, origin unknown"
        return self.provenance.note(self.source)

    def table(self) -> str:
        """The figures as text: a row a kind, ms."""
        heads = (told("median"), told("mean"), "p90", "p95", "p99")
        lines = [f"{'ms':<16}{''.join(filled(head, -10) for head in heads)}{'cv':>8}"]
        for kind in (k for k in KINDS if k in self.series):
            s = self.statistics(kind)
            cells = "".join(f"{s[k]:>10.4f}" for k in ("median", "mean", "p90", "p95", "p99"))
            lines.append(f"{filled(told(WORDS[kind]), 16)}{cells}{100 * s['cv']:>7.1f}%")
        lines.append(told(f"{self.throughput:.1f} samples/s at batch {self.batch}, {self.count} queries"))
        lines += [joined(told("warning:"), told(w)) for w in self.warnings()]
        lines.append(f"({told(self.note)})")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.table()

    def timeline(self, n: int = 6) -> list[tuple[str, int, float, float]]:
        """The first n queries after the warm-up: (stream, query, start, end), ms since the first event.

        stream is "copy in", "compute" or "copy out"; with several sessions "1: copy in" and so on.
        Measured by CUDA events, nothing is drawn by hand.
        """
        rows = []
        lanes = self.options.get("streams", 1)
        for i, times in enumerate(self.events[: n * lanes]):
            before = f"{i % lanes + 1}: " if lanes > 1 else ""
            for stream, start, end in zip(("copy in", "compute", "copy out"), times[::2], times[1::2], strict=True):
                if start is not None and end is not None:
                    rows.append((before + stream, i // lanes, start, end))
        if not rows:
            return rows
        first = min(row[2] for row in rows)
        return [(stream, query, start - first, end - first) for stream, query, start, end in rows]

    # -- storing ----------------------------------------------------------------------------------------
    def to_dict(self) -> dict[str, Any]:
        """Plain data for a recording: samples rounded and thinned, statistics over all of them kept."""
        series: dict[str, Any] = {}
        for kind, samples in self.series.items():
            series[kind] = {"statistics": {k: round(v, 7) for k, v in self.statistics(kind).items()}}
            if kind != "latency":  # the sum of the others
                series[kind]["samples"] = [round(float(x), DECIMALS) for x in thin(samples)]
        return {
            "series": series,
            "throughput": round(self.throughput, 3),
            "batch": self.batch,
            "wall_s": round(self.wall_s, 6),
            "options": self.options,
            "events": [[None if t is None else round(t, DECIMALS) for t in row] for row in self.events],
        }

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], *, provenance: Provenance | None = None, source: str = "recorded"
    ) -> Measurement:
        """The measurement back from `to_dict`, with where it came from."""
        stored = data["series"]
        series = {k: np.asarray(v["samples"], dtype=np.float64) for k, v in stored.items() if "samples" in v}
        series["latency"] = np.sum([series[k] for k in ("h2d", "compute", "d2h") if k in series], axis=0)
        return cls(
            series=series,
            throughput=data["throughput"],
            batch=data["batch"],
            wall_s=data["wall_s"],
            options=dict(data["options"]),
            provenance=provenance,
            source=source,
            events=[list(row) for row in data.get("events", [])],
            _stored={k: dict(v["statistics"]) for k, v in stored.items()},
        )
