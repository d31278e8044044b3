"""The include law of core/README.md: downwards only, never sideways, one folder for each foreign library."""
import os
import re
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("STANCH_SOURCE", Path(__file__).resolve().parents[2]))

# Folder (or file at the top of core/) -> what of core/ it may include, besides itself.
MAY = {
    "base": "",
    "model": "base",
    "wire": "base",
    "timeline": "base model",
    "book": "base model wire",
    "rule": "base model",
    "people": "base",
    "script": "base model wire",
    "plugin": "base model wire",
    "http": "base",
    "incident": "base model timeline people",
    "page": "base model timeline plugin",
    "report": "base model timeline",
    "run": "base model timeline rule people script plugin incident",
    "flow": "base model timeline book rule people script plugin incident run",
    "drill": "base model timeline book rule people script plugin incident run flow report",
    "gameday": "base model wire timeline plugin page",
    "api": "base model http people timeline flow report",
    "cli": "base",
    "serve": "base model wire timeline book rule people script plugin http incident page run flow drill gameday api",
    "main": "base serve api cli drill book script plugin",
}
# Foreign header (a prefix) -> where in core/ it may be included. jansson is core's value type: everywhere.
FOREIGN = {
    "jansson.h": set(MAY),
    "uv.h": {"base", "wire", "http", "plugin", "main", "serve"},
    "sodium.h": {"base", "timeline", "plugin"},
    "nettle/sha2.h": {"base"},
    "sqlite3.h": {"timeline"},
    "libpq-fe.h": {"timeline"},
    "git2.h": {"book"},
    "git2/": {"book"},
    "pcre2.h": {"base"},
    "lua.h": {"script"},
    "lauxlib.h": {"script"},
    "lualib.h": {"script"},
    "seccomp.h": {"script", "plugin"},
    "dlfcn.h": {"plugin", "gameday"},
    "stanch/zone.h": {"gameday"},  # the system's time zones; it stands alone
    "stanch/": {"plugin"},
    "libical/": {"gameday"},
    "curl/": {"plugin", "cli"},
    "microhttpd.h": {"http"},
    "argp.h": {"cli", "main", "serve"},
}
LIBC = set("""alloca argp assert byteswap ctype dirent elf endian err errno fcntl fenv float fnmatch ftw getopt glob grp
inttypes langinfo limits link locale malloc math memory netdb poll pthread pwd sched search semaphore setjmp signal
stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings syscall syslog termios threads time
ucontext uchar unistd utime wait wchar wctype""".split())
SYSTEM_PREFIXES = ("sys/", "linux/", "netinet/", "arpa/", "net/", "asm/", "bits/")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


def is_libc(header):
    return header.startswith(SYSTEM_PREFIXES) or (header.endswith(".h") and header[:-2] in LIBC)


def room_of(path):
    """core/run/step.c -> run; what stands at the top of core/ is flow, but for the doors main and serve (with setup and offline)."""
    parts = Path(path).parts
    if len(parts) > 2:
        return parts[1]
    name = re.split(r"[._]", parts[1])[0]
    return {"main": "main", "serve": "serve", "setup": "serve", "offline": "serve"}.get(name, "flow")


def foreign_rooms(header):
    for prefix, rooms in FOREIGN.items():
        if header == prefix or (prefix.endswith("/") and header.startswith(prefix)):
            return rooms
    return None


def check_core(path, bracket, header):
    room = room_of(path)
    if room not in MAY:
        return f"{path}: core/README.md has no room \"{room}\""
    rooms = foreign_rooms(header)
    if rooms is not None and room not in rooms:
        return f"{path}: <{header}> belongs to {', '.join(sorted(rooms))}"
    if rooms is not None or (bracket == "<" and is_libc(header)):
        return None
    if bracket == "<":
        return f"{path}: <{header}> is of no library that core/README.md names"
    if ".." in header:
        return f"{path}: \"{header}\" climbs; write it from core/ on"
    if "/" in header:
        target = Path(header).parts[0]
    elif (ROOT / path).parent.joinpath(header).exists():
        target = room
    else:
        target = room_of("core/" + header)
    if target == room or target in MAY[room].split():
        return None
    return f"{path}: {room}/ may not include \"{header}\""


# Foreign header -> the plugin whose shared object has that library.
PLUGINS = {"libxml/parser.h": "plugins/aws/", "git2.h": "plugins/gitops/", "git2/sys/stream.h": "plugins/gitops/",
           "curl/curl.h": "plugins/gitops/",  # libgit2's connections by https
           "libical/ical.h": "plugins/ical/"}


