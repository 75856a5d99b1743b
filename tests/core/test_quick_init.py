"""Quickly made objects of the model are what `dataclass` would make."""

import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from inspect import signature

import pytest

from runlog_otel.core import model
from runlog_otel.core.quick_init import quick_init


@dataclass(frozen=True, slots=True)
class Stock:
    """Fields of every kind."""

    name: str
    size: int = 1
    parts: dict[str, int] = field(default_factory=dict)


@quick_init
@dataclass(frozen=True, slots=True)
class Quick(Stock):
    """Fields of a parent, and one more."""

    more: tuple[int, ...] = ()


def test_every_field_is_set_by_position_by_name_and_by_default() -> None:
    """A factory makes a value of its own for each object."""
    made, named = Quick("a", 2, {"p": 1}, (3,)), Quick(more=(3,), parts={"p": 1}, size=2, name="a")
    assert (made, made.name, made.size, made.parts, made.more) == (named, "a", 2, {"p": 1}, (3,))
    first, second = Quick("a"), Quick("a")
    assert (first.size, first.parts, first.more) == (1, {}, ())
    assert first.parts is not second.parts


def test_what_is_missing_or_unknown_is_refused() -> None:
    """As by any function."""
    with pytest.raises(TypeError, match=r"Quick.__init__\(\) missing 1 required positional argument: 'name'"):
        Quick()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        Quick("a", other=1)  # type: ignore[call-arg]


def test_an_object_stays_immutable_and_can_be_replaced_and_pickled() -> None:
    """It is a frozen dataclass with slots."""
    made = Quick("a", more=(1,))
    for name in ("name", "more", "other"):
        with pytest.raises((FrozenInstanceError, TypeError)):
            setattr(made, name, 1)
    with pytest.raises(FrozenInstanceError):
        del made.name
    assert not hasattr(made, "__dict__")
    assert replace(made, name="b") == Quick("b", more=(1,))
    assert pickle.loads(pickle.dumps(made)) == made


@pytest.mark.parametrize("cls", [model.Attempt, model.Step, model.CatalogItem])
def test_a_class_of_the_model_has_the_parameters_of_its_fields(cls: type) -> None:
    """In their order, with their annotations."""
    parameters = signature(cls).parameters
    assert list(parameters) == [each.name for each in fields(cls)]
    assert [each.annotation for each in parameters.values()] == [each.type for each in fields(cls)]
