"""A sandbox for chat templates: Jinja that can format a conversation, and nothing else.

A chat template travels with a model, so it is somebody else's program. Owns: which parts of Jinja
a template may use, how much work one rendering may do, and where its `{% generation %}` blocks land
in the text. Refuses: everything that is not on its lists (attributes, methods, filters, tests,
statements), clocks and random numbers, and work beyond a fixed budget that is counted, not timed,
so that the same template and conversation always end the same way.

The budget holds because no value a template can make is large: every operation that can enlarge one
(`+`, `~`, `*`, list literals, `replace`, `join`, slices) is counted or checked before it runs.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, cast

import jinja2
import jinja2.ext
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS
from jinja2.runtime import LoopContext, Macro, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS
from jinja2.utils import Namespace

from datatools.errors import ConfigError, DataError

__all__ = [
    "MAX_OUTPUT_CHARS",
    "MAX_SOURCE_BYTES",
    "CompiledTemplate",
    "ConversationRefusedError",
    "TemplateLimitError",
    "compile_template",
]

MAX_SOURCE_BYTES: Final = 64 << 10
"""Largest template, in bytes of UTF-8. The longest one a released model ships has about 20 KiB."""
MAX_OUTPUT_CHARS: Final = 16 << 20
"""Longest rendering, in characters; also the most that any single value may hold."""
MAX_ITEMS: Final = 100_000
"""Most items in one list or range, and in all lists inside one value."""
MAX_WORK: Final = 256 << 20
"""Work per rendering: a character written or copied costs 1, a loop turn or a call `STEP_COST`."""
STEP_COST: Final = 1024
"""So that at most 2**18 turns and calls run: about two seconds of Python."""


class ConversationRefusedError(DataError):
    """The template says that this conversation is not one it can render."""


class TemplateLimitError(DataError):
    """Rendering this conversation takes more work or space than a chat template is given."""


# -------------------------------------------------------------------------------------------------
# The budget


@dataclass
class _Budget:
    """What one rendering has left, and how many generation blocks it ran."""

    left: int = MAX_WORK
    generations: int = 0

    def spend(self, work: int) -> None:
        self.left -= work
        if self.left < 0:
            raise _OverLimit(f"it does more than {MAX_WORK:,} units of work")


class _OverLimit(Exception):  # noqa: N818 - a signal that never leaves this file
    pass


class _Refused(Exception):  # noqa: N818 - a signal that never leaves this file
    pass


_SIZED: Final = (str, list, tuple, dict)
"""What a template's values are made of; Jinja's own objects also pass for mappings."""

_BUDGET: ContextVar[_Budget | None] = ContextVar("chat template budget", default=None)


def _spend(work: int) -> None:
    budget = _BUDGET.get()
    if budget is not None:  # None while Jinja folds constants at compile time
        budget.spend(work)


def _weighed(value: Any) -> Any:
    """Return `value` if all it holds, counting repeats, is within limits; else stop the rendering.

    A list that holds one list twice holds its items twice: `str` would write them twice.
    """
    chars = items = 0
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            chars += len(item)
        elif isinstance(item, dict):
            items += 2 * len(item)
            stack.extend(item.keys())
            stack.extend(item.values())
        elif isinstance(item, list | tuple):
            items += len(item)
            stack.extend(item)
        elif not isinstance(item, bool | int | float | None | Undefined):
            raise SecurityError(f"a {type(item).__name__} is used as a value")
        if chars > MAX_OUTPUT_CHARS or items > MAX_ITEMS:
            raise _OverLimit(
                f"one value holds more than {MAX_OUTPUT_CHARS:,} characters or {MAX_ITEMS:,} items"
            )
    _spend(chars + items)
    return value


def _check_items(count: int) -> None:
    if count > MAX_ITEMS:
        raise _OverLimit(f"a list of more than {MAX_ITEMS:,} items")


def _each(iterable: Any, turn_cost: int) -> list[Any]:
    """Return the items a `for` walks, paid for before the first turn."""
    if isinstance(iterable, (*_SIZED, range)):
        _check_items(len(iterable))
    items = list(iterable)
    _check_items(len(items))
    _spend(len(items) * turn_cost)
    return items


def _charged(value: Any) -> Any:
    """Return an operand of a comparison, which reads all of it."""
    if isinstance(value, _SIZED):
        _spend(len(value))
    return value


def _finalize(value: Any) -> Any:
    """Pay for what `{{ ... }}` writes and refuse to write anything but plain data."""
    if isinstance(value, str):
        _spend(len(value))
        return value
    return _weighed(value)


# -------------------------------------------------------------------------------------------------
# What a template may call


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_METHODS: Final[Mapping[type, frozenset[str]]] = {
    str: _words(
        "capitalize count endswith find index isalnum isalpha isdigit islower isspace isupper join "
        "lower lstrip partition removeprefix removesuffix replace rfind rpartition rsplit rstrip "
        "split startswith strip title upper"
    ),
    dict: frozenset({"get", "items", "keys", "values"}),
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
    LoopContext: _words(
        "changed cycle depth depth0 first index index0 last length nextitem previtem revindex "
        "revindex0"
    ),
}


def _replaced(text: str, old: str, new: str, count: int | None = None) -> str:
    found = text.count(old) if count is None or count < 0 else min(text.count(old), count)
    size = len(text) + found * (len(new) - len(old))
    if size > MAX_OUTPUT_CHARS:
        raise _OverLimit(f"`replace` makes more than {MAX_OUTPUT_CHARS:,} characters")
    _spend(len(text) + max(size, 0))
    return text.replace(old, new, -1 if count is None else count)


def _joined(separator: str, parts: Iterable[Any]) -> str:
    texts = [part if isinstance(part, str) else str(_weighed(part)) for part in parts]
    size = sum(map(len, texts)) + len(separator) * max(len(texts) - 1, 0)
    if size > MAX_OUTPUT_CHARS:
        raise _OverLimit(f"`join` makes more than {MAX_OUTPUT_CHARS:,} characters")
    _spend(size)
    return separator.join(texts)


def _split(method: Callable[..., list[str]], sep: str | None = None, maxsplit: int = -1) -> Any:
    limit = MAX_ITEMS if maxsplit < 0 else min(maxsplit, MAX_ITEMS)
    parts = method(sep, limit)
    if maxsplit < 0:
        _check_items(len(parts))
    return parts


def _filter_join(value: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
    if attribute is not None:
        value = [item.get(attribute, "") for item in value]
    return _joined(d, value)


def _filter_tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # As transformers does it: Jinja's own filter escapes for HTML.
    if indent is not None and not 0 <= indent <= 8:
        raise SecurityError("tojson: an indent beyond 8")
    if separators is not None and max(map(len, separators)) > 8:
        raise SecurityError("tojson: a separator beyond 8 characters")
    _weighed(value)
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _bounded(function: Callable[..., Any], *, walks: bool) -> Callable[..., Any]:
    """Wrap a filter of Jinja's: what goes in is paid for, what comes out is weighed.

    Args:
        function: The filter.
        walks: Whether it makes a list of its input's items.
    """

    # `wraps` carries the marks by which Jinja passes its environment or context as first argument.
    @functools.wraps(function)
    def filter_(*args: Any, **kwargs: Any) -> Any:
        for arg in args:
            if isinstance(arg, _SIZED):
                _spend(len(arg))
                if walks:
                    _check_items(len(arg))
        result = function(*args, **kwargs)
        if not isinstance(result, (*_SIZED, int, float, Undefined, type(None))):
            result = list(result)  # Jinja's map and select are lazy: nothing would be counted
        return _weighed(result)

    return filter_


_SCALAR_FILTERS: Final = _words(
    "capitalize count d default first float int last length lower safe string title trim upper"
)
_ITEM_FILTERS: Final = _words(
    "dictsort items list map reject rejectattr reverse select selectattr sort unique"
)
_TESTS: Final = _words(
    "!= < <= == > >= boolean defined divisibleby eq equalto even false float ge greaterthan gt in "
    "integer iterable le lessthan lower lt mapping ne none number odd sameas sequence string true "
    "undefined upper"
)


class _PlainNamespace(Namespace):
    """Jinja's `namespace()`, without names that begin with an underscore."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # as Jinja's: `self=` is a name
        self, *rest = args
        values = dict(*rest, **kwargs)
        for name, value in values.items():
            _PlainNamespace._check(name, value)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _PlainNamespace._check(name, value)
        Namespace.__setitem__(self, name, value)

    @staticmethod
    def _check(name: str, value: Any) -> None:
        if name.startswith("_"):
            raise SecurityError(f"a namespace attribute begins with an underscore: {name!r}")
        if isinstance(value, Namespace):
            raise SecurityError("a namespace is put into a namespace")


