"""From a kernel module to object code, IR text and assembly, by LLVM."""

from functools import cache
from typing import Any

from lamina.codegen import llvm
from lamina.codegen.builder import KernelModule
from lamina.codegen.target import Target
from lamina.errors import CompileError


@cache
def _machine(target: Target) -> Any:
    llvm.binding.initialize_all_targets()
    llvm.binding.initialize_all_asmprinters()
    features = ",".join(f"+{feature}" for feature in target.features)
    return llvm.binding.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=features, opt=3, reloc=target.relocation, codemodel="small"
    )


def _optimised(module: KernelModule) -> Any:
    machine = _machine(module.target)
    module.ir.triple = machine.triple
    module.ir.data_layout = str(machine.target_data)
    try:
        parsed = llvm.binding.parse_assembly(str(module.ir))
        parsed.verify()
    except RuntimeError as error:
        raise CompileError(f"LLVM rejects the kernel for {module.target.name}: {error}") from error
    # Kernels say themselves what is unrolled and what is a vector: LLVM's own choices spill.
    options = llvm.binding.create_pipeline_tuning_options(speed_level=3)
    options.loop_unrolling = False
    options.loop_vectorization = False
    options.loop_interleaving = False
    options.slp_vectorization = False
    passes = llvm.binding.create_pass_builder(machine, options)
    passes.getModulePassManager().run(parsed, passes)
    return parsed


def object_code(module: KernelModule) -> bytes:
    """Return the ELF object file of an optimised kernel module; raises CompileError."""
    return bytes(_machine(module.target).emit_object(_optimised(module)))


def optimised_ir(module: KernelModule) -> str:
    """Return the LLVM IR after optimisation."""
    return str(_optimised(module))


def assembly(module: KernelModule) -> str:
    """Return the assembly of the optimised module."""
    return str(_machine(module.target).emit_assembly(_optimised(module)))
