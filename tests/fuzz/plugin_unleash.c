/* plugin_unleash.c: what Unleash can answer. */
#include "bench.h"

static const struct bench_scenario scenarios[] = {
    {"state", "read", "{\"flag\":\"pay\"}"},
    {"kill", "plan apply verify undo reconcile", "{\"flag\":\"pay\"}"},
    {"enable", "plan apply verify undo reconcile", "{\"flag\":\"pay\"}"},
    {"check", "check", NULL},
    {0},
};
const struct bench bench = {
    .settings = "{\"url\":\"https://unleash.example\",\"environments\":[\"production\"],\"flags\":[\"pay*\"]}",
    .secrets = "{\"token\":\"a-token\",\"client_token\":\"c\"}",
    .scenarios = scenarios,
};
