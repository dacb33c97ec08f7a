"""Stands for ParserError, and the list of them that a parser and a parser's refitter keep."""

from __future__ import annotations

from onnx import NodeProto

from .. import enums as E
from ..callbacks import ILogger


class ParserError:
    """One thing the parser could not read."""

    def __init__(self, code: E.ErrorCode, desc: str, index: int = -1, node: NodeProto | None = None) -> None:
        self._code, self._desc, self._index, self._node = code, desc, index, node

    def code(self) -> E.ErrorCode:
        """The kind of error."""
        return self._code

    def desc(self) -> str:
        """The error in words."""
        return self._desc

    def node(self) -> int:
        """The index of the ONNX node, -1 where there is none."""
        return self._index

    def node_name(self) -> str:
        """The name of the ONNX node."""
        return self._node.name if self._node else ""

    def node_operator(self) -> str:
        """The op of the ONNX node."""
        return self._node.op_type if self._node else ""

    def file(self) -> str:
        """The source file that found it: the interpreter has none to name."""
        return ""

    line, func = (lambda self: 0), (lambda self: "")
    local_function_stack, local_function_stack_size = (lambda self: []), (lambda self: 0)

    def __str__(self) -> str:
        node = f"In node {self._index} with name: {self.node_name()} and operator: {self.node_operator()}"
        return f"{node}: {self._code.name}: {self._desc}"


class ErrorList:
    """What could not be read."""

    def __init__(self, logger: ILogger) -> None:
        self.logger = logger
        self._errors: list[ParserError] = []

    num_errors = property(lambda self: len(self._errors))

    def get_error(self, index: int) -> ParserError | None:
        """The index-th error; None past the end."""
        return self._errors[index] if 0 <= index < len(self._errors) else None

    def clear_errors(self) -> None:
        """Forget the errors."""
        self._errors.clear()

    def _error(self, code: E.ErrorCode, desc: str, index: int = -1, node: NodeProto | None = None) -> bool:
        error = ParserError(code, desc, index, node)
        self._errors.append(error)
        self.logger.log(E.Severity.ERROR, str(error) if node else desc)
        return False
