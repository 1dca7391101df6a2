"""The bound follows the source's precision."""

from exporter.proof.bounds import parity_bound


def test_coarser_types_have_wider_bounds():
    bounds = [parity_bound(each) for each in ("float64", "float32", "float16", "bfloat16")]
    assert bounds == [1e-4, 1e-4, 0.01, 0.08]
