/* plugin_kubernetes.c: what an API server can answer: objects that anybody with rights in the cluster has written. */
#include "bench.h"

#define CHANGE "plan apply verify undo reconcile"

static const struct bench_scenario scenarios[] = {
    {"check", "check", NULL},
    {"deployment", "read", "{\"deployment\":\"web\",\"namespace\":\"shop\"}"},
    {"hpa", "read", "{\"hpa\":\"web\",\"namespace\":\"shop\"}"},
    {"route", "read", "{\"kind\":\"HTTPRoute\",\"route\":\"web\",\"namespace\":\"shop\"}"},
    {"route", "read", "{\"kind\":\"VirtualService\",\"route\":\"web\",\"namespace\":\"shop\"}"},
    {"rollback", CHANGE, "{\"deployment\":\"web\",\"namespace\":\"shop\"}"},
    {"rollback", CHANGE, "{\"deployment\":\"web\",\"namespace\":\"shop\",\"revision\":2}"},
    {"rollback", CHANGE, "{\"deployment\":\"web\",\"namespace\":\"shop\",\"replicaset\":\"web-1\"}"},
    {"freeze_hpa", CHANGE, "{\"hpa\":\"web\",\"namespace\":\"shop\"}"},
    {"freeze_hpa", CHANGE, "{\"hpa\":\"web\",\"namespace\":\"shop\",\"replicas\":4}"},
    {"pause_keda", CHANGE, "{\"scaled_object\":\"web\",\"namespace\":\"shop\"}"},
    {"pause_keda", CHANGE, "{\"scaled_object\":\"web\",\"namespace\":\"shop\",\"replicas\":3}"},
    {"scale", CHANGE, "{\"name\":\"web\",\"namespace\":\"shop\",\"replicas\":4}"},
    {"scale", CHANGE, "{\"name\":\"web\",\"namespace\":\"shop\",\"kind\":\"StatefulSet\",\"replicas\":2}"},
    {"shift_route", CHANGE,
     "{\"kind\":\"HTTPRoute\",\"route\":\"web\",\"namespace\":\"shop\",\"rule\":0,\"weights\":{\"web\":1,\"old\":3}}"},
    {"shift_route", CHANGE,
     "{\"kind\":\"VirtualService\",\"route\":\"web\",\"namespace\":\"shop\",\"weights\":{\"web/v1\":100,\"web/"
     "v2\":0}}"},
    {0},
};
const struct bench bench = {
    .settings = "{\"url\":\"https://kubernetes.example\",\"namespaces\":[\"shop\",\"team-*\"]}",
    .secrets = "{\"token\":\"a-token\"}",
    .scenarios = scenarios,
};
