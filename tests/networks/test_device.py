"""How a run uses the CPU."""

import os

import pytest
import torch

from dqn_mer.networks.device import denormals_are_zero, processor, usable_cores


def test_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 4, 5}, raising=False)
    assert usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")  # as on macOS
    assert usable_cores() == 64


def test_what_was_set_is_put_back() -> None:
    before = torch.get_num_threads(), denormals_are_zero()
    with pytest.raises(KeyError), processor(before[0] + 1):
        assert (torch.get_num_threads(), denormals_are_zero()) == (before[0] + 1, True)
        raise KeyError
    assert (torch.get_num_threads(), denormals_are_zero()) == before
