"""How near floating-point results must be: bounds that hold on any processor, not what one of them gave.

The unit roundoff u is 2⁻²⁴ in float32 and 2⁻⁵³ in float64. A sum of n terms is off by at most about n u Σ|terms| in any
order of additions (Higham, Accuracy and Stability of Numerical Algorithms, section 4.2), however much of it cancels; so
an error is set against the terms, never against the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]

EXACT = 1e-9
"""Most that two vectors of float64 results may differ by, in norm, against the norm of either.

Rounding is at most 1e-13 of the terms of the longest sums here, and Adam divides it by as little as ε = 1e-8 only where
a gradient cancels; an error of an algorithm is rarely below 1e-3.
"""


def unit_roundoff(dtype: Any) -> float:
    """Return u of a NumPy dtype."""
    return float(np.finfo(dtype).eps) / 2


def check_same(result: Tensor, expected: Tensor) -> None:
    """Check two float64 vectors that one algorithm gave in two ways, such as the movements of all weights."""
    assert result.dtype == expected.dtype == torch.float64
    assert torch.isfinite(expected).all() and expected.norm() > 0
    assert (result - expected).norm() <= EXACT * expected.norm()


def check_sums(result: Array, exact: Array, terms: Array, count: int) -> None:
    """Check sums entry by entry.

    Args:
        result: to check.
        exact: the same in float64.
        terms: sums of the absolute values of the terms, in float64.
        count: terms of a sum, at most; each may be a product, and a sum that was rounded to a smaller type is one more.
    """
    assert result.shape == exact.shape == terms.shape and exact.dtype == terms.dtype == np.float64
    error = np.abs(result.astype(np.float64) - exact)
    bound = (count + 2) * (unit_roundoff(result.dtype) + unit_roundoff(np.float64)) * terms
    assert (error <= bound).all(), f"{(error - bound).max()} above the bound"


def check_as_near(result: Tensor, others: Sequence[Tensor], exact: Tensor, terms: int, kept: float = 0.0) -> None:
    """Check that a float32 result is no farther from the float64 one than autograd's own float32 results are.

    Args:
        result: to check.
        others: what autograd gives, once or from weights moved by their last bit.
        exact: the same in float64.
        terms: of the longest sum; in another order of additions it is off by √n u more, typically.
        kept: norm of the numbers that moved by it, which are rounded by up to u when they are kept.
    """
    error, *usual = (float((value.double() - exact).norm()) for value in (result, *others))
    assert exact.dtype == torch.float64 and exact.norm() > 0
    assert error <= 4 * (max(usual) + unit_roundoff(np.float32) * (terms**0.5 * float(exact.norm()) + kept))
