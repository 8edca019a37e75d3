"""The measured limits of the processor are numbers that a processor can have."""

from lamina.codegen import assemble, jit, target
from lamina.kernels import peak


def test_peak_is_measured():
    single, double = peak.fma_peak(), peak.fma_peak("float64")
    assert 0.1 < double < single * 1.5
    assert single < 10_000


def test_bandwidth_is_measured():
    assert 0.5 < peak.memory_bandwidth() < 1000


def test_bandwidth_of_a_working_set_is_measured():
    assert 0.5 < peak.triad_bandwidth(1 << 14) < 10_000


def test_the_loop_touches_no_memory():
    text = assemble.assembly(jit.build(peak.emit_fma_peak, target.AVX512, "float32"))
    fused = [line for line in text.splitlines() if "vfmadd" in line]
    assert len(fused) == 96
    assert not [line for line in fused if "(" in line]
