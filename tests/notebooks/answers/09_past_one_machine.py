"""Answers to lesson 09's exercises that the player tries."""

LOOP = """
def capacity(ms, target):
    rate = 100
    while rate <= 20_000 and simulate(rate, ms, largest={largest}).percentile({q}) < target:
        rate += 100
    return rate{less}
"""
SERVE = """
def serve(folder):
    report = tl.build(DIGITS, profiles={{"images": [(n, 1, 32, 32) for n in (1, {n}, {n})]}}, progress=False)
    write(report, folder, {rest})
"""
GOOD = 'name="eight", batches=(1, 4, 8), delay_us=500, instances=2'

ANSWERS = {
    "09.1": {
        "alternative": LOOP.format(largest=64, q=99, less=" - 100"),
        "wrong": [
            (LOOP.format(largest=64, q=99, less=""), "last rate that passes"),
            (LOOP.format(largest=1, q=99, less=" - 100"), "batches of up to 64"),
            (LOOP.format(largest=64, q=50, less=" - 100"), "percentile(99)"),
            ("capacity = 16_000", "def capacity"),
        ],
    },
    "09.2": {
        "alternative": SERVE.format(n=8, rest=GOOD),
        "wrong": [
            (SERVE.format(n=16, rest=GOOD), "max_batch_size"),
            (SERVE.format(n=8, rest=GOOD.replace("2", "1")), "count"),
            (SERVE.format(n=8, rest=GOOD.replace("eight", "nine")), "eight"),
        ],
    },
    "09.3": {
        "alternative": 'settings = {"largest": 16}',
        "wrong": [
            ('settings = {"largest": 1, "delay_ms": 0, "instances": 1}', "share the next one"),
            ('settings = {"largest": 64, "delay_ms": 20, "instances": 1}', "wait on purpose"),
            ('settings = {"largest": 1, "delay_ms": 0, "instances": 2}', "second card"),
        ],
    },
}
