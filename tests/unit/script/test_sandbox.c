/* Campaign D4: attempts to get out of a worker, to stay in it for ever, or to see what differs between two runs.
 * Each runs in a worker of its own, through the real runner. All must end within their deadline + 1 s, and the
 * runner must be the same one afterwards. */
#include "worker_kit.h"

enum outcome {
    HELD,    /* runs to its end and returns true: what it tried did not work */
    REFUSED, /* a Lua error that says what is refused */
    ENDED,   /* over a limit: killed, or ended by the VM itself */
    ANY,     /* whatever, but it ends */
};

static const struct attempt {
    const char *name;
    enum outcome outcome;
    const char *code; /* the body of run */
} attempts[] = {
    /* loading and bytecode */
    {"load", REFUSED, "load('return 1')()"},
    {"loadstring", REFUSED, "loadstring('return 1')()"},
    {"loadfile", REFUSED, "loadfile('/etc/passwd')"},
    {"dofile", REFUSED, "dofile('/etc/passwd')"},
    {"string.dump", REFUSED, "string.dump(print)"},
    {"dump by method", REFUSED, "return ('x').dump(print)"},
    {"require absolute", REFUSED, "require '/etc/passwd'"},
    {"require parent", REFUSED, "require '..lib'"},
    {"require a C library", REFUSED, "require 'socket.core'"},
    {"package.loadlib", REFUSED, "package.loadlib('/lib/x86_64-linux-gnu/libc.so.6', '*')"},
    {"_G.load", REFUSED, "return _G.load('return 1')"},
    {"_ENV loses nothing", REFUSED, "local _ENV = {} return string.dump"},
    /* out of the process */
    {"os.execute", REFUSED, "os.execute('id')"},
    {"os.getenv", REFUSED, "return os.getenv('HOME')"},
    {"io.open", REFUSED, "io.open('/etc/passwd')"},
    {"io.popen", REFUSED, "io.popen('id')"},
    {"debug.getregistry", REFUSED, "return debug.getregistry()"},
    {"debug.sethook", REFUSED, "debug.sethook()"},
    {"coroutine", REFUSED, "return coroutine.create(print)"},
    {"collectgarbage", REFUSED, "return collectgarbage('count')"},
    {"warn", REFUSED, "warn('@on')"},
    {"print", REFUSED, "print('x')"},
    /* shared state and metatables (M11) */
    {"string metatable", HELD, "return getmetatable('') == false"},
    {"string metatable index", REFUSED, "getmetatable('').__index = {}"},
    {"write into string", REFUSED, "string.rep = nil"},
    {"write into math", REFUSED, "math.pi = 3"},
    {"write into table by insert", REFUSED, "table.insert(table, 1)"},
    {"write by table.move", REFUSED, "table.move({1}, 1, 1, 1, string)"},
    {"sort a library", HELD, "table.sort(string) return string.format ~= nil"},
    {"rawset", REFUSED, "rawset(string, 'rep', 1)"},
    {"rawget sees nothing", HELD, "return rawget(_G, 'string') == nil and rawlen(_G) == 0"},
    {"setmetatable on a library", REFUSED, "setmetatable(string, {})"},
    {"setmetatable on _G", REFUSED, "setmetatable(_G, nil)"},
    {"metatable of _G", HELD, "return getmetatable(_G) == false and getmetatable(string) == false"},
    {"new global", REFUSED, "evil = 1"},
    {"new global by _ENV", REFUSED, "_ENV.evil = 1"},
    {"global replaced", REFUSED, "note = print"},
    {"__gc", REFUSED, "setmetatable({}, {__gc = function() while true do end end})"},
    {"__gc false, set later", HELD, "local mt = {} setmetatable({}, mt) mt.__gc = function() end return true"},
    {"__mode", REFUSED, "setmetatable({}, {__mode = 'k'})"},
    {"__mode set later", HELD,
     "local mt = {} local t = setmetatable({}, mt) mt.__mode = 'k' t[{}] = 1 for i = 1, 1e5 do local x = {} end "
     "return next(t) ~= nil"},
    {"__close", REFUSED, "setmetatable({}, {__close = print})"},
    {"__close set later", REFUSED,
     "local mt = {} local t <close> = (function() local t = setmetatable({}, mt) mt.__close = print return t end)()"},
    {"metatable of an error", HELD,
     "local ok, e = pcall(error) local _, e2 = pcall(sleep, 1) return getmetatable(e2) == false"},
    {"metatable of an instance", HELD, "return getmetatable(edge) == false and getmetatable(edge.drain) == false"},
    {"write into an instance", REFUSED, "edge.drain = print"},
    {"metatable of null", HELD, "return getmetatable(null) == false"},
    {"metatable of a handle", HELD, "return getmetatable(array{}) == false"},
    {"an error thrown into the scheduler", HELD,
     "local ok = pcall(parallel, { function() error(setmetatable({}, {__tostring = error})) end }) return not ok"},
    /* CPU (M5 to M10, M13) */
    {"endless loop", ENDED, "while true do end"},
    {"goto loop", ENDED, "::a:: goto a"},
    {"loop of pcall", ENDED, "local function f() while true do end end while true do pcall(f) end"},
    {"pcall of pcall", ENDED, "local function f() pcall(f) pcall(f) end f()"},
    {"xpcall handler", ENDED, "xpcall(error, function() while true do end end)"},
    {"xpcall in xpcall", ENDED, "local function h() while true do xpcall(error, h) end end h()"},
    {"sort with a lying comparator", HELD,
     "local t = {} for i = 1, 300 do t[i] = i end table.sort(t, function() return true end) return #t == 300"},
    {"loop in a comparator", ENDED, "table.sort({1, 2}, function() while true do end end)"},
    {"loop in gsub", ENDED, "('a'):gsub('a', function() while true do end end)"},
    {"loop in __index", ENDED, "local t = setmetatable({}, {__index = function() while true do end end}) return t.x"},
    {"loop in __tostring", ENDED, "tostring(setmetatable({}, {__tostring = function() while true do end end}))"},
    {"loop in a pattern", ENDED, "local n = 40 return (('a'):rep(n)):find(('a?'):rep(n) .. ('a'):rep(n))"},
    {"four .- in a pattern", ENDED, "return (('a'):rep(3000)):find('.-.-.-.-b')"},
    {"gsub that grows", ENDED, "local s = ('x'):rep(1e7) return #s:gsub('.', '%0%0%0%0')"},
    {"string.rep for ever", ENDED, "while true do local s = ('x'):rep(1000000) end"},
    {"utf8 scan for ever", ENDED, "local s = ('x'):rep(1e6) while true do utf8.len(s) end"},
    {"sort large for ever", ENDED, "local t = {} for i = 1, 1e5 do t[i] = -i end while true do table.sort(t) end"},
    {"pairs for ever", ENDED, "local t = {} for i = 1, 1e4 do t[i] = i end while true do for k in pairs(t) do end end"},
    {"next over a large table", ENDED,
     "local t = {} for i = 1, 3e4 do t['k' .. i] = i end for k in next, t do end for k in next, t do end while true do "
     "end"},
    {"tostring of a huge format", REFUSED, "return ('%999999999d'):format(1)"},
    {"concat for ever", ENDED, "local t = {} for i = 1, 1e5 do t[i] = 'x' end while true do table.concat(t) end"},
    {"loop in a branch", ENDED, "parallel { function() while true do end end, now }"},
    {"loop in require", ENDED, "require 'lib.loop'"},
    {"compile many gotos", ANY, "return true\n--GOTOS"},
    /* memory */
    {"string doubling", ENDED, "local s = 'x' while true do s = s .. s end"},
    {"string.rep 1 GB", ENDED, "return #('x'):rep(1 << 30)"},
    {"string.rep overflow", REFUSED, "return #('x'):rep(1 << 62, 'y')"},
    {"table growth", ENDED, "local t = {} for i = 1, math.huge do t[i] = {} end"},
    {"table.concat growth", ENDED, "local t = {} for i = 1, 4000 do t[i] = ('x'):rep(1e5) end return #table.concat(t)"},
    {"memory caught by pcall", ENDED, "while true do pcall(string.rep, 'x', 1 << 30) end"},
    {"closures", ENDED, "local f = print while true do local g = f f = function() return g end end"},
    {"table.unpack", REFUSED, "return table.unpack({}, 1, 1e8)"},
    {"select many", REFUSED, "return select('#', table.unpack({}, 1, 1e7))"},
    {"string.pack", ANY, "return #string.pack('!16 i16' , 1) .. ('x'):rep(10):pack()"},
    {"table.move far", ENDED, "local t = {} table.move(t, 1, 1 << 40, 2, t)"},
    {"string.format %99.99f", HELD, "return #('%99.99f'):format(1e308) > 300"},
    {"many branches", REFUSED, "local t = {} for i = 1, 1000 do t[i] = now end parallel(t)"},
    {"branches in branches", REFUSED, "local function f() parallel { f, f } end f()"},
    {"a want of 20 MB", REFUSED, "note(('x'):rep(5000000))"},
    {"a result of 20 MB", ANY, "return ('x'):rep(17 << 20)"},
    /* stack, compiler */
    {"recursion", ANY, "local function f() return 1 + f() end f()"},
    {"recursion in pcall", ANY, "local function f() pcall(f) end f() return true"},
    {"recursion by __index", REFUSED,
     "local t = {} t = setmetatable({}, {__index = function(_, k) return t[k] end}) return t.x"},
    {"recursion by __tostring", REFUSED,
     "local t t = setmetatable({}, {__tostring = function() return tostring(t) end}) return tostring(t)"},
    {"__index chain", REFUSED,
     "local t = {} for i = 1, 3000 do t = setmetatable({}, {__index = t}) end return t.x + 1"},
    {"chain of itself", REFUSED, "local t = {} setmetatable(t, {__index = function(x, k) return x[k] end}) return t.x"},
    {"recursive pattern", REFUSED, "return (('x'):rep(300000)):match(('(x'):rep(33))"},
    {"deep pattern", ANY, "return (('x'):rep(300000)):find(('x-'):rep(220000))"},
    {"deep result", REFUSED, "local t = {} for i = 1, 1000 do t = { t } end return t"},
    {"a result in a circle", REFUSED, "local t = {} t.t = t return t"},
    {"deep fields (M2)", ANY, "--FIELDS"},
    {"deep parentheses", REFUSED, "--PARENS"},
    {"many locals", REFUSED, "--LOCALS"},
    {"wrong operators (M4)", HELD, "local a, b = 2, 3 return (1 | (a or b)) == 3"},
    /* information and determinism */
    {"address of a table", HELD, "return tostring({}):find('0x') == nil and tostring(print):find('0x') == nil"},
    {"%p", REFUSED, "return ('%p'):format({})"},
    {"address by %s", HELD, "return ('%s'):format({}):find('0x') == nil"},
    {"address in an error", HELD, "local _, e = pcall(error, {}) return tostring(e):find('0x') == nil"},
    {"math.randomseed", REFUSED, "math.randomseed(1)"},
    {"_VERSION only", HELD, "return _VERSION == 'Lua 5.4'"},
    {"traversal by object", REFUSED, "for k in pairs({[{}] = 1}) do end"},
    {"next by object", REFUSED, "return next({[{}] = 1, a = 1})"},
    /* the channel */
    {"wants before run", REFUSED, "return require 'lib.ask'"},
    {"NUL in a want", REFUSED, "note('a\\0b')"},
    {"bad UTF-8 in a want", REFUSED, "note('\\xff')"},
    {"NaN in a want", REFUSED, "edge.drain { backend = 0/0, because = 'x' }"},
    {"a tag as data", REFUSED, "return { ['$number'] = '1' }"},
    {"a want from __tostring", REFUSED,
     "tostring(setmetatable({}, {__tostring = function() note 'x' return 'x' end}))"},
    {"a want in a handler", HELD, "xpcall(error, function() note 'x' end) return true"},
    {"an error object that lies", REFUSED, "error(setmetatable({ kind = 'script', text = 'x' }, { __index = error }))"},
};
#define COUNT (sizeof attempts / sizeof *attempts)

