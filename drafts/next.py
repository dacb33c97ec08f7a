"""Changes of cells that wait for the next recorded run, so that outputs and code stay of one run.

    python drafts/next.py           puts them into notebooks/; then: trt-lessons record --in-place, on a GPU
    python drafts/next.py --check   only says whether they still fit

Each is (text that stands in the cell now, text that takes its place). After the run this file goes.
"""

# ruff: noqa: E501
import json
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"

# The raw call, without our checksum, in a process of its own: 8.6 may end it.
RAW = '''
ALONE = """
import sys
from trt_lessons import trt
plan = open(sys.argv[1], "rb").read()
print(type(trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(plan)).__name__)
"""
done = elsewhere(f"import sys; sys.argv.append({str(saved)!r})\\n{ALONE}")
print("one byte flipped, TensorRT alone:", done.stdout.strip() or f"the process ended with {done.returncode}")
'''

CHANGES = {
    "00_start_here": {"cpu-time": [("duration_s=0.2", "duration_s=1")]},
    "04_1_precision": {
        "placement-times": [
            (
                'title = "Pairs in the wrong places: " + " and ".join(f"{ms / right:.1f}" for ms in wrong) + " times the time"',
                'factors = " and ".join(f"{ms / right:.1f}" for ms in wrong)\n'
                'title = f"Pairs in the wrong places: {factors} times the time of the right ones"',
            )
        ],
    },
    "04_2_fusion": {
        "break-layers": [
            (
                '    print(f"{how:<17} {len(rows)} engine layers, {moved:.0f} MB moved:", "  |  ".join(row.name for row in rows))',
                '    print(f"{how:<17} {len(rows)} engine layers, {moved:.0f} MB moved:", end=" ")\n'
                '    print(*(f"{row.name} ({row.type})" for row in rows), sep="  |  ")',
            )
        ],
        "break-measure": [
            (
                'title=f"Slowest: {worst}, {slower:.2f} times the time as written"',
                'title=f"A block in pieces takes up to {slower:.2f} times the time as written"',
            )
        ],
        "qdq": [
            (
                'print(len(int8_table), "engine layers:", int8_table.count("precision"))',
                'types = {kind or "not told": n for kind, n in int8_table.count("precision").items()}\n'
                'print(len(int8_table), "engine layers:", types)',
            )
        ],
    },
    "04_3_streams_and_graphs": {
        "gain": [
            (
                'title = f"The graph gives most at batch {best}: {gain[best]:.2f} times the throughput"\n',
                'title = f"The graph gives most at batch {best}: {gain[best]:.2f} times the throughput"\n'
                "if gain[best] < 1.05:\n"
                '    title = "Digits: a graph changes next to nothing, the GPU is the limit"\n',
            )
        ],
        "slide": [
            (
                '    "CUDA graph, chain":',
                '    "depth 8 against 4, picture filter": depths[8].throughput / depths[4].throughput,\n'
                '    "CUDA graph, chain":',
            )
        ],
    },
    "04_4_engines_on_disk": {
        "portable": [
            (
                'if "ms" in x], note=prices)',
                'if "ms" in x], title=title, note=prices)',
            ),
            (
                "tl.plots.ablation(",
                'title = "What portability costs: latency against the plain plan"\ntl.plots.ablation(',
            ),
        ],
        "refuse-reasons": [
            (
                'print("loaded, and nobody complained:", tl.load(tl.compat.outdated(plan), name="an outdated plan"))',
                'loaded = tl.load(tl.compat.outdated(plan), name="an outdated plan")\n'
                '    print("an outdated plan loaded, and nobody complained:", type(loaded).__name__)',
            )
        ],
        "slide": [
            (
                '    "· deserialize"',
                '    "· runtime": stages["runtime"],\n'
                '    "· read the file": stages["read the file"],\n'
                '    "· deserialize"',
            )
        ],
    },
    "04_5_fine_control": {
        "sources": [("t[:120]", "t[:160]")],
        "workspace": [
            (
                'print(spaces.note, *{line for row in spaces.value for line in row["said"]}, sep="\\n")',
                "for row in spaces.value:\n"
                "    about = f\"{row['network']}, limit {row['limit']}:\"\n"
                '    print(*(f"{about} {line}\\n" for line in row["said"]), end="", sep="")\n'
                "print(spaces.note)",
            )
        ],
        "verbosity-words": [("what is layer 0?", "what do you know of the layer of which you know most?")],
        "verbosity-tell": [
            (
                "    inspector = report.engine().create_engine_inspector()\n"
                "    text = str(inspector.get_layer_information(0, trt.LayerInformationFormat.ONELINE)).strip()\n",
                "    engine = report.engine()\n"
                "    ask, kind = engine.create_engine_inspector(), trt.LayerInformationFormat.ONELINE\n"
                "    told = [str(ask.get_layer_information(i, kind)).strip() for i in range(engine.num_layers)]\n"
                '    text = max(told, key=len) or "(nothing)"\n',
            )
        ],
        "sparsity-words": [
            (
                "Where layer 0 only changes\na format, its kernel is a mere number, the `TacticValue`. If the plans",
                "If the plans",
            )
        ],
    },
    "05_dynamic_shapes": {
        "buckets": [
            (
                'print(f"{count} ranges {found.edges!s:<20} {saved}',
                'print(f"ranges: {count} {found.edges!s:<20} {saved}',
            )
        ],
    },
    "07_when_it_fails": {
        "f13": [
            (
                'assert attempt("the whole plan"',
                RAW.lstrip("\n") + 'assert attempt("the whole plan"',
            )
        ],
        "f15": [
            (
                '            "streams": lambda',
                '            "one by one, pinned": lambda: [session.infer(batch) for batch in locked],\n'
                '            "streams": lambda',
            ),
            ("{name:<16}", "{name:<18}"),
        ],
    },
}


def main() -> None:
    """Put every change in, or stop at the first cell that is another by now."""
    for name, cells in CHANGES.items():
        path = NOTEBOOKS / f"{name}.ipynb"
        notebook = json.loads(path.read_text("utf-8"))
        found = {cell["id"]: cell for cell in notebook["cells"]}
        for cell, pairs in cells.items():
            source = "".join(found[cell]["source"])
            for old, new in pairs:
                if source.count(old) != 1:
                    sys.exit(f"{name}, cell {cell}: this stands there {source.count(old)} times, not once:\n{old}")
                source = source.replace(old, new)
            found[cell]["source"] = source.splitlines(keepends=True)
        if "--check" not in sys.argv:
            path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"{sum(map(len, CHANGES.values()))} cells of {len(CHANGES)} notebooks")


main()
