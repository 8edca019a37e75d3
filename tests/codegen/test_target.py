"""Targets, and what is known about the processor."""

import os

import pytest

from lamina.codegen import cpu, target
from lamina.errors import ArgumentError


def test_best_target_is_chosen():
    chosen = target.choose_target(None)
    assert target.runs_here(chosen)
    assert chosen.vector_bytes == max(
        row.vector_bytes for row in target.TARGETS.values() if target.runs_here(row)
    )


def test_unknown_target():
    with pytest.raises(ArgumentError, match=r"LAMINA_TARGET='avx9' is unknown; set one of scalar"):
        target.choose_target("avx9")


def test_target_that_the_processor_lacks(monkeypatch):
    plain = cpu.Cpu("old", "x86_64", frozenset({"sse4.2"}), 1, 0, 0, 0)
    monkeypatch.setattr(cpu, "describe", lambda: plain)
    assert target.choose_target(None).name == "sse4.2"
    with pytest.raises(ArgumentError, match=r"lacks it; set one of scalar, sse4\.2"):
        target.choose_target("avx2")


def test_processor_without_a_target(monkeypatch):
    other = cpu.Cpu("other", "sparc", frozenset(), 1, 0, 0, 0)
    monkeypatch.setattr(cpu, "describe", lambda: other)
    with pytest.raises(ArgumentError, match="'sparc' has no target"):
        target.choose_target(None)


def test_description():
    here = cpu.describe()
    assert here.name
    assert here.features
    assert here.cores == os.cpu_count()


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000", "cpu/cpu.cfs_period_us": "100000"}, 0.5),
        ({}, None),
    ],
)
def test_cgroup_quota(tmp_path, files, quota):
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert cpu.cgroup_quota(tmp_path) == quota


def test_quota_cuts_the_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for quota, cores in ((None, 8), (2.5, 3), (0.5, 1), (64.0, 8)):
        monkeypatch.setattr(cpu, "cgroup_quota", lambda quota=quota: quota)
        assert cpu.usable_cores() == cores