def _range(*args: int) -> range:
    numbers = range(*args)
    _check_items(len(numbers))
    return numbers


def _dict(*args: Any, **kwargs: Any) -> dict[Any, Any]:
    return cast("dict[Any, Any]", _weighed(dict(*args, **kwargs)))


def _raise_exception(message: object) -> None:
    raise _Refused(str(message))


_GLOBALS: Final[Mapping[str, Any]] = {
    "dict": _dict,
    "namespace": _PlainNamespace,
    "raise_exception": _raise_exception,
    "range": _range,
}
# `strftime_now` is left out: a clock would give other bytes tomorrow. Templates that ask whether it
# is defined take their fixed date.


# -------------------------------------------------------------------------------------------------
# Generation blocks


class _Trained(str):
    """Text that a generation block wrote, recognised when it comes out of the rendering."""

    __slots__ = ()


class _Generation(jinja2.ext.Extension):
    """`{% generation %} ... {% endgeneration %}`: what the model is to write itself."""

    tags = {"generation"}  # noqa: RUF012 - Jinja declares it a plain set

    def parse(self, parser: Any) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_mark"), [], [], body).set_lineno(line)

    def _mark(self, caller: Callable[[], str]) -> str:
        budget = _BUDGET.get()
        if budget is not None:
            budget.generations += 1
        return _Trained(caller())


