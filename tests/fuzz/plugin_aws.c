/* plugin_aws.c: what AWS can answer, and a command that prints a key. */
#include "bench.h"

static const struct bench_scenario scenarios[] = {
    {"state", "read", "{\"group\":\"web\"}"},
    {"freeze", "plan apply verify undo reconcile", "{\"group\":\"web\"}"},
    {"freeze", "plan apply verify undo reconcile", "{\"group\":\"web\",\"processes\":[\"AZRebalance\"]}"},
    {"check", "check", NULL},
    {0},
};
const struct bench bench = {
    .settings = "{\"url\":\"https://autoscaling.eu-west-1.amazonaws.com\",\"region\":\"eu-west-1\",\"groups\":[\"web\"]"
                ",\"credential_process\":\"/usr/bin/key\"}",
    .secrets = "{}",
    .scenarios = scenarios,
};
