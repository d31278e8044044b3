import pytest
from kill import POINTS, check


@pytest.mark.parametrize("point", POINTS)
def test_kill_at(world, point):
    check(world, "set_unprotected", point)
