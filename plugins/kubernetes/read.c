/* read.c: what a change looks at: an object, of a version that the server has, and what else belongs to it. */
#include "kubernetes.h"

struct reading {
    struct kube_wanted wanted;
    kube_seen_fn fn;
    void *kept;
    struct kube_seen seen;
};

struct kube_seen *kube_reading(struct sdk_call *call)
{
    return &((struct reading *)sdk_kept(call))->seen;
}

void kube_read_done(struct sdk_call *call, const json_t *more)
{
    struct reading *reading = sdk_kept(call);
    sdk_keep(call, reading->kept);
    reading->seen.more = more;
    reading->fn(call, &reading->seen);
}

static void on_object(struct sdk_call *call, const json_t *object)
{
    struct reading *reading = sdk_kept(call);
    reading->seen.object = object;
    if (reading->wanted.more)
        reading->wanted.more(call, object);
    else
        kube_read_done(call, NULL);
}

static void read_from(struct sdk_call *call, const char *api)
{
    struct reading *reading = sdk_kept(call);
    reading->seen.path = kube_path(call, api, reading->wanted.resource, reading->wanted.name);
    kube_get(call, reading->seen.path, reading->wanted.name, on_object);
}

static void on_version(struct sdk_call *call, const json_t *api)
{
    read_from(call, json_string_value(api));
}

void kube_read(struct sdk_call *call, const struct kube_wanted *wanted, kube_seen_fn fn)
{
    struct reading *reading = sdk_memory(call, sizeof *reading);
    *reading = (struct reading){.wanted = *wanted, .fn = fn, .kept = sdk_kept(call)};
    sdk_keep(call, reading);
    if (wanted->api)
        read_from(call, wanted->api);
    else
        kube_discover(call, wanted->group, wanted->versions, on_version);
}
