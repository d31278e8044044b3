/* plugin_webhook.c: what a receiver can answer. */
#include "bench.h"

static const struct bench_scenario scenarios[] = {
    {"send", "read", "{\"event\":\"asked\",\"key\":\"A-1\",\"summary\":\"drain s1?\",\"details\":{\"risk\":\"low\"}}"},
    {"check", "check", NULL},
    {0},
};
const struct bench bench = {
    .settings = "{\"url\":\"https://hooks.example/stanch\"}",
    .secrets = "{\"secret\":\"a-secret-of-16-bytes\",\"former_secret\":\"the-one-before-that\"}",
    .scenarios = scenarios,
};
