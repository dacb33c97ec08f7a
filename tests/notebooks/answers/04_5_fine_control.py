"""Answers to lesson 04_5's exercises that the player tries."""

LEVEL = """
def best_level(rows, queries):
    total = {{level: {total} for level, build, ms in rows}}
    return {result}
"""
LEAST = "min(total, key=total.get)"
ROW = "min(total.items(), key=lambda pair: pair[1])"

PATTERN = """
def is_two_to_four(kernel):
    fours = kernel.reshape(len(kernel), -1, 4, 2, 2)
    return {result}
"""

FIT = """
def contexts_that_fit(free, weights, activations, buffers):
    return {result}
"""
ONE_BY_ONE = """
def contexts_that_fit(free, weights, activations, buffers):
    n = 0
    while weights + (n + 1) * (activations + buffers) <= free:
        n += 1
    return n
"""

ANSWERS = {
    "04_5.1": {
        "alternative": LEVEL.format(total="build * 1000 + ms * queries", result="sorted(total, key=total.get)[0]"),
        "wrong": [
            (LEVEL.format(total="ms", result=LEAST), "the build counts too"),
            (LEVEL.format(total="build + ms", result=LEAST), "at every query"),
            (LEVEL.format(total="build + queries * ms", result=LEAST), "latencies are in ms"),
            (LEVEL.format(total="build + queries * ms / 1000", result=ROW), "its level"),
            (LEVEL.format(total="build + queries * ms / 1000", result="min(total.values())"), "not a position"),
        ],
    },
    "04_5.2": {
        "alternative": (
            "def is_two_to_four(kernel):\n"
            "    starts = range(0, kernel.shape[1], 4)\n"
            "    return all((kernel[:, i:i + 4] == 0).sum(1).min() >= 2 for i in starts)"
        ),
        "wrong": [
            (PATTERN.format(result="bool((kernel == 0).mean() >= 0.5)"), "look at groups"),
            (PATTERN.format(result="bool(((fours != 0).sum(2) == 2).all())"), "at most two"),
            (PATTERN.format(result="bool(((fours[:1, ..., 0, 0] != 0).sum(2) <= 2).all())"), "every output channel"),
            (PATTERN.format(result="(fours != 0).sum(2) <= 2"), "one verdict"),
        ],
    },
    "04_5.3": {
        "alternative": ONE_BY_ONE,
        "wrong": [
            (FIT.format(result="free // (weights + activations + buffers)"), "share its weights"),
            (FIT.format(result="max(free - weights, 0) // activations"), "buffers of its own"),
            (FIT.format(result="(free - weights) // (activations + buffers)"), "never less"),
            (FIT.format(result="max(free - weights, 0) / (activations + buffers)"), "a whole number"),
        ],
    },
}
