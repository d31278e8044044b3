/* plugin_prometheus.c: what Prometheus, or who sits in its place, can answer. */
#include "bench.h"

static const struct bench_scenario scenarios[] = {
    {"query", "read", "{\"expr\":\"up\",\"reduce\":\"max\",\"stale_after\":\"5m\"}"},
    {"query", "read", "{\"expr\":\"up\",\"at\":\"2023-11-14T22:13:20Z\"}"},
    {"range", "read", "{\"expr\":\"up\",\"since\":\"30m\",\"step\":\"15s\",\"reduce\":\"avg\"}"},
    {"range", "read", "{\"expr\":\"up\",\"since\":\"1h\",\"step\":\"1m\"}"},
    {"check", "check", NULL},
    {0},
};
const struct bench bench = {
    .settings = "{\"url\":\"http://prometheus:9090\"}",
    .secrets = "{\"token\":\"a-token\"}",
    .scenarios = scenarios,
};