static const struct stanch_runner_limits limits = {
    .memory_bytes = 96 << 20, .cpu_ms = 300, .wall_ms = 8000, .source_bytes = 128 << 10};

/* Bodies that are too long to write down. */
static char *expand(const char *code)
{
    struct stanch_buf out = {0};
    if (strcmp(code, "--FIELDS") == 0) {
        stanch_buf_text(&out, "local t return t");
        for (int i = 0; i < 60000; i++)
            stanch_buf_text(&out, ".a");
        stanch_buf_text(&out, " + 1");
    } else if (strcmp(code, "--PARENS") == 0) {
        stanch_buf_text(&out, "return ");
        for (int i = 0; i < 50000; i++)
            stanch_buf_text(&out, "(");
    } else if (strcmp(code, "--LOCALS") == 0) {
        for (int i = 0; i < 300; i++)
            stanch_buf_printf(&out, "local a%d = %d ", i, i);
    } else if (strstr(code, "--GOTOS")) {
        for (int i = 0; i < 10000; i++)
            stanch_buf_printf(&out, "goto x%d ", i);
    } else {
        stanch_buf_text(&out, code);
    }
    return stanch_buf_take(&out);
}

static json_t *answer(struct act *act, const json_t *want)
{
    (void)act;
    (void)want;
    return json_pack("{s:i}", "ok", 1);
}

