"""Answers to lesson 00's exercises that the player tries."""

ANSWERS = {
    "00.1": {
        "alternative": "backend_name = tl.describe().backend",
        "wrong": [
            ("backend_name = tl.backend.name", "did you forget to call"),
            (
                'backend_name = {"tensorrt": "interpreter", "interpreter": "tensorrt"}[tl.backend.name()]',
                "that is the other one",
            ),
            ('backend_name = "cpu"', "the name is"),
        ],
    },
    "00.2": {
        "alternative": "import numpy as np\ndigit = int(np.argmax(session.infer(images)['logits'][7]))",
        "wrong": [
            ("digit = session.infer(images[7:8])['logits']", "these are the logits"),
            ("digit = float(session.infer(images[7:8])['logits'].max())", "argmax, not max"),
            ("digit = (int(labels[7]) + 1) % 10", "counted from 0"),
        ],
    },
    "00.3": {
        "alternative": "many = tl.measure(session, pictures[:256], transfers=False, duration_s=0.5)",
        "wrong": [
            ("many = tl.measure(session, pictures[:1], duration_s=0.5)", "more pictures at once"),
            ("many = timing.throughput", "what tl.measure returns"),
            ("many = tl.recordings.recall('tour').value", "leave the name away"),
        ],
    },
}
