"""Open-loop load on Ray Serve over one and over two cards, recorded for lesson 09.

    TRT_LESSONS_RECORD=1 python tests/benchmarks/load_on_cards.py [--seconds 4] [--cards 1 2] [heavy] [light]

heavy: convolutions that fill a card with one picture, so that batches gain nothing: when does a second card help?
light: the digits network with batches up to 64: what does the host carry before the card is full?
Each rate is offered for so many seconds; the rates are shares of what one card's service answers in a closed loop.
Triton's wheel (nvidia-pytriton) holds no TensorRT backend, so the servers here are Ray Serve's, with a `tl.Session`.
Without a GPU it runs too, on replicas that share the CPU, with a small network (--small): a rehearsal.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from serving import bare, served

import trt_lessons as tl
from trt_lessons import backend, recordings
from trt_lessons.models import digits, random_weights
from trt_lessons.scale import lab
from trt_lessons.scale.cluster import Cluster
from trt_lessons.scale.serving.client import Client
from trt_lessons.scale.serving.load import offer
from trt_lessons.scale.serving.replicas import Service

SHARES = {1: (0.25, 0.5, 0.75, 0.9, 1.1), 2: (0.5, 0.9, 1.1, 1.5, 1.8, 2.2)}


def heavy(small: bool) -> tuple[tl.build.BuildReport, dict[str, np.ndarray], tuple[int, ...]]:
    """(engine, one request, batches): 24 3x3 convolutions over 256 channels of 128 x 128; 64 KB in, 64 KB out.

    460 billion multiplications and additions: several ms on any card, more than the host spends on a request.
    """
    shape, widths = ((1, 1, 32, 32), [32] * 4) if small else ((1, 1, 128, 128), [256] * 24)
    model = random_weights.stack("x", ("n", *shape[1:]), [*widths, 1])
    report = tl.build(model, profiles={"x": (shape,) * 3}, precision="fp32", level=1, name="heavy", progress=False)
    return report, {"x": np.ones(shape, np.float32)}, (1,)


def light(small: bool) -> tuple[tl.build.BuildReport, dict[str, np.ndarray], tuple[int, ...]]:
    """(engine, one request, batches): the digits network."""
    picture = digits.data().test_images[:1]
    shapes = [(n, *picture.shape[1:]) for n in (1, 64, 64)]
    report = tl.build(digits.onnx_path(), profiles={"images": shapes}, level=1, name="light", progress=False)
    return report, {"images": picture}, (1, 8, 64)


KINDS = {"heavy": heavy, "light": light}


def loaded(kind: str, cards: int, seconds: float, small: bool, found: dict[str, Any]) -> dict[str, Any]:
    """One service under load: {"bare", "closed": requests per s, "loads": [...]}. found: the same kind, fewer cards."""
    report, request, batches = KINDS[kind](small)
    (name,) = request
    with tl.Session(report) as session:
        alone = bare(session, name, 1, min(seconds, 1), request[name])
    with Service(report, batches=batches, delay_us=0, instances=cards) as service:
        closed, _, _ = served(service.url, service.name, name, seconds / 2, request[name])
        base = found.get("closed", closed)
        print(f"{kind}, {cards}: bare {alone:.0f} /s, behind Ray Serve in a closed loop {closed:.0f} /s", flush=True)
        loads = []
        for share in SHARES[cards]:
            load = offer(
                lambda: Client(service.url, service.name), [request], rate=max(share * base, 1), seconds=seconds
            )
            print(f"  {load}", flush=True)
            loads.append(lab.told(load))
    return {"bare": round(alone, 1), "closed": round(closed, 1), "loads": loads}


def main() -> None:
    """Take the named kinds, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="kind", help=", ".join(KINDS))
    parser.add_argument("--seconds", type=float, default=4.0, help="per rate")
    parser.add_argument("--cards", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--small", action="store_true", help="a network that a CPU can carry")
    asked = parser.parse_args()
    tl.lesson(lab.LESSON)
    start = time.perf_counter()
    with Cluster(**({} if backend.is_gpu() else {"num_cpus": 2})):
        for kind in asked.kinds or KINDS:
            found: dict[str, Any] = {}
            for cards in asked.cards:
                name = f"{cards} card{'s' if cards > 1 else ''}"
                found[name] = loaded(kind, cards, asked.seconds, asked.small, next(iter(found.values()), {}))
                recordings.save(f"load, {kind}, {name}", found[name])
                print(f"{kind}, {name}: done after {time.perf_counter() - start:.0f} s", flush=True)
            lab.keep(f"load, {kind}", {name.replace("card", "replica"): one for name, one in found.items()})


if __name__ == "__main__":
    main()
