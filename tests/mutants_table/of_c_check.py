"""The faults planted in the check of generated C: sizes, stack, runs, boards."""

from __future__ import annotations

from .mutant import Mutant, faults_in

_TESTS = (
    "export/test_c_check export/test_c_check_stack"
    " export/test_c_check_refusals export/test_c_boards"
)

C_CHECK: list[Mutant] = [
    *faults_in(
        "export/c_check_emulated",
        _TESTS,
        ("a tick is one instruction", "* machine.tick_instructions\n", "* 1.0\n"),
        (
            "the stack is the first image's",
            'int(answers["stack"].max(initial=0))',
            'int(answers["stack"][0] * 0)',
        ),
        (
            "an unfinished run is answers",
            "if len(content) != record.itemsize * len(images_u8):",
            "if False:",
        ),
        ("images of another shape run", "if images_u8.dtype != np.uint8 or", "if False and"),
        ("a fault is an answer", "if done.returncode or not", "if not"),
    ),
    *faults_in(
        "export/c_check_size",
        _TESTS,
        (
            "weights count as constants",
            "constants = own.constants - weight_bytes",
            "constants = own.constants",
        ),
        (
            "first values are not in flash",
            "mine = own.code + own.constants + own.variables",
            "mine = own.code + own.constants",
        ),
        ("first values missing from constants", "- weight_bytes + own.variables", "- weight_bytes"),
        (
            "all of the object counts",
            "    waiting = [] if start is None else [start]\n",
            "    waiting = list(range(len(object_.sections)))\n",
        ),
        ("library always zero", "library if own.missing else 0", "0"),
        (
            "header of another model passes",
            "if own.constants + own.code < weight_bytes:",
            "if False:",
        ),
    ),
    *faults_in(
        "export/c_check_stack",
        _TESTS,
        (
            "frames are not added",
            "(count + own, (name, *path))",
            "(max(count, own), (name, *path))",
        ),
        ("naked functions push nothing", "if told and told[0]:", "if told:"),
        (
            "the first call, not the deepest",
            "count, path = max(called, default=(0, ()))",
            "count, path = next(called, (0, ()))",
        ),
        ("recursion unsaid", 'reasons.append(f"{name} calls itself")', "pass"),
        (
            "labels are functions",
            "    return symbol.kind == SECTION or bool(_MARK.match(symbol.name))",
            "    return False",
        ),
        ("local calls unseen", "if elf.linked or (place[0], at) not in relocated:", "if False:"),
        ("missing unsaid", "    if lacking:\n", "    if False:\n"),
        ("loops are calls", "if is_call or target != place else", "if True else"),
        ("literal pools are code", 'marks[place] = one.name[1] == "d"', "marks[place] = False"),
    ),
    *faults_in(
        "export/c_check_instructions",
        _TESTS,
        ("push of lr not counted", "first & 0x1FF).bit_count()", "first & 0xFF).bit_count()"),
        (
            "vpush",
            "return 4 * (second & 0xFF)\n    if first & ~0x0400 == 0xF1AD",
            "return 0\n    if first & ~0x0400 == 0xF1AD",
        ),
        ("sub.w", "return _expanded(", "return 0 * _expanded("),
        ("sign of branch", "(~((second >> bit & 1) ^ sign) & 1", "((second >> bit & 1)"),
        ("register sp unseen", "first & 0xFF87 == 0x4485", "first & 0xFF87 == 0x4480"),
        ("c.addi16sp", "first & 0xEF83 == 0x6101", "first & 0xEF83 == 0x6102"),
    ),
    *faults_in(
        "export/c_boards",
        _TESTS,
        ("KiB are kB", "return 1024 * self.flash_kib", "return 1000 * self.flash_kib"),
        (
            "flash alone decides",
            "return self.flash_left >= 0 and self.ram_left >= 0",
            "return self.flash_left >= 0",
        ),
    ),
    *faults_in(
        "export/c_check_report",
        _TESTS,
        ("a wrong vector is well", "if self.ran and self.ran.golden_differing:", "if False:"),
        ("a board too small is well", "if self.board and not self.board.fits:", "if False:"),
    ),
    *faults_in(
        "export/c_check",
        _TESTS,
        ("the arena counts twice", "static=max(0, static - model.arena_bytes)", "static=static"),
        ("seen stack is ignored", "if ran and ran.stack_seen > ram.stack:", "if False:"),
        ("mean of the first", "float(found.instructions.mean())", "float(found.instructions[0])"),
        ("most is mean", "int(found.instructions.max())", "int(found.instructions.mean())"),
    ),
    *faults_in(
        "export/c_check_elf",
        _TESTS,
        ("thumb bit", "value &= ~1", "value &= ~0"),
    ),
    *faults_in(
        "export/c_target",
        _TESTS,
        (
            "m4 is m3",
            '_cortex_m("cortex-m4", "ARMv7E-M, with DSP instructions", _AN386',
            '_cortex_m("cortex-m4", "ARMv7E-M, with DSP instructions", _AN385',
        ),
        ("short names", '(wanted, f"cortex-{wanted}")', "(wanted,)"),
        ("tick of m33", "tick_instructions=50", "tick_instructions=40"),
    ),
    *faults_in(
        "export/c_check_compilers",
        _TESTS,
        ("a clang without the core", "    return done.returncode == 0", "    return True"),
        ("unneeded is kept", '"-Wl,--gc-sections", ', ""),
    ),
]
