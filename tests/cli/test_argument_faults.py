"""A call of Flyball with arguments that it does not take says which it takes."""

import pytest

import flyball as fb
from flyball.cli.argument_faults import argument_fault


class Watch(fb.Event):
    """An event, for calls that need one."""

    keyed = False
    minute: int


def raised(call: object) -> BaseException:
    with pytest.raises(TypeError) as caught:
        call()  # type: ignore[operator]
    return caught.value


def test_an_unknown_argument_of_a_function_is_reported_with_those_it_takes() -> None:
    fault = argument_fault(raised(lambda: fb.gates(min_example=3)))  # type: ignore[call-arg]
    assert fault == (
        "an argument of fb.gates must be one of min_examples, max_loss, max_answer, max_fit, at_least, at_most, leaks, "
        "max_gap, got 'min_example'; did you mean min_examples?"
    )


def test_an_argument_that_is_a_setting_is_named_as_one() -> None:
    fault = argument_fault(raised(lambda: fb.alerts(sinks=[5])))  # type: ignore[call-arg]
    assert fault == (
        "an argument of fb.alerts must be one of on_call, after, acknowledge, mitigate, group, reopen, close, digest, "
        "got 'sinks': sinks is a setting, given in flyball.toml or as FLYBALL_SINKS"
    )


def test_an_unknown_argument_of_a_struct_is_reported_with_its_fields() -> None:
    fault = argument_fault(raised(lambda: fb.Predict(on=Watch, target=None, feature=())))  # type: ignore[call-arg, arg-type]
    assert fault is not None
    assert fault.startswith("an argument of fb.Predict must be one of on, target, kind, ")
    assert fault.endswith("got 'feature'; did you mean features?")


def test_arguments_that_a_function_hands_on_are_named_too() -> None:
    fault = argument_fault(raised(lambda: fb.metric.rate(Watch, rol="primary")))
    assert fault is not None
    assert fault.startswith(
        "an argument of fb.metric.rate must be one of event, where, at_least, within, before, after,"
    )
    assert fault.endswith("got 'rol'; did you mean role?")


def test_arguments_that_are_missing_are_named() -> None:
    assert argument_fault(raised(lambda: fb.count())) == "event and window of fb.count must be given"  # type: ignore[call-arg]
    assert argument_fault(raised(lambda: fb.App())) == (  # type: ignore[call-arg]
        "name of fb.App must be given"
    )
    assert argument_fault(raised(lambda: fb.Predict(on=Watch))) == "target of fb.Predict must be given"  # type: ignore[call-arg]


def test_errors_of_other_calls_are_left_as_they_are() -> None:
    def own(a: int) -> int:
        return a

    assert argument_fault(raised(lambda: own())) is None  # type: ignore[call-arg]
    assert argument_fault(raised(lambda: own(b=1))) is None  # type: ignore[call-arg]
    assert argument_fault(raised(lambda: len(3))) is None  # type: ignore[arg-type]
    assert argument_fault(ValueError("Unexpected keyword argument 'a'")) is None
