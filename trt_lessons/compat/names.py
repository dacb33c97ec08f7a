"""What an engine layer's name says about the network layers inside it.

TensorRT has no list of "this engine layer holds those network layers": it writes it into the name, such as
`/conv1/Conv + /relu/Relu`, `PWN(PWN(/Sigmoid), /Mul)` or `{ForeignNode[/attn/MatMul.../attn/Softmax]}`.
Pure text, no TensorRT. Introduced in lesson 04_2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_OPEN, _CLOSE = "([{", ")]}"
_HELPER = re.compile(
    r"Reformatting CopyNode\b.*|\[?(?:ShapeHostToDeviceCopy|HostToDeviceCopy|DeviceToHostCopy)\b.*"
    r"|\[?trainStation\d+.*"
    r"|(?:signal|wait)\^.*|(?:entry|finish|shape_call|shape_inference)\^.*|Copying .*",
    re.S,
)
_SUFFIX = re.compile(r"(?:_clone_\d+|_myl\d+_\d+|__mye\d+.*|:\d+| copy|_copy_(?:in|out)put|_output)$")
_PREFIX = re.compile(
    r"^(?:reshape_before_|reshape_after_|shuffle_before_|shuffle_after_|squeeze_before_|squeeze_after_"
    r"|unsqueeze_node_after_|copied_squeeze_between_|fused |shuffle_|reshape_)"
)
_UNASKED = re.compile(r"\(Unnamed|\w+_(before|after|between)_")  # layers that the parser or the builder puts between
_METADATA = re.compile(r"\[ONNX Layer: (.*?)\](?=[\x1e\x1f]|\[ONNX Layer: |$|\s*$)", re.S)


@dataclass
class Parts:
    """What `parse` read. names: network layers named outright. spans: (first, last) of "everything between".
    unknown: pieces of the name that are no network layer (always empty when no network was given)."""

    names: list[str] = field(default_factory=list)
    spans: list[tuple[str, str]] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def is_helper(name: str) -> bool:
    """True for layers that TensorRT adds itself: reformats, copies, synchronization."""
    return _HELPER.fullmatch(name) is not None


def metadata_names(metadata: str) -> list[str]:
    """ONNX nodes in an inspector's `Metadata` field, "[ONNX Layer: a]\\x1f[ONNX Layer: b]"; each once."""
    return list(dict.fromkeys(n.strip() for n in _METADATA.findall(metadata or "") if n.strip()))


def parse(name: str, network: Iterable[str] | None = None) -> Parts:
    """Take one engine layer's name apart.

    name: as the inspector gives it. network: the network's layer names; with them, names that hold " + " or
    brackets themselves are recognized, and pieces that are no layer land in `unknown`.
    """
    known = None if network is None else set(network)
    parts = Parts()
    if is_helper(name) and not (known and name in known):
        return parts
    _walk(name, known, parts, (" + ", " || "))
    for kind in ("names", "spans", "unknown"):
        setattr(parts, kind, list(dict.fromkeys(getattr(parts, kind))))
    return parts


def origins(name: str, network: Sequence[str] | None = None, metadata: str = "") -> list[str]:
    """Network layers that an engine layer holds, in network order; [] for layers that TensorRT added.

    name: engine layer's name. network: names of the network's layers in order; None: only what the name says.
    metadata: the inspector's `Metadata`, which names ONNX nodes; used where the name alone is not enough.
    A `{ForeignNode[a...b]}` holds everything from a to b in network order.
    """
    parts = parse(name, network)
    nodes = [] if is_helper(name) else metadata_names(metadata)
    if network is None:
        ends = [leaf for span in parts.spans for end in span for leaf in _leaves(end)]
        plain = [] if name.startswith("__my") and nodes else parts.names
        return list(dict.fromkeys([*plain, *(nodes if parts.spans and nodes else ends), *(nodes if not plain else [])]))
    order = {n: i for i, n in enumerate(network)}
    held = {order[n] for n in parts.names} | {order[n] for n in nodes if n in order}
    for span in parts.spans:
        low, high = span_range(span, order)
        held.update(range(high if low is None else low, high + 1) if high is not None else [])
    return [network[i] for i in sorted(held)]


