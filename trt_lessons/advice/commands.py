"""The commands `trt-lessons inspect` and `trt-lessons report`, for anybody's model."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .. import STARTED
from ..errors import LessonError
from ..measuring.stages import Stages


def register(commands: Any) -> None:
    """Add both to the command line (argparse's subparsers)."""
    look = commands.add_parser("inspect", help="what an ONNX file holds, and what TensorRT will say of it")
    look.add_argument("model", type=Path, metavar="ONNX")
    look.add_argument("--template", type=Path, metavar="NPZ", help="write inputs of sensible shapes, to be filled")
    look.add_argument("--nvidia", action="store_true", help="ask NVIDIA's parser about a file of over 100 MB as well")
    look.add_argument("--json", action="store_true", help="for programs")
    look.set_defaults(do=_inspect)

    report = commands.add_parser("report", help="every precision of your model, measured, as one HTML file")
    report.add_argument("model", type=Path, metavar="ONNX")
    add_options(report)
    words = "name=1x3x224x224:8x3x224x224:16x3x224x224, for each open input"
    report.add_argument("--profile", action="append", default=[], metavar="RANGE", help=words)
    report.add_argument("--json", action="store_true", help="what was found, and the seconds of each stage, as JSON")
    report.set_defaults(do=_report)


def add_options(own: Any) -> None:
    """The options that `report` and lesson 06 share."""
    own.add_argument("--data", type=Path, metavar="NPZ", help='real inputs, named like the model\'s; "labels" if any')
    own.add_argument("--limit", type=float, metavar="L", help="points of accuracy (0.5), or percent of error (2)")
    own.add_argument("--batch", type=int, metavar="N", help="rows of the batch that is timed (256, or all)")
    own.add_argument("--reports", type=Path, metavar="DIR", help="where the report goes (reports/)")


def _inspect(args: argparse.Namespace) -> int:
    from . import inspect

    try:
        told = inspect.look(args.model)
        shapes = inspect.template(args.model, args.template, told) if args.template else {}
    except LessonError as error:
        return _bad_model(error)
    if args.json:
        print(
            json.dumps({**told.to_dict(), "template": {name: list(shape) for name, shape in shapes.items()}}, indent=1)
        )
        return 0
    print(told)
    if told.bytes < inspect.LARGE or args.nvidia:
        print(f"  {inspect.nvidia_word(args.model)}")
    else:
        print("  NVIDIA's parser was not asked about so large a file: --nvidia asks it")
    for name, shape in shapes.items():
        print(f"  {args.template}: {name} {list(shape)}")
    return 0


def _report(args: argparse.Namespace) -> int:
    spent = Stages(STARTED)  # the imports count as well
    from . import inspect, report

    def say(line: str) -> None:
        print(line, flush=True, file=sys.stderr if args.json else sys.stdout)

    try:
        how = {"limit": args.limit, "batch": args.batch, "where": args.reports, "spent": spent}
        found, path = report.of(args.model, args.data, profiles=inspect.shapes_of(args.profile), say=say, **how)
    except LessonError as error:
        return _bad_model(error)
    if args.json:
        print(json.dumps(report.to_dict(found, path), indent=1))
        return 0
    print(found.table(), found.why, *found.remarks, sep="\n")
    print(f"report: {path}")
    return 0


def _bad_model(error: LessonError) -> int:
    print(f"trt-lessons: {error}", file=sys.stderr)
    return 2
