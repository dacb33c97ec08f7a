#!/usr/bin/env bash
# All that this project takes on a GPU, each stage under a limit of its own, so that a slow one costs no other.
#
#   tools/live.sh OUT [stage ...]     stages: cold warm tests lean play sweep load bench nsight one (default: all)
#
# cold    every notebook but 08, recorded, outputs stored in place; engines are built
# warm    the same again into OUT/warm: engines come from the cache; `trt-lessons compare` puts both beside each other
# tests   contract tests and random networks, side by side: verdicts, no times
# lean    contract tests once more, plans of TensorRT 8.6 run by a newer TensorRT's runtime; LEAN: the folder that holds
#         tensorrt_lean_bindings, LEAN_OF_8: 8.6's own libnvinfer_lean.so.8
# play    the exercises, a notebook a log, one at a time on each GPU: some of them are judged by times
# sweep   24 cases over all cards on Ray: digits, strips, a tower and ResNet-50's shape, three precisions; rows that
#         were there when the limit ended it are kept, and the same stage goes on from there
# load    open-loop load on Ray Serve over one and over two cards, for lesson 09; LOADS: which networks (heavy light)
# bench   tests/benchmarks/on_a_gpu.py, a part a log
# nsight  tools/nsight_service.py under Nsight Systems; NSYS: its command
# one     every notebook on one GPU, six at a time while measurements take turns: how long, cold and warm
#
# PYTHON: the Python to use (.venv's); GPUS: "0,1" runs a notebook at a time on each; LIMIT: seconds a command (900).
# LESSONS: which lessons cold and warm take, in this order (all); with several GPUs the longest first:
#   "04_1 04_5 05_2 05 04_4 04_2 03 04_3 06 02 07 00 01". PARTS: which benchmarks (all).
# Lesson 08 measures nothing, its stored outputs come from TensorRT-RTX: `trt-lessons run 08 --in-place` where that is.
# SAVE: a folder that comes back; what there is goes there each minute and at the end (tools/save_live.py).
# Over a machine that is lent in calls of ten minutes: "cold" | "warm bench" | "sweep load nsight" | "tests lean" | "play",
# from a copy of the tree at one commit (TRT_LESSONS_RUN, TRT_LESSONS_COMMIT). Look first that every command used is there.
# Measurements want a GPU that nobody else uses: run cold, warm and bench beside nothing else on the same card.
set -u
cd "$(dirname "$0")/.."
out=$(mkdir -p "${1:?tools/live.sh OUT [stage ...]}" && cd "$1" && pwd)
shift
python=${PYTHON:-.venv/bin/python} gpus=${GPUS:-0} limit=${LIMIT:-900}
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} TRT_LESSONS_BACKEND=${TRT_LESSONS_BACKEND:-tensorrt}
export TRT_LESSONS_CACHE=${TRT_LESSONS_CACHE:-$out/cache} MPLBACKEND=agg
lessons="$python -m trt_lessons.cli"
measured=$(for name in ${LESSONS:-notebooks/[0-9]*.ipynb}; do basename "$name" .ipynb; done | grep -vE '^0?8(_|$)')

stage() { # stage LOG COMMAND...: run it under the limit, say how long it took
  local name=$1 start=$SECONDS status
  shift
  timeout -s "${signal:-TERM}" -k 20 "$limit" "$@" > "$out/$name.log" 2>&1
  status=$?
  echo "$name: exit $status, $((SECONDS - start)) s; $(tail -n 1 "$out/$name.log")"
}

cold() { TRT_LESSONS_RECORDINGS=$out/recordings stage cold $lessons record ${measured:?no lesson to record} --gpus "$gpus" --in-place; }

warm() {
  TRT_LESSONS_RECORDINGS=$out/warm/recordings stage warm $lessons record $measured --gpus "$gpus" --output "$out/warm"
  stage again $lessons compare "$out"/warm/recordings/* "$out"/recordings/*
}

tests() {
  local both=()
  stage contract "$python" -m pytest -m gpu -q -n 4 -rfEsxX tests/contract &
  both+=($!)
  TRT_LESSONS_EXAMPLES=${TRT_LESSONS_EXAMPLES:-150} stage property "$python" -m pytest -m gpu -q -s tests/property &
  wait "${both[@]}" $!
}

play() { # each GPU takes the next notebook when it is free; the lock is no queue: `sed -i` makes that a new file
  printf '%s\n' ${LESSONS:-$(cd notebooks && ls [0-9]*.ipynb)} | sed 's/\.ipynb$//' > "$out/queue"
  local players=() gpu name
  for gpu in ${gpus//,/ }; do
    (
      export CUDA_VISIBLE_DEVICES=$gpu
      while name=$(flock "$out/queue.lock" sh -c 'head -n 1 "$1"; sed -i 1d "$1"' - "$out/queue") && [ -n "$name" ]; do
        stage "play_$name" "$python" -m pytest -m gpu -q --tb=short tests/notebooks/test_player.py -k "test_play[ and $name"
      done
    ) &
    players+=($!)
  done
  wait "${players[@]}"
}

lean() {
  : > "$out/lean.jsonl"
  TRT_LESSONS_LEAN=${LEAN:?} TRT_LESSONS_LEAN_OF_8=${LEAN_OF_8:?} TRT_LESSONS_CONTRACT_RESULTS=$out/lean.jsonl \
    stage lean "$python" -m pytest -m gpu -q -n 4 -p tests.contract.newer_runtime tests/contract
}

sweep() {
  [ -e "$out/cases/cases.json" ] || "$python" tools/sweep_cases.py "$out/cases" || return
  signal=INT limit=${SWEEP_LIMIT:-300} stage sweep \
    $lessons sweep "$out/cases/cases.json" --output "$out/sweep" --retries 1 --limit 90
}

load() {
  TRT_LESSONS_RECORD=1 TRT_LESSONS_RECORDINGS=$out/recordings limit=${LOAD_LIMIT:-240} stage load \
    "$python" tests/benchmarks/load_on_cards.py ${LOADS:-heavy light} ${LOAD_ARGS:-}
}

bench() {
  for part in ${PARTS:-infer stream card runners resnet}; do
    TRT_LESSONS_RECORD=1 TRT_LESSONS_RECORDINGS=$out/recordings stage "bench_$part" \
      "$python" tests/benchmarks/on_a_gpu.py "$part"
  done
}

nsight() {
  stage nsight_build "$python" tools/nsight_service.py
  stage nsight "${NSYS:-nsys}" profile --trace=cuda,nvtx --sample=none --cpuctxsw=none --cuda-graph-trace=node -f true \
    -o "$out/service" "$python" tools/nsight_service.py
}

one() {
  export TRT_LESSONS_CACHE=$out/cache-of-one
  for how in cold warm; do stage "one_$how" $lessons run --gpus "${gpus%%,*}" --jobs 6; done
}

save() { [ -z "${SAVE:-}" ] || "$python" tools/save_live.py "$out" "$SAVE"; }

if [ -n "${SAVE:-}" ]; then
  (while sleep 60; do save; done) > /dev/null 2>&1 &
  saver=$!
  trap 'kill $saver; save' EXIT
fi
for name in "${@:-cold warm tests lean play sweep load bench nsight one}"; do
  for each in $name; do "$each"; done
done
