"""campaign.py: what every campaign stands on (README.md has the contract), and the process that runs one of them.

    python3 campaign.py MODULE JOB     JOB is JSON: {"build", "long", "seed", "planted", "figures": where}
"""
import importlib.util
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parents[1]


class Failed(Exception):
    """Why the figures of a campaign mean nothing: it could not be run as it must be."""


@dataclass
class Figure:
    """One line of the table: what was counted, and whether it is as promised."""

    name: str
    value: object
    target_text: str
    met: bool


def cached(build, name, otherwise=""):
    """A setting of a build directory."""
    for line in (Path(build) / "CMakeCache.txt").read_text().splitlines():
        if line.startswith(name + ":"):
            return line.split("=", 1)[1]
    return otherwise


class Context:
    """What a campaign is given."""

    def __init__(self, build, long=False, seed=1, scratch=None, planted=""):
        self.build = Path(build)
        self.long = long
        self.seed = seed
        self.scratch = scratch
        self.planted = planted
        self.kind = cached(build, "STANCH_KIND", "dev")
        self.notes = []

    def limit(self, short, long):
        return long if self.long else short

    def note(self, text):
        """A line above the table, and again under one that missed: what goes on, which seed failed."""
        self.notes.append(str(text))
        print(f"    {text}", flush=True)


def find_modules():
    """{"D1": path} in the order of the numbers."""
    paths = sorted(HERE.glob("d[0-9]*_*.py"), key=lambda path: int(path.stem[1:].split("_")[0]))
    return {path.stem.split("_")[0].upper(): path for path in paths}


def load(path):
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # so that its functions can go to worker processes
    spec.loader.exec_module(module)
    return module


def chosen_seed():
    return int(os.environ.get("STANCH_CAMPAIGN_SEED") or random.SystemRandom().randrange(1, 1 << 31))


def table(figures):
    """The lines of a table, as the command prints them."""
    width = max((len(figure.name) for figure in figures), default=0)
    value = max((len(str(figure.value)) for figure in figures), default=0)
    return [f"  {f.name:{width}}  {f.value!s:>{value}}  {'met' if f.met else 'MISSED'}  ({f.target_text})" for f in figures]


def run_one(path, job):
    """Run a campaign and write down {"figures", "error", "verdict", "notes"}. Verdict "failed" says that the product is
    wrong or the figures mean nothing, "broken" that the campaign itself is wrong."""
    scratch = Path(tempfile.mkdtemp(prefix="stanch-campaign-"))
    context = Context(job["build"], job["long"], job["seed"], scratch, job["planted"])
    result = {"figures": [], "error": None, "verdict": "ran"}
    try:
        for figure in load(path).run(context):
            result["figures"].append({**asdict(figure), "met": bool(figure.met), "value": str(figure.value)})
    except (Failed, AssertionError) as error:
        traceback.print_exc()
        result.update(error=str(error)[-2000:] or type(error).__name__, verdict="failed")
    except Exception as error:  # whatever it is, it goes into the report
        traceback.print_exc()
        result.update(error=f"{type(error).__name__}: {error}"[-2000:], verdict="broken")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    result["notes"] = context.notes
    Path(job["figures"]).write_text(json.dumps(result))
    return 0 if result["verdict"] == "ran" else 1


if __name__ == "__main__":
    sys.modules["campaign"] = sys.modules["__main__"]  # a campaign imports this module, not a second one
    began = time.monotonic()
    code = run_one(Path(sys.argv[1]), json.loads(sys.argv[2]))
    print(f"    {time.monotonic() - began:.1f} s", flush=True)
    sys.exit(code)
