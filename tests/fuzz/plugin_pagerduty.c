/* plugin_pagerduty.c: what PagerDuty can answer. */
#include "bench.h"

static const struct bench_scenario scenarios[] = {
    {"trigger", "read",
     "{\"summary\":\"errors\",\"key\":\"A-1\",\"severity\":\"sev1\",\"details\":{\"risk\":\"low\"}}"},
    {"acknowledge", "read", "{\"key\":\"A-1\"}"},
    {"resolve", "read", "{\"key\":\"A-1\"}"},
    {"check", "check", NULL},
    {0},
};
const struct bench bench = {
    .settings = "{\"url\":\"https://events.example\"}",
    .secrets = "{\"routing_key\":\"a-routing-key\"}",
    .scenarios = scenarios,
};