def check_outside(path, bracket, header):
    """sdk/ and plugins/: the SDK, jansson, libc, a library of their own and themselves; nothing of core/."""
    if header in PLUGINS and path.startswith(PLUGINS[header]):
        return None
    if header.startswith("stanch/") or header == "jansson.h" or (bracket == "<" and is_libc(header)):
        return None
    if "/test/" in path and header == "cmocka.h":
        return None
    here = Path(path).parent
    if bracket == '"' and ".." not in header and ((ROOT / here / header).exists() or "/" not in header):
        return None
    return f"{path}: \"{header}\": a plugin and the SDK see <stanch/...>, jansson, libc and their own folder"


def breaches(path, text):
    check = check_core if path.startswith("core/") else check_outside
    found = [check(path, bracket, header) for bracket, header in INCLUDE.findall(text)]
    if path.startswith("core/") and room_of(path) not in ("plugin", "gameday") and re.search(r"\bdl(open|sym)\s*\(", text):
        found.append(f"{path}: dlopen belongs to plugin/ and gameday/")
    return [text for text in found if text]


def sources():
    for top in ("core", "sdk", "plugins"):
        for path in sorted((ROOT / top).rglob("*.[ch]")):
            yield str(path.relative_to(ROOT)), path.read_text()


def test_the_tree_keeps_the_law():
    found = [breach for path, text in sources() for breach in breaches(path, text)]
    assert not found, "\n" + "\n".join(found)


def test_the_law_reads_the_tree():
    assert sum(len(INCLUDE.findall(text)) for _, text in sources()) > 50


@pytest.mark.parametrize("path, line", [
    ("core/base/x.c", '#include "model/entry.h"'),  # upwards
    ("core/wire/x.c", '#include "model/entry.h"'),  # sideways
    ("core/book/x.c", '#include "timeline/journal.h"'),
    ("core/plugin/x.h", '#include "run/step.h"'),
    ("core/run/x.c", '#include "flow.h"'),
    ("core/http/x.c", '#include "model/entry.h"'),
    ("core/api/x.c", '#include "run/run.h"'),
    ("core/cli/x.c", '#include "model/entry.h"'),
    ("core/flow.c", '#include "api/api.h"'),
    ("core/run/x.c", "#include <sqlite3.h>"),  # a library away from home
    ("core/flow.c", "  #  include <git2/repository.h>"),
    ("core/model/x.c", "#include <uv.h>"),
    ("core/run/x.c", "#include <stanch/plugin.h>"),
    ("core/gameday/x.c", "#include <stanch/sdk.h>"),
    ("core/run/x.c", "#include <stanch/zone.h>"),
    ("core/flow.c", "#include <libical/ical.h>"),
    ("core/page/x.c", '#include "gameday/schedule.h"'),
    ("core/run/x.c", "#include <zlib.h>"),  # of no room
    ("core/run/x.c", '#include "../flow.h"'),
    ("core/common/x.c", '#include "base/err.h"'),  # a new room
    ("core/run/x.c", 'void *h = dlopen("x", 0);'),
    ("plugins/haproxy/haproxy.c", '#include "base/err.h"'),  # a plugin that knows core
    ("plugins/haproxy/haproxy.c", "#include <curl/curl.h>"),
    ("plugins/haproxy/haproxy.c", "#include <libxml/parser.h>"),  # another plugin's
    ("plugins/haproxy/haproxy.c", "#include <git2.h>"),  # another plugin's
    ("plugins/haproxy/haproxy.c", '#include "../../core/base/err.h"'),
    ("sdk/include/stanch/sdk.h", '#include "base/json.h"'),
])
def test_a_breach_is_found(path, line):
    assert breaches(path, "#include <stdint.h>\n" + line + "\n")


@pytest.mark.parametrize("path, line", [
    ("core/run/x.c", '#include "incident/incident.h"'),
    ("core/flow_receive.c", '#include "run/run.h"'),
    ("core/book/x.c", "#include <git2.h>"),
    ("core/timeline/x.c", "#include <sys/stat.h>"),
    ("core/gameday/x.c", "#include <libical/ical.h>"),
    ("core/gameday/x.c", "#include <stanch/zone.h>"),
    ("plugins/haproxy/haproxy.c", "#include <stanch/sdk.h>"),
    ("plugins/aws/xml.c", "#include <libxml/parser.h>"),
    ("plugins/gitops/push.c", "#include <git2.h>"),
    ("plugins/haproxy/haproxy.c", '#include "parse.h"'),
])
def test_what_is_allowed_passes(path, line):
    assert not breaches(path, line + "\n")
