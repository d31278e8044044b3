/* plugin_exec.c: what a command can print, and how it can end. */
#include "bench.h"

static const struct bench_scenario scenarios[] = {
    {"scale", "plan apply verify undo reconcile", "{\"count\":7}"},
    {"shift", "plan apply verify undo reconcile", NULL},
    {"look", "read", NULL},
    {0},
};
const struct bench bench = {
    .settings =
        "{\"actions\":{\"scale\":{\"summary\":\"s\",\"class\":\"convergent\",\"risk\":\"low\",\"command\":\"/usr/bin/w"
        "orkers\",\"args\":[\"set\",\"{count}\"],\"params\":{\"count\":{\"type\":\"integer\"}},\"plan\":{\"args\":[\"ge"
        "t\"]},\"to\":\"{count}\",\"undo\":{\"args\":[\"set\",\"{from}\"]}},\"shift\":{\"summary\":\"s\",\"class\":"
        "\"reco"
        "ncilable\",\"risk\":\"low\",\"settle_ms\":1,\"command\":\"/usr/bin/shift\",\"args\":[\"set\"],\"plan\":{\"ar"
        "gs\":[\"get\"],\"prints\":\"json\"},\"undo\":{\"args\":[\"set\",\"--to={from.weight}\"]},\"impact\":\"x\"},\"l"
        "ook\":{\"summary\":\"s\",\"effect\":\"read\",\"class\":\"read-only\",\"prints\":\"json\",\"command\":\"/usr/bi"
        "n/look\",\"args\":[]}}}",
    .secrets = "{}",
    .scenarios = scenarios,
};
