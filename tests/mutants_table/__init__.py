"""The faults that tests/mutants.py plants, a module for each distribution."""

from __future__ import annotations

from .mutant import Mutant as Mutant
from .of_benchmarks import BENCHMARKS
from .of_bring_your_own import BRING_YOUR_OWN
from .of_c import C
from .of_c_check import C_CHECK
from .of_c_steps import C_STEPS
from .of_compare import COMPARE
from .of_export import EXPORT
from .of_measuring import MEASURING
from .of_page import PAGE
from .of_proof import PROOF
from .of_reading import READING
from .of_reference import REFERENCE
from .of_runtime import RUNTIME
from .of_train import TRAIN

MUTANTS = [
    *RUNTIME, *MEASURING, *READING, *REFERENCE, *TRAIN, *EXPORT, *BRING_YOUR_OWN, *PROOF, *C,
    *C_CHECK, *C_STEPS, *BENCHMARKS, *COMPARE, *PAGE,
]  # fmt: skip
