/* route.c: shift traffic between the backends of an HTTPRoute (Gateway API) or a VirtualService (Istio). */
#include "kubernetes.h"
#include <string.h>

static const char *name_of(struct sdk_call *call)
{
    return sdk_arg_str(call, "route", "");
}

static void read_it(struct sdk_call *call, kube_seen_fn fn)
{
    kube_read(call,
              &(struct kube_wanted){.group = kube_route_shape(call)->group,
                                    .resource = kube_route_shape(call)->resource,
                                    .name = name_of(call)},
              fn);
}

/* ---- which rule ---- */

static const json_t *rules_of(struct sdk_call *call, const json_t *object)
{
    return json_object_get(json_object_get(object, "spec"), kube_route_shape(call)->rules);
}

static json_int_t index_of(struct sdk_call *call)
{
    return sdk_arg_int(call, "rule", 0);
}

static const json_t *rule_of(struct sdk_call *call, const struct kube_seen *seen)
{
    return json_array_get(rules_of(call, seen->object), (size_t)index_of(call));
}

/* ---- its state ---- */

static json_t *state_of(struct sdk_call *call, const struct kube_seen *seen)
{
    const char *twice = NULL;
    const json_t *rule = rule_of(call, seen);
    json_t *weights = rule ? kube_weights(call, kube_route_shape(call), rule, &twice) : NULL;
    return json_pack("{s:I, s:o}", "rule", index_of(call), "weights", weights ? weights : json_null());
}

static json_t *patch_to(struct sdk_call *call, const struct kube_seen *seen, const json_t *wanted)
{
    json_t *now = sdk_hold(call, state_of(call, seen));
    return kube_weigh(call, kube_route_shape(call), rule_of(call, seen), index_of(call),
                      json_object_get(now, "weights"), json_object_get(wanted, "weights"));
}

/* ---- what the gateways say ---- */

/* NULL: it is as the gateway should have it; `*ret` says whether waiting can help. */
static const char *why_not(struct sdk_call *call, const json_t *parent, json_int_t generation, enum kube_holds *ret)
{
    static const char *const types[] = {"Accepted", "ResolvedRefs"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *one = kube_condition(parent, "/conditions", types[i]);
        if (!one)
            continue;
        if (kube_int_at(one, "/observedGeneration", generation) < generation) {
            *ret = KUBE_NOT_YET;
            return sdk_text(call, "%s has not seen the change yet", kube_text_at(parent, "/parentRef/name"));
        }
        if (strcmp(kube_text_at(one, "/status"), "True") != 0) {
            *ret = KUBE_NEVER;
            return sdk_text(call, "%s: %s is %s: %s", kube_text_at(parent, "/parentRef/name"), types[i],
                            kube_text_at(one, "/status"), kube_brief(call, kube_text_at(one, "/message")));
        }
    }
    return NULL;
}

static enum kube_holds settle(struct sdk_call *call, const struct kube_seen *seen, json_t **ret_seen)
{
    const json_t *parents = sdk_json_at(seen->object, "/status/parents");
    json_int_t generation = kube_int_at(seen->object, "/metadata/generation", 0);
    enum kube_holds holds = KUBE_HOLDS;
    const char *why = NULL,
               *said = json_array_size(parents) ? "accepted" : "no gateway says in the status whether it took it";
    for (size_t i = 0; !why && i < json_array_size(parents); i++)
        why = why_not(call, json_array_get(parents, i), generation, &holds);
    *ret_seen = json_pack("{s:s}", "gateways", why ? why : said);
    return holds;
}

/* ---- plan ---- */

/* The weights that are wanted: those of the rule, with what the arguments say. NULL: the call was answered. */
static json_t *wanted_weights(struct sdk_call *call, const json_t *from)
{
    const struct kube_route_shape *shape = kube_route_shape(call);
    json_t *to = json_copy((json_t *)(uintptr_t)from), *value;
    const char *name, *why = NULL;
    json_int_t sum = 0;
    json_object_foreach((json_t *)(uintptr_t)json_object_get(sdk_args(call), "weights"), name, value)
    {
        if (!json_object_get(from, name))
            why = sdk_text(call, "weights: the rule has no backend \"%s\"", name);
        json_object_set(to, name, value);
    }
    json_object_foreach(to, name, value) /* those that stay, too: they come from the route */
    {
        json_int_t weight = json_is_integer(value) ? json_integer_value(value) : shape->is_percent ? 0 : 1;
        if (!why && (weight < 0 || weight > shape->most))
            why = sdk_text(call, "weights.%s: %lld; 0 to %lld was expected", name, (long long)weight,
                           (long long)shape->most);
        sum += why ? 0 : weight;
    }
    if (!why && shape->is_percent && sum != 100)
        why = sdk_text(call, "weights: they make %lld with those that stay as they are, and must make 100",
                       (long long)sum);
    if (!why && sum == 0)
        why = "weights: all would be 0, and the route would answer nothing but errors";
    if (!why)
        return to;
    sdk_fail(call, "invalid", "%s", why);
    json_decref(to);
    return NULL;
}