def brief(name: str, most: int) -> str:
    """An engine layer's name as short as it stays clear, for a label of `most` characters; may still be longer.

    Weights and their Q/DQ pairs go first; where room is short, layers that nobody named or TensorRT put between.
    What all the others begin with is said once: "block1: conv1 + norm1 + relu1".
    """
    pieces = split(name, (" + ",))[::2]
    works = [piece for piece in pieces if "weight" not in piece and "quantize" not in piece]
    told = [piece for piece in works if not _UNASKED.match(piece)]
    kept = works if told else pieces
    if told and len(" + ".join(kept)) > most:
        kept = told
    begin = ""
    if len(kept) > 1:
        heads = [kept[0][: dot.end()] for dot in re.finditer("[./]", kept[0])]  # "block1." of "block1.conv1"
        begin = max((head for head in heads if all(piece.startswith(head) for piece in kept)), key=len, default="")
    text = " + ".join(piece[len(begin) :] for piece in kept)
    return f"{begin[:-1]}: {text}" if begin[:-1] else text


def span_range(span: tuple[str, str], order: dict[str, int]) -> tuple[int | None, int | None]:
    """First and last index of a span in the network; None for an end that is no network layer."""
    first = [order[n] for n in parse(span[0], order).names]
    last = [order[n] for n in parse(span[1], order).names]
    low, high = min(first, default=None), max(last, default=None)
    if high is None and low is not None:
        high = max(first)
    if low is not None and high is not None and low > high:
        low, high = high, low
    return low, high


def _leaves(text: str) -> list[str]:
    return parse(text).names


def _walk(text: str, known: set[str] | None, out: Parts, separators: tuple[str, ...]) -> None:
    text = text.strip()
    if not text:
        return
    if known and text in known:
        out.names.append(text)
        return
    pieces = split(text, separators)
    if len(pieces) > 1:
        for piece in _join_known(pieces, known):
            _walk(piece, known, out, (" + ", " || "))
    elif text.startswith("PWN(") and text.endswith(")"):
        _walk(text[4:-1], known, out, (", ", " + ", " || "))
    elif text.startswith("{ForeignNode[") and text.endswith("]}"):
        _span(text[len("{ForeignNode[") : -2], known, out)
    elif known is None:
        out.names.append(text)
    else:
        _variants(text, known, out)


def split(text: str, separators: Sequence[str] = (" + ", " || ")) -> list[str]:
    """Split at separators outside brackets; pieces and separators alternate, [piece, sep, piece, ...]."""
    for watch_brackets in (True, False):
        pieces, depth, start, i = [], 0, 0, 0
        while i < len(text):
            if text[i] in _OPEN:
                depth += 1
            elif text[i] in _CLOSE:
                depth -= 1
            sep = next((s for s in separators if text.startswith(s, i)), None)
            if sep and (depth == 0 or not watch_brackets):
                pieces += [text[start:i], sep]
                i = start = i + len(sep)
            else:
                i += 1
        if depth == 0 or not watch_brackets:
            break
    return [*pieces, text[start:]]


def _join_known(pieces: list[str], known: set[str] | None) -> list[str]:
    """Pieces of `split` without separators; runs that together are one known name stay together."""
    found, i = [], 0
    while i < len(pieces):
        end = i + 1
        if known:
            for j in range(len(pieces), i + 1, -2):
                if "".join(pieces[i:j]).strip() in known:
                    end = j
                    break
        found.append("".join(pieces[i:end]))
        i = end + 1
    return found


def _span(inner: str, known: set[str] | None, out: Parts) -> None:
    cuts = [m.start() for m in re.finditer(r"(?=\.\.\.)", inner)]
    if not cuts:
        _walk(inner, known, out, (" + ", " || "))
        return
    candidates = [(inner[:c].strip(), inner[c + 3 :].strip()) for c in cuts]
    if known:
        for a, b in candidates:
            if parse(a, known).names and parse(b, known).names:
                out.spans.append((a, b))
                return
    out.spans.append(candidates[0])


def _variants(text: str, known: set[str], out: Parts) -> None:
    """A piece that is not a layer's name as it stands: try it without what TensorRT adds to names."""
    bare, before = text, None
    while bare != before:
        if bare in known:
            out.names.append(bare)
            return
        before, bare = bare, _SUFFIX.sub("", bare)
        if bare == before:
            bare = _PREFIX.sub("", bare)
    glued = [p.strip() for p in bare.split("+")]
    if len(glued) > 1 and any(p in known for p in glued):
        out.names += [p for p in glued if p in known]
        out.unknown += [p for p in glued if p not in known]
        return
    out.unknown.append(text)
