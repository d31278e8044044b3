#!/usr/bin/python3
"""How many lines of each parser its corpus runs: tests/fuzz/run --coverage [TARGET...] calls this.

    tests/fuzz/coverage.py BUILD [TARGET...]    BUILD: the plain tests of gcc with --coverage
    tests/fuzz/coverage.py BUILD --lines TARGET...    the lines that are not run, too

The exit code is 1 when a parser is under 90 %. A plugin that only asks its system is shown and not judged: the lines of its
code that decide what to do are proven by its own tests.
"""
import collections
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LEAST = 90
# The files that read what a target feeds, without the functions of theirs that read nothing of it.
PARSERS = {
    "core_declaration": {"core/plugin/declaration.c": (), "core/plugin/schema.c": ()},
    "core_entry": {"core/model/entry.c": (), "core/model/entry_text.c": (), "core/model/fold.c": ()},
    "core_export": {"core/timeline/verify_export.c": (),
                    "core/timeline/checkpoint.c": ("stanch_checkpoint_belongs", "stanch_checkpoint_store_name",
                                                   "stanch_checkpoint_make", "write_all", "is_cut", "sync_parent",
                                                   "stanch_checkpoint_append")},  # they write one
    "core_frame": {"core/wire/frame.c": ("stanch_frame_send", "stanch_frame_receive")},  # they wait on a descriptor
    "core_json": {"core/base/json.c": ("stanch_json_str", "stanch_json_int", "stanch_json_real", "stanch_json_bool",
                                       "stanch_json_set_str")},  # they look at what was parsed
    "core_mutate": {"core/drill/mutate.c": (), "core/drill/tokens.c": ()},
    "core_names": {"core/book/names.c": ("stanch_names_is_lua", "compare_names", "stanch_names_find_clash")},
    "core_place": {"core/plugin/host_place.c": ()},
    "core_rule": {"core/rule/match.c": (), "core/rule/params.c": (), "core/base/pattern.c": (), "core/rule/glob.c": (), "core/rule/range.c": ()},
    "core_scrub": {"core/plugin/scrub.c": ()},
    "core_target": {"core/http/target.c": ()},
    "core_times": {"core/base/times.c": ("read_clock", "stanch_wall_now_ms", "stanch_mono_now_ms")},
    "core_value": {"core/script/value.c": ("null_tostring",)},
    "plugin_ical": {f"plugins/ical/{name}.c": () for name in ("calendar", "event", "moment", "occur", "rule", "scan",
                                                              "zone")} | {"sdk/src/zone.c": ()},
}
SOURCES = ("plugin_alertmanager", "plugin_generic", "plugin_github")  # what is posted to them is parsed by them alone


def all_targets():
    names = sorted(name[:-2] for name in os.listdir(os.path.join(ROOT, "tests/fuzz")) if name.endswith(".c"))
    return [name for name in names if name.startswith(("core_", "plugin_"))]


def files_of(target):
    if target in PARSERS:
        return PARSERS[target]
    folder = "plugins/" + target.removeprefix("plugin_")
    return {f"{folder}/{name}": () for name in sorted(os.listdir(os.path.join(ROOT, folder))) if name.endswith(".c")}


def counts_of(build, file):
    """The counters of one file, those of this run or of an earlier one; None: it was not run."""
    for folder, _, names in os.walk(build):
        here = os.path.join(folder, os.path.basename(file))
        if os.path.basename(here) + ".gcda" in names and re.sub(r"CMakeFiles/[^/]+\.dir/", "", here).endswith("/" + file):
            return here + ".gcda"
    return None


def lines_of(build, file, without):
    """{line: how often} of the file."""
    found = counts_of(build, file)
    lines = collections.Counter()
    if not found:
        return lines
    told = subprocess.run(["gcov", "--json-format", "--stdout", found], cwd=build, check=True, capture_output=True, text=True)
    for unit in map(json.loads, told.stdout.splitlines()):
        for one in unit["files"]:
            if os.path.normpath(os.path.join(unit["current_working_directory"], one["file"])).endswith("/" + file):
                for line in one["lines"]:
                    if line.get("function_name") not in without:
                        lines[line["line_number"]] += line["count"]
    return lines


def forget(build):
    for folder, _, names in os.walk(build):
        for name in names:
            if name.endswith(".gcda"):
                os.unlink(os.path.join(folder, name))


def measure(build, target, shows_lines):
    """returns whether it is good"""
    forget(build)
    corpus = os.path.join(ROOT, "tests/fuzz/corpus", target)
    subprocess.run([os.path.join(build, "fuzz", "fuzz_" + target), corpus], check=True, capture_output=True)
    seen = {file: lines_of(build, file, without) for file, without in files_of(target).items()}
    count, run = (sum(len(lines) for lines in seen.values()),
                  sum(sum(times > 0 for times in lines.values()) for lines in seen.values()))
    share = 100 * run / count if count else 0
    is_judged = target in PARSERS or target in SOURCES
    bad = is_judged and (share < LEAST or not all(seen.values()))
    print(f"{target}: {share:.1f} % of {count} lines" + (f" (UNDER {LEAST} %)" if bad else "" if is_judged else ", not judged"),
          flush=True)
    for file, lines in seen.items() if shows_lines else ():
        print(f"    {file}: not run:", *[line for line, times in sorted(lines.items()) if not times])
    return not bad


def main(build, *rest):
    targets = [one for one in rest if one != "--lines"]
    known = all_targets()
    if set(targets) - set(known):
        sys.exit("tests/fuzz/coverage.py: there is no target " + ", ".join(sorted(set(targets) - set(known))))
    good = [measure(os.path.abspath(build), target, "--lines" in rest) for target in targets or known]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