static void start(struct kit *kit, struct act *act, const struct attempt *attempt, int *open)
{
    static const char loop[] = "while true do end", ask[] = "note 'x'";
    char *body = expand(attempt->code);
    char *text = stanch_asprintf("local edge, prom = haproxy 'edge-eu', prometheus 'main'\n"
                                 "runbook 't' { summary = 's', owner = 'o', on = alert { alertname = 'A' },"
                                 " uses = { edge.drain },\nrun = function(incident, p)\n%s\nend }\n",
                                 body);
    struct stanch_source sources[] = {
        {"a.lua", text, strlen(text)}, {"lib/loop.lua", loop, sizeof loop - 1}, {"lib/ask.lua", ask, sizeof ask - 1}};
    json_t *input = act_input();
    act->answer = answer;
    act->open = open;
    act_start(kit, act, input, sources, 3);
    json_decref(input);
    free(text);
    free(body);
}

static bool is_as_expected(const struct attempt *attempt, const struct act *act)
{
    switch (attempt->outcome) {
    case HELD:
        return act->rc == 0 && json_is_true(act->result);
    case REFUSED:
        return act->rc == STANCH_E_SCRIPT;
    case ENDED:
        return act->rc == STANCH_E_TIMEOUT || act->rc == STANCH_E_CRASHED;
    default:
        return act->rc != STANCH_E_PROTOCOL;
    }
}

