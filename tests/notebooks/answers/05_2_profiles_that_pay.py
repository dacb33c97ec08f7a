"""Answers to lesson 05_2's exercises that the player tries."""

BEST = """
builder = trt.Builder(tl.compat.shared_log())
best = builder.create_optimization_profile()
best.set_shape({name!r}, ({low}), ({best}), ({high}))
"""
LOW, HIGH = "1, 1, 16, 16", "128, 1, 16, 256"

GRAPHS = """
graphs_kept = {{}}


def graph_for(width):
    {body}
"""
ROUNDED = "edge = next((edge for edge in (64, 128, 256) if width <= edge), None)"

FAST = """
plan = tl.buckets.propose({lengths}, {most}, largest={largest})
fast = tl.build(path, profiles=plan.profiles("strip", strips.shape, batch={batch}), level=2, timing_cache=False)
"""

ANSWERS = {
    "05_2.1": {
        "alternative": """
builder = trt.Builder(tl.compat.shared_log())
best = builder.create_optimization_profile()
width = min((64, 256), key=lambda opt: sum(moved[f"opt {opt}"][w] for w in (16, 64, 256)))
best.set_shape("strip", *strips.ranges(16, width, 256)["strip"])
""",
        "wrong": [
            (BEST.format(name="strip", low=LOW, best="128, 1, 16, 64", high=HIGH), "not the three wins"),
            (BEST.format(name="strip", low=LOW, best="1, 1, 16, 256", high=HIGH), "at full batches"),
            (BEST.format(name="strip", low="1, 1, 16, 64", best=HIGH, high=HIGH), "the smallest and the largest"),
            (BEST.format(name="stripe", low=LOW, best=HIGH, high=HIGH), "set_shape(name"),
        ],
    },
    "05_2.2": {
        "alternative": """
table = {64: None, 128: None, 256: None}


def graph_for(width):
    for edge in table:
        if width <= edge:
            table[edge] = table[edge] or capture(edge)
            return table[edge]
""",
        "wrong": [
            (GRAPHS.format(body=f"{ROUNDED}\n    return capture(edge) if edge else None"), "the same one comes back"),
            (
                GRAPHS.format(
                    body="if width not in graphs_kept:\n        graphs_kept[width] = capture(width)\n"
                    "    return graphs_kept[width]"
                ),
                "padded to",
            ),
            (
                GRAPHS.format(
                    body=f"{ROUNDED} or 256\n    graphs_kept[edge] = graphs_kept.get(edge) or capture(edge)\n"
                    "    return graphs_kept[edge]"
                ),
                "takes that width",
            ),
            (GRAPHS.format(body="pass"), "return the graph"),
        ],
    },
    "05_2.3": {
        "alternative": """
evening = np.repeat([2, 5, 9], [150, 274, 1624])
ranges = [strips.ranges(*ends) for ends in ((16, 144, 144), (16, 256, 256))]
fast = tl.build(path, profiles=ranges, level=2, timing_cache=False)
""",
        "wrong": [
            ("fast = several[3]", "where do the strips"),
            (FAST.format(lengths="lengths", most=3, largest=16, batch=128), "where do the strips"),
            (
                FAST.format(lengths="np.repeat([2, 5, 9], [150, 274, 1624])", most=3, largest="None", batch=128),
                "largest=16",
            ),
            (FAST.format(lengths="lengths", most=4, largest=16, batch=128), "the number of ranges"),
            ("fast = strips.ranges(16, 144, 256)", "tl.build"),
        ],
    },
}
