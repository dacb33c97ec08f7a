"""Answers to lesson 04_2's exercises that the player tries."""

SEPARATE = """
def separate(network):
    x = network.add_input("x", trt.float32, (1, 3, 32, 32))
    conv = network.add_convolution_nd(x, 8, (3, 3), KERNEL, BIAS)
    tensor = conv.get_output(0)
    {between}
    relu = network.add_activation(tensor, trt.ActivationType.RELU)
    conv.name, relu.name, relu.get_output(0).name = "conv", "{relu}", "y"
    network.mark_output(relu.get_output(0))
"""
# No layer that does nothing stands here: TensorRT 8.6 keeps an identity and drops a pooling of 1x1, others do not.
WRITTEN = "tensor.name = 'inner'; network.mark_output(tensor)"
NAMED = "tensor.name = 'inner'"
NEGATIVE = "tensor = network.add_unary(tensor, trt.UnaryOperation.NEG).get_output(0)"

NAMES = """
def layer_names(engine):
    inspector = engine.create_engine_inspector()
    told = json.loads(inspector.get_engine_information(trt.LayerInformationFormat.JSON), strict=False)
    return {how}
"""
SHIP = """
def debugged(network):
    tensor = network.add_input("x", trt.float32, (64, 64, 56, 56))
    for i in range(3):
        conv = network.add_convolution_nd(tensor, 64, (1, 1), KERNELS[i], ZEROS)
        inner = conv.get_output(0)
        network.mark_output(inner)
        relu = network.add_activation(inner, trt.ActivationType.RELU)
        inner.name, tensor = "seen%d" % i, relu.get_output(0)
    tensor.name = "y"
    network.mark_output(tensor)


def ship(network):
    {body}
"""

ANSWERS = {
    "04_2.1": {
        "alternative": NAMES.format(how="[x['Name'] if isinstance(x, dict) else x for x in told['Layers']]"),
        "wrong": [
            (NAMES.format(how="[x['Name'] for x in told['Layers']]"), "a dictionary or a text"),
            (NAMES.format(how="told['Layers']"), "only its name belongs"),
            (NAMES.format(how="json.dumps(told)"), "json.loads turns"),
            (NAMES.format(how="[str(x) for x in range(engine.num_layers)]"), "in the order of the inspector"),
        ],
    },
    "04_2.2": {
        "alternative": SEPARATE.format(between=WRITTEN, relu="relu"),
        "wrong": [
            (SEPARATE.format(between="pass", relu="relu"), "nothing keeps them apart"),
            (SEPARATE.format(between=NAMED, relu="relu"), "write the tensor between them"),
            (SEPARATE.format(between=NEGATIVE, relu="relu"), "must not change the numbers"),
            (SEPARATE.format(between="pass", relu="second"), "name the layers"),
        ],
    },
    "04_2.3": {
        "alternative": SHIP.format(
            body="for i in reversed(range(network.num_outputs)):\n"
            "        if network.get_output(i).name.startswith('seen'):\n"
            "            network.unmark_output(network.get_output(i))"
        ),
        "wrong": [
            (SHIP.format(body="network.unmark_output(network.get_output(0))"), "nobody need"),
            (SHIP.format(body="network.get_output(0).name = 'debug'"), "nobody need"),
            (
                SHIP.format(
                    body="for t in [network.get_output(i) for i in range(network.num_outputs - 1)]:\n"
                    "        network.unmark_output(t)\n"
                    "    network.get_output(0).name = 'result'"
                ),
                "the service reads",
            ),
            (
                SHIP.format(
                    body="for t in [network.get_output(i) for i in range(network.num_outputs)]:\n"
                    "        network.unmark_output(t)"
                ),
                "still an output",
            ),
        ],
    },
}
