#!/usr/bin/python3
"""The tables of a plugin's README, from the plugin's own declaration.

    sdk/tables.py BUILD NAME         print the tables of BUILD/plugins/NAME.so
    sdk/tables.py BUILD --write      put them into every plugins/NAME/README.md that has the marks
    sdk/tables.py BUILD              say which READMEs are not what the declarations say (exit code 1)

The marks: `<!-- settings -->`, `<!-- actions -->`, `<!-- sources -->`, each with `<!-- end -->` behind its table. A README
without marks is left alone. Only for builds without a sanitizer: the plugin is loaded into this process.
"""
import ctypes
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MARKS = re.compile(r"<!-- (settings|actions|sources) -->\n(.*?)<!-- end -->\n", re.S)


class Entry(ctypes.Structure):
    """The beginning of struct stanch_plugin (stanch/plugin.h)."""
    _fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("size", ctypes.c_uint32),
                ("text", ctypes.c_void_p), ("length", ctypes.c_uint64)]


def declaration(path):
    plugin = ctypes.CDLL(str(path))
    plugin.stanch_plugin_entry.restype = ctypes.POINTER(Entry)
    entry = plugin.stanch_plugin_entry().contents
    return json.loads(ctypes.string_at(entry.text, entry.length))


# ---- cells

def bound(schema):
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is None and high is None:
        return ""
    return f" from {low}" if high is None else f" to {high}" if low is None else f" {low} to {high}"


def kind(schema):
    if schema.get("secret"):
        return "secret"
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    word = {"object": "table", "array": "list", "string": "text", "any": "any value"}.get(schema["type"], schema["type"])
    if schema["type"] == "array" and schema.get("items", {}).get("type", "object") != "object":
        word = "list of " + kind(schema["items"])
    most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
    return (schema.get("format") or word) + bound(schema) + most


def cell(text):
    return " ".join(str(text).split()).replace("|", "\\|")


def table(*rows):
    head, rest = rows[0], rows[1:]
    lines = ["| " + " | ".join(map(cell, row)) + " |" for row in rest]
    return "\n".join(["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |", *lines]) + "\n"


# ---- tables

def members(name, schema, required=False):
    """A setting, then what is in it."""
    yield (f"`{name}`", kind(schema), "required" if required or schema.get("required") is True else "",
           schema.get("summary", schema.get("description", "")))
    inside, others, items = schema.get("properties", {}), schema.get("additionalProperties"), schema.get("items")
    wanted = schema["required"] if isinstance(schema.get("required"), list) else []
    for key, one in inside.items():
        yield from members(f"{name}.{key}", one, key in wanted)
    if isinstance(others, dict) and "properties" in others:
        yield from list(members(f"{name}.NAME", others))[1:]
    if items and "properties" in items:
        yield from list(members(f"{name}[]", items))[1:]


def settings(told):
    rows = [row for name, schema in told.get("settings", {}).items() for row in members(name, schema)]
    return table(("setting", "is", "", "what"), *rows)


def parameter(name, schema, is_required):
    about = "; ".join(part for part in (kind(schema), schema.get("summary", "")) if part)
    return f"`{name}`{'' if is_required else ' (may be left out)'}: {about}"


def effect(action):
    risks = action.get("risk", "")
    if "undo_risk" in action:
        risks += f" (undo: {action['undo_risk']})"
    return ", ".join(part for part in (action["effect"], risks) if part)


def actions(told):
    rows = [(f"`{name}`", effect(one), one["class"],
             "<br>".join(parameter(key, schema, key in one.get("required", []))
                         for key, schema in one.get("params", {}).items()), one["summary"])
            for name, one in told.get("actions", {}).items()]
    return table(("action", "effect, risk", "class", "parameters", "what"), *rows)


def sources(told):
    return table(("source", "what"), *((f"`{name}`", one["summary"]) for name, one in told.get("sources", {}).items()))


TABLES = {"settings": settings, "actions": actions, "sources": sources}


# ---- READMEs

def filled(text, told):
    return MARKS.sub(lambda mark: f"<!-- {mark[1]} -->\n{TABLES[mark[1]](told)}<!-- end -->\n", text)


def marked():
    """(name, README) of every plugin whose README has the marks."""
    return [(path.parent.name, path) for path in sorted((ROOT / "plugins").glob("*/README.md"))
            if MARKS.search(path.read_text())]


def main(build, *more):
    if more and more[0] != "--write":
        told = declaration(Path(build) / "plugins" / (more[0] + ".so"))
        print("\n".join(make(told) for make in TABLES.values()))
        return 0
    others = []
    for name, path in marked():
        text = path.read_text()
        made = filled(text, declaration(Path(build) / "plugins" / (name + ".so")))
        if made != text and more:
            path.write_text(made)
        elif made != text:
            others.append(str(path))
    print("\n".join(others), end="\n" if others else "")
    return 1 if others else 0


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
