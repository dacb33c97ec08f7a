"""The commands of this room: `trt-lessons sweep` and `trt-lessons serve-config`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Add the room's commands to the command line."""
    sweep = commands.add_parser("sweep", help="many cases, built and measured on many cards, on Ray")
    sweep.add_argument("cases", type=Path, metavar="JSON", help='[{"model": "m.onnx", "precision": "fp16", ...}, ...]')
    sweep.add_argument("--output", type=Path, default=Path("sweep"), metavar="DIR", help="the results (sweep/)")
    sweep.add_argument("--address", help="a Ray cluster: auto, or host:port (default: this machine)")
    sweep.add_argument("--retries", type=int, default=2, metavar="N", help="further tries after an accident (2)")
    sweep.add_argument("--limit", type=float, default=600, metavar="S", help="seconds until a try is called hung (600)")
    sweep.add_argument("--memory", type=float, metavar="GB", help="host memory that one case may take")
    sweep.set_defaults(do=_sweep)

    serve = commands.add_parser("serve-config", help="a Triton model repository from an ONNX file or a plan")
    serve.add_argument("model", type=Path, metavar="MODEL", help="an ONNX file, or a plan built on this machine")
    serve.add_argument("--output", type=Path, default=Path("repository"), metavar="DIR", help="(repository/)")
    serve.add_argument("--name", help="the model's name (default: the file's)")
    serve.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32], metavar="N", help="sizes to prefer")
    serve.add_argument("--delay", type=int, default=1000, metavar="US", help="longest wait for a batch, us (1000)")
    serve.add_argument("--instances", type=int, default=1, metavar="N", help="copies of the model (1)")
    serve.add_argument("--precision", help="what the model holds, to be verified in the engine")
    serve.add_argument("--python", action="store_true", default=None, help="serve through Python, also on a GPU")
    serve.add_argument("--check", action="store_true", help="start Triton on it once: ready, or its words")
    serve.set_defaults(do=_serve_config)


def _sweep(args: argparse.Namespace) -> int:
    from .cases import read
    from .sweeping import sweep

    def tell(line: str) -> None:
        print(line, flush=True)

    memory = None if args.memory is None else int(args.memory * 1e9)
    options = {"address": args.address, "retries": args.retries, "limit_s": args.limit, "memory": memory}
    found = sweep(read(args.cases), args.output, tell=tell, **options)
    print(found.table())
    for path in found.files:
        print(f"recorded: {path}")
    return 0 if all(row["status"] == "ok" for row in found.rows) else 1


def _serve_config(args: argparse.Namespace) -> int:
    from .serving.repository import write
    from .serving.server import Server

    options = {"batches": args.batches, "delay_us": args.delay, "instances": args.instances}
    options |= {"name": args.name, "precision": args.precision, "python": args.python}
    print(f"written: {write(args.model, args.output, **options)}")
    if args.check:
        with Server(args.output) as server:
            print(f"Triton is ready with it (asked at {server.url})")
    return 0
