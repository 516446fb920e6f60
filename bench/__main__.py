"""``python -m bench [NAME …] [--quick]``: the figures of these benches, or of all, a line of JSON each."""

from __future__ import annotations

import argparse
import asyncio
import pkgutil
import sys
from importlib import import_module
from types import ModuleType

import uvloop

import bench
from bench.figures import line
from bench.rig import Failed
from bench.rig.machine import describe_machine


def main(arguments: list[str] | None = None) -> int:
    """Runs benches; returns the exit code: 0 all measured, 1 one failed, 2 called wrongly."""
    known = benches()
    parser = argparse.ArgumentParser(
        "python -m bench", description="Prints the project's figures, a line of JSON each."
    )
    parser.add_argument("name", nargs="*", help=f"which: {', '.join(known)}; default: all")
    parser.add_argument("--quick", action="store_true", help="a shorter look: at most a minute for each bench")
    parser.add_argument("--seeds", type=int, help="simulate: how many")
    parser.add_argument("--seed", type=int, help="simulate: this one alone, with all that happened in it")
    args = parser.parse_args(arguments)
    if unknown := sorted(set(args.name) - known.keys()):
        parser.error(f"no bench {', '.join(unknown)}; there are {', '.join(known)}")
    note(describe_machine())
    code = 0
    for name in args.name or known:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                asked = {"seeds": args.seeds, "seed": args.seed} if name == "simulate" else {}
                figures = runner.run(known[name].measure(args.quick, **asked))
            for figure in figures:
                print(line(figure), flush=True)
        except Failed as err:
            note(f"{name}: {err}")
            code = 1
        except KeyboardInterrupt:
            return 130
    return code


def benches() -> dict[str, ModuleType]:
    """The modules of the folder that measure something, by name."""
    modules = (import_module(f"bench.{found.name}") for found in pkgutil.iter_modules(bench.__path__))
    return {module.__name__.removeprefix("bench."): module for module in modules if hasattr(module, "measure")}


def note(text: str) -> None:
    """What is for people goes to standard error: standard output is figures only."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
