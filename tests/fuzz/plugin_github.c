/* plugin_github.c: what anybody can post to it; signed, too. */
#include "bench.h"

static const struct bench_scenario scenarios[] = {
    {"webhook", "receive", NULL},
    {0},
};
const struct bench bench = {
    .settings = "{\"services\":{\"org/shop\":\"checkout\"},\"branches\":[\"main\"],\"environments\":[\"prod\"]}",
    .secrets = "{\"secret\":\"s\",\"next_secret\":\"n\"}",
    .scenarios = scenarios,
};
