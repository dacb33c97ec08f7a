"""Answers to lesson 05's exercises that the player tries."""

MINE = """
mine = builder.create_optimization_profile()
mine.set_shape({name!r}, ({low}), ({best}), ({high}))
"""
LOW, BEST, HIGH = "1, 1, 16, 16", "16, 1, 16, 64", "16, 1, 16, 160"

READY = """
def ready(context, shape):
    for number in range(context.engine.num_optimization_profiles):
        low, _, high = context.engine.get_tensor_profile_shape("strip", number)
        if {test}:
            context.set_optimization_profile_async(number, stream.handle)
            {after}
            return number
"""
ALL = "all(a <= n <= b for a, n, b in zip(low, shape, high))"
SHAPE_FIRST = """
def ready(context, shape):
    for number in range(context.engine.num_optimization_profiles):
        if context.set_input_shape("strip", shape):
            return number
"""

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
def ready(context, shape):
    engine = context.engine
    def fits(number):
        low, _, high = map(np.array, map(tuple, engine.get_tensor_profile_shape("strip", number)))
        return bool(np.all(low <= shape) and np.all(shape <= high))
    number = next((n for n in range(engine.num_optimization_profiles) if fits(n)), None)
    if number is not None:
        if number != context.active_optimization_profile:
            context.set_optimization_profile_async(number, stream.handle)
            stream.synchronize()
        context.set_input_shape("strip", shape)
    return number
""",
        "wrong": [
            (
                READY.format(test="shape[3] <= high[3]", after='context.set_input_shape("strip", shape)'),
                "has limits too",
            ),
            (READY.format(test=ALL, after="pass"), "after the switch"),
            (SHAPE_FIRST, "the range of every profile"),
            ("def ready(context, shape):\n    pass", "return the profile's number"),
            (
                "def ready(context, shape):\n    return None if shape[0] > 8 or shape[3] > 256 else int(shape[3] > 64)",
                "set the input's shape",
            ),
        ],
    },
    "05.3": {
        "alternative": """
def serve(requests, read):
    order = sorted(range(len(requests)), key=lambda i: requests[i].shape[3])
    widest, answers = requests[order[-1]].shape[3], [None] * len(requests)
    for start in range(0, len(order), 8):
        chosen = order[start : start + 8]
        logits = read(np.concatenate([strips.pad(requests[i], widest) for i in chosen]))
        for place, row in zip(chosen, logits):
            answers[place] = row[None]
    return answers
""",
        "wrong": [
            ("def serve(requests, read):\n    return [read(strip) for strip in requests]", "fit into one call"),
            (
                "def serve(requests, read):\n"
                "    answers = []\n"
                "    for width in (32, 64, 128):\n"
                "        same = [r for r in requests if r.shape[3] == width]\n"
                "        answers += list(read(np.concatenate(same))[:, None])\n"
                "    return answers",
                "place in the queue",
            ),
            (
                "def serve(requests, read):\n    return read(np.concatenate([strips.pad(r, 128) for r in requests]))",
                "ValueError",
            ),
            (
                "def serve(requests, read):\n"
                "    return [read(np.concatenate([r for r in requests if r.shape[3] == w])) for w in (32, 64, 128)]",
                "its own row",
            ),
        ],
    },
}
