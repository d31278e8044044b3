/* plugin_ical.c: what a calendar can hold. */
#include "bench.h"

#define YEAR "{\"from\":\"2026-01-01T00:00:00Z\",\"to\":\"2027-01-01T00:00:00Z\"}"

static const struct bench_scenario scenarios[] = {
    {"windows", "read", YEAR, NULL},
    {"windows", "read", YEAR,
     "{\"url\":\"http://calendar\",\"unreadable\":\"skip\",\"timezone\":\"America/New_York\"}"},
    {"now", "read read", "{\"at\":\"2026-07-01T12:00:00Z\"}", NULL},
    {"check", "check check", NULL, NULL},
    {"windows", "read", YEAR, "{\"url\":\"http://calendar\",\"max_components\":8,\"max_occurrences\":20}"},
    {0},
};
const struct bench bench = {
    .settings = "{\"url\":\"http://calendar\"}",
    .secrets = "{\"secret_path\":\"/private/a-t0ken/feed\"}",
    .scenarios = scenarios,
};
