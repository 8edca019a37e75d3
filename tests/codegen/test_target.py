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
    plain = cpu.Cpu("old", "x86_64", frozenset(target.SSE42.features), 1, 0, 0, 0)
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


V1 = "5:cpuacct,cpu:/job\n2:memory:/"
QUOTAS = {
    "v2": ("0::/", {"cpu.max": "150000 100000\n"}, 1.5),
    "v2, none": ("0::/", {"cpu.max": "max 100000\n"}, None),
    "v2, inside others": (
        "0::/a/b",
        {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000", "cpu.max": "400000 100000"},
        2.0,
    ),
    "v2, seen from inside a container": ("0::/docker/1", {"cpu.max": "300000 100000"}, 3.0),
    "v1, none": (V1, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
    "v1": (V1, {"cpu/job/cpu.cfs_quota_us": "50000", "cpu/job/cpu.cfs_period_us": "100000"}, 0.5),
    "nothing": ("0::/", {}, None),
}


@pytest.mark.parametrize(("groups", "files", "quota"), QUOTAS.values(), ids=QUOTAS.keys())
def test_cgroup_quota(tmp_path, groups, files, quota):
    membership = tmp_path / "membership"
    membership.write_text(groups)
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert cpu.cgroup_quota(tmp_path / "root", membership) == quota


def test_quota_cuts_the_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for quota, cores in ((None, 8), (2.5, 3), (0.5, 1), (64.0, 8)):
        monkeypatch.setattr(cpu, "cgroup_quota", lambda quota=quota: quota)
        assert cpu.usable_cores() == cores
