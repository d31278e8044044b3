/* plugin_http.c: what a declared request can be answered with. */
#include "bench.h"

static const struct bench_scenario scenarios[] = {
    {"look", "read", "{\"region\":\"eu\"}"},
    {"pause", "plan apply verify undo reconcile", "{\"region\":\"eu\"}"},
    {"check", "check", NULL},
    {0},
};
const struct bench bench = {
    .settings =
        "{\"url\":\"http://pools/v1\",\"actions\":{\"pause\":{\"summary\":\"s\",\"class\":\"convergent\",\"risk\":\"lo"
        "w\",\"params\":{\"region\":{\"type\":\"string\",\"pattern\":\"^.+$\"}},\"read\":{\"path\":\"/pools/{region}\""
        ",\"at\":\"/pool/enabled\"},\"apply\":{\"method\":\"PUT\",\"path\":\"/pools/{region}\",\"json\":{\"enabled\":"
        "false},\"expect\":[200,204]},\"to\":false,\"if_match\":true,\"undo\":{\"method\":\"PUT\",\"path\":\"/pool"
        "s/{region}\",\"json\":{\"enabled\":\"{from}\"}}},\"look\":{\"summary\":\"s\",\"effect\":\"read\",\"class\":\"r"
        "ead-only\",\"params\":{\"region\":{\"type\":\"string\",\"pattern\":\"^.+$\"}},\"read\":{\"path\":\"/pools/{r"
        "egion}\",\"at\":\"/pool/enabled\"}}},\"check_path\":\"/health\"}",
    .secrets = "{\"token\":\"t\"}",
    .scenarios = scenarios,
};
