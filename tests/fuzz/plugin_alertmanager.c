/* plugin_alertmanager.c: what anybody can post to it. */
#include "bench.h"

static const struct bench_scenario scenarios[] = {
    {"webhook", "receive", NULL},
    {"check", "check", NULL},
    {0},
};
const struct bench bench = {
    .settings = "{\"user\":\"am\",\"max_alerts\":5}",
    .secrets = "{\"token\":\"a-token\",\"password\":\"a-password\"}",
    .scenarios = scenarios,
};