static void every_attempt_ends(void **state)
{
    struct kit kit;
    int bad = 0;
    (void)state;
    kit_start(&kit, &limits);
    count_time(&kit.time, kit.loop);
    int pid = stanch_runner_pid(kit.runner);
    for (size_t i = 0; i < COUNT; i += 4) {
        struct act acts[4] = {0};
        int open = 0;
        size_t n = COUNT - i < 4 ? COUNT - i : 4;
        int64_t began_ms = kit.time.ms;
        open = (int)n;
        for (size_t k = 0; k < n; k++)
            start(&kit, &acts[k], &attempts[i + k], &open);
        stanch_loop_run(kit.loop);
        if (kit.time.ms - began_ms > limits.wall_ms + 1000) {
            print_error("after %s: not within the deadline\n", attempts[i].name);
            bad++;
        }
        for (size_t k = 0; k < n; k++) {
            if (!acts[k].ended || !is_as_expected(&attempts[i + k], &acts[k])) {
                char *got = json_dumps(acts[k].result, JSON_ENCODE_ANY);
                print_error("%s: ended with %d (%s) %s\n", attempts[i + k].name, acts[k].rc, acts[k].err.text,
                            got ? got : "");
                free(got);
                bad++;
            }
            act_done(&acts[k]);
        }
    }
    assert_int_equal(bad, 0);
    assert_int_equal(stanch_runner_pid(kit.runner), pid); /* nobody took it down */
    kit_stop(&kit);
    print_message("%zu attempts\n", COUNT);
}

/* What a runbook can reach, as names; a new one must be put here by a person who thought about it. */
static void what_can_be_reached_is_known(void **state)
{
    static const char expected[] =
        "_G _VERSION array ask assert check decide error getmetatable haproxy ipairs ladder math now note "
        "null "
        "next page pairs parallel pcall print prometheus rawequal rawget rawlen recent_changes require rung "
        "select "
        "setmetatable sleep string table tonumber tostring type undo utf8 verify wait_for xpcall "
        "math.abs math.acos math.asin math.atan math.ceil math.cos math.deg math.exp math.floor math.fmod math.huge "
        "math.log math.max math.maxinteger math.min math.mininteger math.modf math.pi math.rad math.random math.sin "
        "math.sqrt math.tan math.tointeger math.type math.ult "
        "string.byte string.char string.find string.format string.gmatch string.gsub string.len string.lower "
        "string.match "
        "string.pack string.packsize string.rep string.reverse string.sub string.unpack string.upper "
        "table.concat table.insert table.move table.pack table.remove table.sort table.unpack "
        "utf8.char utf8.charpattern utf8.codepoint utf8.codes utf8.len utf8.offset "
        /* the declaring language: makers of plain data */
        "alert boolean duration integer is_not label matches not_matching number runbook symptom text ";
    struct kit kit;
    struct act act = {0};
    (void)state;
    kit_start(&kit, &limits);
    act_run_body(
        &kit, &act,
        "local names = {}\n"
        "for k, v in pairs(_G) do names[#names+1] = k\n"
        " if type(v) == 'table' and k ~= '_G' then for n in pairs(v) do names[#names+1] = k .. '.' .. n end end end\n"
        "return names");
    assert_string_equal(act.err.text, "");
    int bad = 0;
    for (size_t i = 0; i < json_array_size(act.result); i++) {
        char word[80];
        (void)snprintf(word, sizeof word, "%s ", json_string_value(json_array_get(act.result, i)));
        const char *at = strstr(expected, word);
        while (at && at != expected && at[-1] != ' ')
            at = strstr(at + 1, word);
        if (!at) {
            print_error("a runbook can reach %s\n", word);
            bad++;
        }
    }
    assert_int_equal(bad, 0);
    assert_true(json_array_size(act.result) > 60);
    act_done(&act);
    kit_stop(&kit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_attempt_ends),
        cmocka_unit_test(what_can_be_reached_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