# -------------------------------------------------------------------------------------------------
# The environment

_ALLOWED_NODES: Final = tuple(
    getattr(nodes, name)
    for name in sorted(
        _words(
            "Template Output TemplateData For If Assign AssignBlock With Macro CallBlock "
            "FilterBlock Break Continue Name NSRef Const List Tuple Dict Pair Keyword CondExpr "
            "Filter Test Call Getattr Getitem Slice Concat Compare Operand BinExpr UnaryExpr "
            "ExtensionAttribute"
        )
    )
)


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "%", "**"})

    def __init__(self) -> None:
        super().__init__(
            # As transformers: a template must read the same in both.
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, jinja2.ext.loopcontrols],
            finalize=_finalize,
            cache_size=0,
        )
        self.globals = dict(_GLOBALS)
        self.filters = {
            name: _bounded(FILTERS[name], walks=name in _ITEM_FILTERS)
            for name in sorted(_SCALAR_FILTERS | _ITEM_FILTERS)
        } | {
            "join": _filter_join,
            "replace": _replaced,
            "tojson": _filter_tojson,
            "_each": _each,
            "_charged": _charged,
            "_weighed": _weighed,
        }
        self.tests = {name: TESTS[name] for name in sorted(_TESTS)}
        self.macro_chars = 0

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        if isinstance(obj, Namespace):
            return not attr.startswith("_")
        return any(isinstance(obj, kind) and attr in names for kind, names in _METHODS.items())

    def is_safe_callable(self, obj: Any) -> bool:
        if any(obj is allowed for allowed in _GLOBALS.values()):
            return True
        if isinstance(obj, Macro | Undefined):  # calling an Undefined says which name is undefined
            return True
        owner = getattr(obj, "__self__", None)
        return isinstance(owner, (*_METHODS, _Generation))

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        # Jinja returns an Undefined, which prints as nothing: a breakout would look like a blank.
        raise SecurityError(f"the attribute {attribute!r} of a {type(obj).__name__}")

    def getitem(self, obj: Any, argument: Any) -> Any:
        value = super().getitem(obj, argument)
        if isinstance(argument, slice) and isinstance(value, str | list | tuple):
            _spend(len(value))
        return value

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as Jinja's
        _spend(STEP_COST)
        owner = getattr(__obj, "__self__", None)
        if isinstance(__obj, Macro):
            _spend(__self.macro_chars)
        elif isinstance(owner, str):
            _spend(len(owner))
            given = {key: value for key, value in kwargs.items() if key[0] != "_"}  # not Jinja's
            if __obj.__name__ == "replace":
                return _replaced(owner, *args, **given)
            if __obj.__name__ == "join":
                return _joined(owner, *args, **given)
            if __obj.__name__ in ("split", "rsplit"):
                return _split(__obj, *args, **given)
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "+" and not numbers:
            if isinstance(left, str) and isinstance(right, str):
                if len(left) + len(right) > MAX_OUTPUT_CHARS:
                    raise _OverLimit(f"a text of more than {MAX_OUTPUT_CHARS:,} characters")
                _spend(len(left) + len(right))
                return left + right
            return _weighed(left + right)
        if not numbers or operator == "**":
            raise SecurityError(
                f"`{operator}` between a {type(left).__name__} and a {type(right).__name__}"
            )
        result = super().call_binop(context, operator, left, right)
        if isinstance(result, int) and abs(result) >= 1 << 63:
            raise _OverLimit("an integer of more than 63 bits")
        return result


