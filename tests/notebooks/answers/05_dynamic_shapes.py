"""Answers to lesson 05's exercises that the player tries."""

MINE = """
mine = builder.create_optimization_profile()
mine.set_shape({name!r}, ({low}), ({best}), ({high}))
"""
LOW, BEST, HIGH = "1, 1, 16, 16", "16, 1, 16, 64", "16, 1, 16, 160"

ANSWERS = {
    "05.1": {
        "alternative": """
mine = trt.Builder(log).create_optimization_profile()
mine.set_shape(source.name, *[(n, 1, 16, 16 * digits) for n, digits in ((1, 1), (16, 4), (16, 10))])
""",
        "wrong": [
            (MINE.format(name="stripe", low=LOW, best=BEST, high=HIGH), "with that name"),
            (MINE.format(name="strip", low="1, 1, 16, 1", best="16, 1, 16, 4", high="16, 1, 16, 10"), "in pixels"),
            (MINE.format(name="strip", low=LOW, best="8, 1, 16, 64", high=HIGH), "what comes most often"),
            (MINE.format(name="strip", low=LOW, best=BEST, high="16, 1, 16, 256"), "and no more"),
            ("mine = (16, 1, 16, 64)", "create_optimization_profile"),
        ],
    },
    "05.2": {
        "alternative": """
def pick(ranges, width):
    best = None
    for number, (low, high) in enumerate(ranges):
        if low <= width <= high and (best is None or high < ranges[best][1]):
            best = number
    return best
""",
        "wrong": [
            ("def pick(ranges, width):\n    return [l <= width < h for l, h in ranges].index(True)", "ValueError"),
            (
                "def pick(ranges, width):\n"
                "    return next((i for i, (low, high) in enumerate(ranges) if low <= width <= high), None)",
                "smallest largest width",
            ),
            ("def pick(ranges, width):\n    return 0 if width <= 64 else 1", "several take it"),
            ("def pick(ranges, width):\n    pass", "returns nothing"),
        ],
    },
    "05.3": {
        "alternative": """
def padding_share(lengths, edges):
    columns = [min(e for e in edges if e >= n) for n in lengths]
    return (sum(columns) - sum(lengths)) / sum(columns)
""",
        "wrong": [
            (
                "def padding_share(lengths, edges):\n    return 1 - sum(lengths) / (len(lengths) * max(edges))",
                "first edge that takes it",
            ),
            (
                "def padding_share(lengths, edges):\n"
                "    return sum(lengths) / sum(min(e for e in edges if e >= n) for n in lengths)",
                "the rest",
            ),
            (
                "def padding_share(lengths, edges):\n"
                "    return sum(min(e for e in edges if e >= n) for n in lengths) - sum(lengths)",
                "divide by all",
            ),
        ],
    },
}