static const char *weights_text(struct sdk_call *call, const json_t *from, const json_t *to)
{
    const struct kube_route_shape *shape = kube_route_shape(call);
    const char *text = "", *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)from, name, value) text =
        sdk_text(call, "%s%s%s %.0f%% -> %.0f%%", text, *text ? ", " : "", name, 100 * kube_share(shape, from, name),
                 100 * kube_share(shape, to, name));
    return text;
}

static const char *patch_by_hand(struct sdk_call *call, json_t *steps)
{
    char *text = json_dumps(steps, JSON_COMPACT);
    const char *said =
        sdk_text(call, "%s patch %s.%s %s --type json -p %s", kube_kubectl(call), kube_route_shape(call)->resource,
                 kube_route_shape(call)->group, name_of(call), sdk_shell_word(call, text));
    json_free_t release;
    json_get_alloc_funcs(NULL, &release);
    release(text);
    json_decref(steps);
    return said;
}

/* The rule that is meant; NULL: the call was answered. */
static const json_t *find_rule(struct sdk_call *call, const struct kube_seen *seen)
{
    size_t count = json_array_size(rules_of(call, seen->object));
    const json_t *rule = rule_of(call, seen);
    if (count > 1 && !json_object_get(sdk_args(call), "rule"))
        sdk_fail(call, "invalid", "rule: the route has %zu of them: say which, from 0", count);
    else if (!rule || json_array_size(json_object_get(rule, kube_route_shape(call)->backends)) == 0)
        sdk_fail(call, "invalid", "rule: the route has no rule %lld with backends", (long long)index_of(call));
    else
        return rule;
    return NULL;
}

static bool plan(struct sdk_call *call, const struct kube_seen *seen, struct sdk_plan *ret)
{
    const struct kube_route_shape *shape = kube_route_shape(call);
    const json_t *rule = find_rule(call, seen),
                 *matches = json_object_get(rule, shape->is_percent ? "match" : "matches");
    const char *twice = NULL;
    json_t *from = rule ? kube_weights(call, shape, rule, &twice) : NULL, *to;
    if (twice)
        sdk_fail(call, "refused", "two backends of the rule are called \"%s\": which is meant can't be told", twice);
    if (!from || !(to = wanted_weights(call, sdk_hold(call, from))))
        return false;
    sdk_hold(call, to);
    double moved = kube_moved(shape, from, to);
    ret->targets =
        json_pack("[s]", kube_target(call, shape->is_percent ? "virtualservice" : "httproute", name_of(call)));
    ret->from = json_pack("{s:I, s:O}", "rule", index_of(call), "weights", from);
    ret->to = json_pack("{s:I, s:O}", "rule", index_of(call), "weights", to);
    ret->undo = json_pack("{s:I, s:O}", "rule", index_of(call), "weights", from);
    ret->by_hand = patch_by_hand(call, kube_weigh(call, shape, rule, index_of(call), from, to));
    ret->undo_by_hand = patch_by_hand(call, kube_weigh(call, shape, rule, index_of(call), to, from));
    ret->impact = sdk_text(call, "%s: %s; %.0f%% of the rule's requests move", name_of(call),
                           weights_text(call, from, to), 100 * moved);
    ret->reach = moved;
    ret->observed = json_pack("{s:s, s:O*}", "kind", shape->kind, "matches", matches);
    return true;
}

const struct kube_kind kube_route = {
    .what = "the route", .read = read_it, .state = state_of, .plan = plan, .patch = patch_to, .settled = settle};

/* ---- the action that reads ---- */

static json_t *rule_json(struct sdk_call *call, const json_t *rule, size_t index)
{
    const struct kube_route_shape *shape = kube_route_shape(call);
    json_t *backends = json_array(), *one;
    const char *twice = NULL;
    json_t *weights = sdk_hold(call, kube_weights(call, shape, rule, &twice));
    size_t i;
    json_array_foreach(json_object_get(rule, shape->backends), i, one)
    {
        const char *name = kube_backend(call, shape, one);
        json_t *weight = json_object_get(one, "weight");
        json_t *share =
            weights ? json_real((double)(int)(1000 * kube_share(shape, weights, name) + 0.5) / 1000) : json_null();
        json_array_append_new(backends, json_pack("{s:s, s:O, s:o}", "backend", name, "weight",
                                                  json_is_integer(weight) ? weight : json_null(), "share", share));
    }
    return json_pack("{s:I, s:O*, s:o}", "rule", (json_int_t)index, "matches",
                     json_object_get(rule, shape->is_percent ? "match" : "matches"), "backends", backends);
}

static void on_seen(struct sdk_call *call, const struct kube_seen *seen)
{
    json_t *rules = json_array(), *told = NULL, *one;
    size_t i;
    (void)settle(call, seen, &told);
    json_array_foreach((json_t *)(uintptr_t)rules_of(call, seen->object), i, one)
        json_array_append_new(rules, rule_json(call, one, i));
    json_object_set_new(told, "rules", rules);
    json_object_set_new(told, "as_of_ms", json_integer(sdk_now_ms(call)));
    sdk_done(call, told);
}

void kube_route_read(struct sdk_call *call)
{
    if (kube_namespace(call))
        read_it(call, on_seen);
}
