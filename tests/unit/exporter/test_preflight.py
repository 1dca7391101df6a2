"""Figures that programs may give where the command line would have refused them."""

import pytest

from exporter.errors import UsageError
from exporter.options import ExportOptions
from exporter.preflight import require_target


@pytest.mark.parametrize("bound", [0, float("inf"), float("nan")])
def test_a_bound_that_bounds_nothing_is_refused_in_python_too(tmp_path, bound):
    options = ExportOptions(name="m", base_path=tmp_path, parity_bound=bound)
    with pytest.raises(UsageError, match="parity bound"):
        require_target(options)
