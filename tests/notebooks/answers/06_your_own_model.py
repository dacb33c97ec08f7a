"""Answers to lesson 06's exercises that the player tries."""

AXES = "def open_axes_of(model):\n    found = {{}}\n    for v in model.graph.input:\n{}\n    return found"
LOOP = """        axes = [i for i, d in enumerate(v.type.tensor_type.shape.dim) if {test}]
        if {when}:
            found[v.name] = axes"""
BUILD = """
def build_for(model, batches):
    ranges = {{}}
    for name in batches[0]:
        shapes = [batch[name].shape for batch in batches]
        low, high = np.min(shapes, axis=0).tolist(), np.max(shapes, axis=0).tolist()
        {more}
        ranges[name] = ({low}, {opt}, {high})
    return {result}
"""
RESULT = "tl.build(model, profiles=ranges, level=0, progress=False)"


def build(low="low", opt="max(shapes, key=shapes.count)", high="high", more="pass", result=RESULT):
    """An answer to 06.2, with one thing otherwise."""
    return BUILD.format(low=low, opt=opt, high=high, more=more, result=result)


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
        "alternative": build(
            more="from collections import Counter", opt="Counter(shapes).most_common(1)[0][0]", high="tuple(high)"
        ),
        "wrong": [
            (build(low="[1, *low[1:]]"), "no batch is so extreme"),
            (build(opt="high"), "neither the largest"),
            (build(low="shapes[0]", opt="shapes[0]", high="shapes[0]"), "a batch does not fit"),
            (build(result="ranges"), "return what tl.build returns"),
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
