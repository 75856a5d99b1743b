"""Faster construction of frozen dataclasses with slots."""

from dataclasses import MISSING, fields
from typing import Any, TypeVar

_Class = TypeVar("_Class", bound=type[Any])


def quick_init(cls: _Class) -> _Class:
    """Give a frozen dataclass with slots an `__init__` that sets each slot by its descriptor; it stays frozen.

    The stock one calls `object.__setattr__` for each field: 1.8 -> 1.0 us for the 16 of an attempt. It costs an import
    0.1 ms for each class, so it is for classes of which there are many objects.
    """
    names: dict[str, Any] = {}
    parameters, statements = ["self"], []
    for field in fields(cls):
        name = field.name
        names |= {f"set_{name}": getattr(cls, name).__set__, f"default_{name}": field.default}
        value, default = name, f" = default_{name}"
        if field.default_factory is not MISSING:
            names[f"make_{name}"] = field.default_factory
            value = f"make_{name}() if {name} is default_{name} else {name}"
        elif field.default is MISSING:
            default = ""
        parameters.append(name + default)
        statements.append(f"    set_{name}(self, {value})")
    exec("\n".join((f"def __init__({', '.join(parameters)}):", *statements)), names)  # noqa: S102  as dataclasses does
    stock, cls.__init__ = cls.__init__, names["__init__"]
    cls.__init__.__qualname__ = stock.__qualname__
    cls.__init__.__annotations__ = stock.__annotations__
    return cls
