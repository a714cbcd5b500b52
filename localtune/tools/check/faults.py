"""Makes findings of failures of workers."""

from __future__ import annotations

from localtune.error import ProgramError
from localtune.running.bench import Fault
from localtune.tools.check.report import Finding, failure


def fault_finding(fault: Fault, check: str) -> Finding:
    """Makes the finding for a fault.

    Args:
        fault: The fault.
        check: Name of the check in which it happened.
    """
    if "relative path" in fault.hint:
        return failure("paths", fault.text, fault.hint, fault.details)
    if fault.type_name == ProgramError.__name__ and fault.message:
        ending, _, details = fault.message.partition("\n\n")
        return failure(
            check,
            ending,
            "Mend the program or the command, and try the command by itself.",
            details,
        )
    remedy = fault.hint or (
        "Look at the end of the traceback."
        if fault.type_name
        else "Run it in this process to see more: "
        "tune.Tuner(..., executor=tune.InProcessExecutor())."
    )
    if check == "restore" and fault.type_name == "FileNotFoundError":
        remedy = (
            "A checkpoint is moved after it is written: put files into checkpoint_dir, and look "
            "for them by name in what load_checkpoint gets."
        )
    if fault.type_name == "KeyError" and not fault.hint:
        remedy = (
            "If the key is one of the config, check with a config that has it: "
            "check_trainable(trainable, config), --param KEY=VALUE."
        )
    return failure(check, fault.text, remedy, fault.details)
