"""Answers to lesson 04_1's exercises that the player tries."""

EXACT = "def exact(config, network):\n    {}"
PUZZLE = 'puzzle = precision.rescale(base, "block4.norm1", "block4.conv2", 2.0**17)\n'
BUILD = 'cured = tl.build({}, precision="fp16", configure=tl.compat.hold_in_fp32({}), **options)'
KEPT = PUZZLE + "keep = {}\n" + BUILD.format("precision.to_fp16(puzzle, keep=keep)", "keep")
BACK = 'precision.rescale(puzzle, "block4.norm1", "block4.conv2", 2.0**-17)'
MIXED = (
    "graph = precision.quantize(base, pictures, keep={})\n"
    'mixed = tl.build(rest_in_half(graph), precision="int8+fp16", **options)'
)

ANSWERS = {
    "04_1.1": {
        "alternative": EXACT.format("config.flags &= ~(1 << int(trt.BuilderFlag.TF32))"),
        "wrong": [
            (EXACT.format("config.set_flag(trt.BuilderFlag.TF32)"), "still allowed"),
            (EXACT.format("network.name = 'FP32'"), "on in every new config"),
            (EXACT.format("config.flags = 0"), "another flag is gone"),
        ],
    },
    "04_1.2": {
        "alternative": PUZZLE + BUILD.format(f"precision.to_fp16({BACK})", "[]"),
        "wrong": [
            (PUZZLE + "cured = precision.to_fp16(puzzle)", "what tl.build returns"),
            (PUZZLE + "cured = tl.build(puzzle, precision='fp32', **options)", "too little computes in FP16"),
            (KEPT.format("['block4.norm1']"), "still infinities"),
            (KEPT.format("['block4.norm1', 'block4.relu1']"), "the one that reads them"),
        ],
    },
    "04_1.3": {
        "alternative": MIXED.format("['stem.conv', 'classifier', 'block5.conv2']"),
        "wrong": [
            ("mixed = reports['INT8']", "too far from FP32"),
            ("mixed = reports['FP16']", "too little computes in INT8"),
            (MIXED.format("['classifier']"), "too far from FP32"),
            ("mixed = precision.quantize(base, pictures, keep=['stem.conv'])", "what tl.build returns"),
        ],
    },
}
