/* plugin_haproxy.c: what a stats socket can say. */
#include "bench.h"

static const struct bench_scenario scenarios[] = {
    {"states", "read", "{\"backend\":\"shop\"}"},
    {"drain", "plan apply verify undo reconcile", "{\"backend\":\"shop\",\"server\":\"s1\"}"},
    {"maintenance", "plan apply verify undo reconcile", "{\"backend\":\"shop\",\"server\":\"s1\"}"},
    {"ready", "plan apply verify undo reconcile", "{\"backend\":\"shop\",\"server\":\"s1\"}"},
    {"weight", "plan apply verify undo reconcile", "{\"backend\":\"shop\",\"server\":\"s1\",\"weight\":7}"},
    {"map_set", "plan apply verify undo reconcile",
     "{\"map\":\"/etc/haproxy/weights.map\",\"key\":\"k\",\"value\":\"v\"}"},
    {"check", "check", NULL},
    {"reapply", "plan apply verify undo reconcile", "{\"action\":\"drain\",\"backend\":\"shop\",\"server\":\"s1\"}"},
    {"reapply", "plan apply verify undo reconcile",
     "{\"action\":\"map_set\",\"map\":\"/etc/haproxy/weights.map\",\"key\":\"k\",\"value\":\"v\"}"},
    {"reapply", "plan", "{\"action\":\"reapply\",\"backend\":\"shop\",\"server\":\"s1;\\n\"}"},
    {0},
};
const struct bench bench = {
    .settings = "{\"sockets\":[\"unix:/run/a.sock\",\"unix:/run/b.sock\"],\"maps\":[\"/etc/haproxy/weights.map\"]}",
    .secrets = "{}",
    .scenarios = scenarios,
};