def _text_in(node: nodes.Node) -> int:
    """Return how many characters of constant text `node` writes in one pass."""
    found = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
    return found + sum(
        len(const.value) for const in node.find_all(nodes.Const) if isinstance(const.value, str)
    )


def _tame(node: nodes.Node, where: str) -> nodes.Node:
    """Return `node` with all that can grow made to pay; refuse what is not allowed."""
    if not isinstance(node, _ALLOWED_NODES) or (isinstance(node, nodes.For) and node.recursive):
        what = "a recursive for" if isinstance(node, nodes.For) else type(node).__name__.lower()
        raise ConfigError(
            f"{where} line {node.lineno}",
            f"a chat template may not use {what}",
            hint="It may use for, if, set, macros and expressions over the messages.",
        )
    name = node.attr if isinstance(node, nodes.Getattr) else None
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        name = node.arg.value if isinstance(node.arg.value, str) else None
    if name is not None and name.startswith("_"):
        raise ConfigError(
            f"{where} line {node.lineno}",
            "a chat template may not reach attributes that begin with an underscore",
            got=name,
            hint="Templates that do so try to leave their sandbox; do not use this one.",
        )
    turn_cost = STEP_COST + _text_in(node) if isinstance(node, nodes.For) else 0
    for key, value in node.iter_fields():
        if isinstance(value, nodes.Node):
            setattr(node, key, _tame(value, where))
        elif isinstance(value, list):
            setattr(node, key, [_tame(v, where) if isinstance(v, nodes.Node) else v for v in value])
    line = node.lineno
    if isinstance(node, nodes.For):
        node.iter = _filtered(node.iter, "_each", line, nodes.Const(turn_cost, lineno=line))
    elif isinstance(node, nodes.Compare | nodes.Operand):
        node.expr = _filtered(node.expr, "_charged", line)
    elif isinstance(node, nodes.Concat):
        texts = [_filtered(part, "string", line) for part in node.nodes]
        return functools.reduce(lambda left, right: nodes.Add(left, right, lineno=line), texts)
    elif isinstance(node, nodes.List | nodes.Dict) or (
        isinstance(node, nodes.Tuple) and node.ctx == "load"
    ):
        return _filtered(node, "_weighed", line)
    return node


def _filtered(node: nodes.Node, name: str, line: int, *args: nodes.Expr) -> nodes.Expr:
    return nodes.Filter(cast("nodes.Expr", node), name, list(args), [], None, None, lineno=line)


# -------------------------------------------------------------------------------------------------
# What the rest of the package sees


