/* plugin_argocd.c: what Argo CD can answer. */
#include "bench.h"

static const struct bench_scenario scenarios[] = {
    {"state", "read", "{\"application\":\"shop\"}"},
    {"freeze", "plan apply verify undo reconcile", "{\"application\":\"shop\"}"},
    {"rollback", "plan apply verify undo reconcile", "{\"application\":\"shop\"}"},
    {"rollback", "plan apply verify undo reconcile", "{\"application\":\"shop\",\"to\":3}"},
    {"check", "check", NULL},
    {0},
};
const struct bench bench = {
    .settings = "{\"url\":\"https://argocd.example\"}",
    .secrets = "{\"token\":\"a-token\"}",
    .scenarios = scenarios,
};
