"""tidy.py: clang-tidy over core/, sdk/ and plugins/: tidy.py BUILD (a clang build, for its flags and dependencies).

A file whose own bytes and headers were found clean before is not read again: the digests of clean ones are kept in
BUILD/tidy-clean/.
"""
import hashlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def read_dependencies(build):
    """object -> its headers, as ninja recorded them while building."""
    deps, target = {}, None
    text = subprocess.run(["ninja", "-C", build, "-t", "deps"], capture_output=True, text=True, check=True).stdout
    for line in text.splitlines():
        if line and not line.startswith(" "):
            target = line.split(":")[0]
            deps[target] = []
        elif line.strip() and target:
            deps[target].append(line.strip())
    return deps


def digest_of(command, headers, build):
    seen = hashlib.sha256((ROOT / ".clang-tidy").read_bytes() + re.sub(r"-o \S+", "", command).encode())
    for path in sorted({*headers}):
        full = (Path(build) / path).resolve()
        if full.is_relative_to(ROOT) and full.exists():
            seen.update(str(full.relative_to(ROOT)).encode() + full.read_bytes())
    return seen.hexdigest()


def main(build):
    build = str(Path(build).resolve())
    clean = Path(build) / "tidy-clean"
    clean.mkdir(exist_ok=True)
    deps = read_dependencies(build)
    todo = []
    for entry in json.loads((Path(build) / "compile_commands.json").read_text()):
        source = Path(entry["file"])
        if not source.is_relative_to(ROOT) or source.relative_to(ROOT).parts[0] not in ("core", "sdk", "plugins"):
            continue
        target = re.search(r"-o (\S+)", entry["command"]).group(1)
        digest = digest_of(entry["command"], deps.get(target, []) + [str(source)], build)
        if not (clean / digest).exists():
            todo.append((source, digest))

    def run(job):
        source, digest = job
        done = subprocess.run(["clang-tidy", "--quiet", "-p", build, str(source)], capture_output=True, text=True)
        if done.returncode == 0:
            (clean / digest).touch()
        return done.returncode, done.stdout

    bad = 0
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for code, out in pool.map(run, todo):
            if code:
                bad += 1
                print(out.strip())
    print(f"clang-tidy: {len(todo)} files read, {bad} with findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
