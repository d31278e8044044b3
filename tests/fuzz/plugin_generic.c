/* plugin_generic.c: what anybody can post to it; signed, too. */
#include "bench.h"

static const struct bench_scenario scenarios[] = {
    {"webhook", "receive", NULL},
    {"webhook", "receive", NULL,
     "{\"signature_header\":\"X-Sig\",\"fingerprint\":\"/id\",\"summary\":\"/text\",\"change\":{\"kind\":\"/"
     "what\",\"service\":\"/"
     "service\",\"text\":\"/"
     "text\",\"by\":\"/by\",\"commit\":\"/commit\",\"link\":\"/url\"}}"},
    {0},
};
const struct bench bench = {
    .settings =
        "{\"each\":\"/alerts\",\"fingerprint\":\"/id\",\"state\":\"/status\",\"resolved_when\":[\"ok\"],\"starts_at\""
        ":\"/from\",\"ends_at\":\"/to\",\"name\":\"/name\",\"summary\":\"/text\",\"link\":\"/url\",\"severity\":\"/"
        "level"
        "\",\"severities\":{\"P1\":\"sev1\"},\"labels\":{\"service\":\"/service/name\",\"team\":\"^/team\",\"kind\":\"="
        "x\"},\"annotations\":{\"a\":\"/a~1b\"},\"signature_header\":\"X-Sig\",\"signature_prefix\":\"v1,\",\"signe"
        "d_before\":\"%t:\",\"timestamp_header\":\"X-Time\"}",
    .secrets = "{\"token\":\"a-token\",\"secret\":\"s\"}",
    .scenarios = scenarios,
};
