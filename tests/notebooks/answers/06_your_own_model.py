"""Answers to lesson 06's exercises that the player tries."""

AXES = "def open_axes_of(model):\n    found = {{}}\n    for v in model.graph.input:\n{}\n    return found"
LOOP = """        axes = [i for i, d in enumerate(v.type.tensor_type.shape.dim) if {test}]
        if {when}:
            found[v.name] = axes"""
PICK = "def pick(rows, limit):\n    return {}"

ANSWERS = {
    "06.1": {
        "alternative": AXES.format(LOOP.format(test="not d.dim_value", when="len(axes)")),
        "wrong": [
            (AXES.format(LOOP.format(test="d.dim_param", when="axes")), "need not have a name"),
            (AXES.format(LOOP.format(test="not d.dim_value", when="True")), "leave out inputs"),
            (AXES.format(LOOP.format(test="True", when="axes")), "is fixed"),
            ("def open_axes_of(model):\n    return [v.name for v in model.graph.input]", "return a dict"),
        ],
    },
    "06.2": {
        "alternative": PICK.format("sorted((r for r in rows if r[2] and r[1] <= limit), key=lambda r: r[2])[0][0]"),
        "wrong": [
            (PICK.format("min((r for r in rows if r[1] <= limit), key=lambda r: r[2])[0]"), "leave it out"),
            (PICK.format("min((r for r in rows if r[2]), key=lambda r: r[2])[0]"), "more than the limit is out"),
            (
                PICK.format("min((r for r in rows if r[2] and r[1] < limit), key=lambda r: r[2])[0]"),
                "exactly the limit",
            ),
            (PICK.format("min((r for r in rows if r[2] and abs(r[1]) <= limit), key=lambda r: r[2])[0]"), "is a gain"),
            (PICK.format("min(rows, key=lambda r: r[1])[0]"), "the smallest ms"),
        ],
    },
    "06.3": {
        "alternative": "keep_float = ('classifier', 'stem.conv')",
        "wrong": [
            ("keep_float = 'stem.conv'", "give a list of names"),
            ("keep_float = ['block1.conv1', 'block2.conv1']", "measure each candidate"),
            ("keep_float = ['stem.norm', 'classifier']", "only the candidates"),
            ("keep_float = candidates", "two are enough"),
        ],
    },
}
