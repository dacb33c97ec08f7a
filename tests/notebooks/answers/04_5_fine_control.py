"""Answers to lesson 04_5's exercises that the player tries."""

KEPT = """
def kept_engine(model, name):
    number = int(name[-1])
    return tl.build(precision.to_fp16(model, keep={keep}), level=0)
"""

SPARSE = """
import copy

def sparse_engine(model):
    mine = {copy}
    mine = {ready}
    return tl.build(mine, level=1, configure={configure})
"""
WELL = {"copy": "copy.deepcopy(model)", "ready": "pruned_fp16(mine)", "configure": "sparse"}

LEAN = """
def lean(model):
    ranges = {{"x": ((1, 128, 32, 32), (4, 128, 32, 32), ({most}, 128, 32, 32))}}
    return tl.build({model}, profiles=ranges, level=1)
"""
HALF = "precision.to_fp16(model, float_io=False)"

ANSWERS = {
    "04_5.1": {
        "alternative": (
            "def kept_engine(model, name):\n"
            "    names = [node.name for node in model.graph.node]\n"
            "    at = names.index(name)\n"
            "    typed = precision.to_fp16(model, keep=names[at : at + 2], float_io=False)\n"
            "    return tl.build(typed, level=0)"
        ),
        "wrong": [
            (KEPT.format(keep="[name]"), "keep its ReLU as well"),
            (KEPT.format(keep="[]"), "it computes in FP16 here"),
            (KEPT.format(keep="['conv1', 'relu1', name, f'relu{number}']"), "keep no other"),
            (KEPT.format(keep="[name, f'relu{number}']").replace("return ", ""), "return what tl.build returns"),
        ],
    },
    "04_5.2": {
        "alternative": SPARSE.format(**WELL | {"copy": "onnx.load_from_string(model.SerializeToString())"}),
        "wrong": [
            (SPARSE.format(**WELL | {"copy": "model"}), "prune a copy"),
            (SPARSE.format(**WELL | {"ready": "precision.to_fp16(mine)"}), "prune each kernel"),
            (SPARSE.format(**WELL | {"configure": "None"}), "nobody looks at the pattern"),
        ],
    },
    "04_5.3": {
        "alternative": LEAN.format(most=8, model=HALF),
        "wrong": [
            (LEAN.format(most=64, model=HALF), "the profile's largest batch"),
            (LEAN.format(most=8, model="model"), "what the convolutions compute in"),
            (LEAN.format(most=4, model=HALF), "the profile takes 1 to 8"),
        ],
    },
}
