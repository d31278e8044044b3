/* route_ops.c: the weights of a route's backends as values: shares of the traffic, what moves, and the patch. */
#include "kubernetes.h"
#include <string.h>

static const struct kube_route_shape shapes[] = {
    {"HTTPRoute", "gateway.networking.k8s.io", "httproutes", "rules", "backendRefs", "/name", 1000000, false},
    {"VirtualService", "networking.istio.io", "virtualservices", "http", "route", "/destination/host", 100, true},
};

const struct kube_route_shape *kube_route_shape(struct sdk_call *call)
{
    return strcmp(sdk_arg_str(call, "kind", ""), shapes[1].kind) == 0 ? &shapes[1] : &shapes[0];
}

const char *kube_backend(struct sdk_call *call, const struct kube_route_shape *shape, const json_t *backend)
{
    const char *name = kube_text_at(backend, shape->name), *subset = kube_text_at(backend, "/destination/subset");
    return shape->is_percent && *subset ? sdk_text(call, "%s/%s", name, subset) : name;
}

json_t *kube_weights(struct sdk_call *call, const struct kube_route_shape *shape, const json_t *rule,
                     const char **ret_twice)
{
    json_t *weights = json_object(), *backend;
    size_t i;
    json_array_foreach(json_object_get(rule, shape->backends), i, backend)
    {
        const char *name = kube_backend(call, shape, backend);
        const json_t *weight = json_object_get(backend, "weight");
        if (json_object_get(weights, name)) {
            *ret_twice = name;
            json_decref(weights);
            return NULL;
        }
        json_object_set_new(weights, name,
                            json_is_integer(weight) ? json_integer(json_integer_value(weight)) : json_null());
    }
    return weights;
}

/* What is left out: the Gateway API takes 1; Istio 100 for the only backend, else 0. Below 0 there is nothing. */
static double weight_of(const struct kube_route_shape *shape, const json_t *weights, const json_t *weight)
{
    if (json_is_integer(weight))
        return json_integer_value(weight) > 0 ? (double)json_integer_value(weight) : 0;
    return !shape->is_percent ? 1 : json_object_size(weights) == 1 ? 100 : 0;
}

double kube_share(const struct kube_route_shape *shape, const json_t *weights, const char *name)
{
    const char *one;
    json_t *value;
    double all = 0;
    json_object_foreach((json_t *)(uintptr_t)weights, one, value) all += weight_of(shape, weights, value);
    return all > 0 ? weight_of(shape, weights, json_object_get(weights, name)) / all : 0;
}

double kube_moved(const struct kube_route_shape *shape, const json_t *from, const json_t *to)
{
    const char *name;
    json_t *value;
    double moved = 0;
    json_object_foreach((json_t *)(uintptr_t)from, name, value)
    {
        double less = kube_share(shape, from, name) - kube_share(shape, to, name);
        moved += less > 0 ? less : 0;
    }
    return moved > 1 ? 1 : moved;
}

json_t *kube_weigh(struct sdk_call *call, const struct kube_route_shape *shape, const json_t *rule, json_int_t index,
                   const json_t *from, const json_t *to)
{
    json_t *steps = json_array(), *backend;
    size_t i;
    json_array_foreach(json_object_get(rule, shape->backends), i, backend)
    {
        const char *name = kube_backend(call, shape, backend);
        const json_t *was = json_object_get(from, name), *wanted = json_object_get(to, name);
        const char *at = sdk_text(call, "/spec/%s/%lld/%s/%zu", shape->rules, (long long)index, shape->backends, i);
        const char *weight = sdk_text(call, "%s/weight", at), *subset = kube_text_at(backend, "/destination/subset");
        if (json_equal(was, wanted))
            continue;
        kube_step(steps, "test", sdk_text(call, "%s%s", at, shape->name),
                  json_string(kube_text_at(backend, shape->name)));
        if (shape->is_percent && *subset)
            kube_step(steps, "test", sdk_text(call, "%s/destination/subset", at), json_string(subset));
        if (json_is_integer(was))
            kube_step(steps, "test", weight, json_integer(json_integer_value(was)));
        if (json_is_integer(wanted))
            kube_step(steps, json_is_integer(was) ? "replace" : "add", weight,
                      json_integer(json_integer_value(wanted)));
        else
            kube_step(steps, "remove", weight, NULL);
    }
    return steps;
}