@dataclass(frozen=True)
class CompiledTemplate:
    """A template that passed the sandbox's lists.

    Attributes:
        where: Name for messages.
        literals: The constant text of the template, where its special tokens are found.
        marked: Whether it says with `{% generation %}` what the model writes.
    """

    where: str
    literals: str
    marked: bool
    _template: jinja2.Template = field(repr=False, compare=False)

    def render(self, values: Mapping[str, Any]) -> tuple[str, tuple[tuple[int, int], ...]]:
        """Return the text, and the character range of every generation block in it, in order.

        Raises:
            ConfigError: The template does something it may not, or fails in itself.
            ConversationRefusedError: The template calls `raise_exception`.
            TemplateLimitError: The rendering is too large or too much work.
        """
        budget = _Budget()
        token = _BUDGET.set(budget)
        pieces: list[str] = []
        spans: list[tuple[int, int]] = []
        length = 0
        try:
            context = self._template.new_context(dict(values))
            for piece in self._template.root_render_func(context):
                if isinstance(piece, _Trained):
                    spans.append((length, length + len(piece)))
                pieces.append(piece)
                length += len(piece)
                if length > MAX_OUTPUT_CHARS:
                    raise _OverLimit(f"it writes more than {MAX_OUTPUT_CHARS:,} characters")
        except _Refused as refusal:
            raise ConversationRefusedError(
                self.where, f"the template refuses the conversation: {refusal}"
            ) from None
        except _OverLimit as limit:
            raise TemplateLimitError(self.where, f"the template is stopped: {limit}") from None
        except (RecursionError, MemoryError) as error:
            raise TemplateLimitError(
                self.where, f"the template is stopped: {type(error).__name__}"
            ) from None
        except SecurityError as error:
            raise ConfigError(
                self.where,
                f"the template does what a chat template may not: {error}",
                hint="Templates that do so try to leave their sandbox; do not use this one.",
            ) from None
        except Exception as error:
            # Whatever a template's expression raises is the template's fault, e.g. None + text.
            raise ConfigError(
                self.where,
                f"the template fails: {type(error).__name__}: {error}",
                hint="Its expressions must hold for messages with a role and a content.",
            ) from error
        finally:
            _BUDGET.reset(token)
        if len(spans) != budget.generations:
            raise ConfigError(
                self.where,
                "a {% generation %} block stands inside a macro, a set block or a filter block",
                hint="Move it to where the template writes the message.",
            )
        return "".join(pieces), tuple(spans)


@functools.lru_cache(maxsize=32)
def compile_template(source: str, where: str) -> CompiledTemplate:
    r"""Compile a chat template inside the sandbox.

    Args:
        source: Jinja text as transformers reads it (`trim_blocks`, `lstrip_blocks`, loop controls).
        where: Name for messages.

    Raises:
        ConfigError: The source is too long, is not Jinja, or uses what a template may not.

    References:
        transformers, utils/chat_template_utils.py: the same dialect. CVE-2024-34359 and
        CVE-2025-27516 are what plain or blocklisted Jinja led to.

    Example:
        >>> echo = compile_template("{% for m in messages %}{{ m.content }}\n{% endfor %}", "echo")
        >>> echo.render({"messages": [{"content": "안녕"}, {"content": "hi"}]})
        ('안녕\nhi\n', ())
    """
    size = len(source.encode("utf-8", "surrogatepass"))
    if size > MAX_SOURCE_BYTES:
        raise ConfigError(
            where, f"the template is longer than {MAX_SOURCE_BYTES:,} bytes", got=size
        )
    environment = _Environment()
    try:
        tree = environment.parse(source)
        literals = "\n".join(
            [data.data for data in tree.find_all(nodes.TemplateData)]
            + [const.value for const in tree.find_all(nodes.Const) if isinstance(const.value, str)]
        )
        environment.macro_chars = sum(_text_in(macro) for macro in tree.find_all(nodes.Macro))
        marked = re.search(r"\{%[-+]?\s*generation\b", source) is not None
        tamed = _tame(tree, where)
        template = environment.from_string(cast("nodes.Template", tamed))
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(
            f"{where} line {error.lineno}", f"the template cannot be compiled: {error.message}"
        ) from None
    except (RecursionError, SyntaxError, ValueError, OverflowError, SecurityError) as error:
        # Deep nesting, or constants that Jinja folds into something impossible.
        raise ConfigError(
            where, f"the template cannot be compiled: {type(error).__name__}: {error}"
        ) from None
    return CompiledTemplate(where, literals, marked, template)
