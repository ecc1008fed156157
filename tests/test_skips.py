"""A reason that is allowed on any machine but in CI is a failure there: CI brings what is needed."""

import pytest
from tests.conftest import allowed_reasons


@pytest.mark.parametrize("program", ["PostgreSQL", "redis-server", "Kafka broker", "promtool", "prometheus", "kubectl"])
def test_programs_may_be_missing_elsewhere_only(program: str) -> None:
    reason = f"no {program} on this machine"
    assert reason in allowed_reasons(in_ci=False)
    assert not any(reason.startswith(allowed) for allowed in allowed_reasons(in_ci=True))
    assert "the real data sets are not here" in allowed_reasons(in_ci=True)
