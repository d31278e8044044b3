/* plugin_launchdarkly.c: what LaunchDarkly can answer. */
#include "bench.h"

static const struct bench_scenario scenarios[] = {
    {"state", "read", "{\"flag\":\"pay\"}"},
    {"kill", "plan apply verify undo reconcile", "{\"flag\":\"pay\"}"},
    {"enable", "plan apply verify undo reconcile", "{\"flag\":\"pay\"}"},
    {"check", "check", NULL},
    {0},
};
const struct bench bench = {
    .settings = "{\"url\":\"https://ld.example\",\"projects\":[\"shop\"],\"environments\":[\"production\"]}",
    .secrets = "{\"token\":\"a-token\"}",
    .scenarios = scenarios,
};
