/* plugin.c: between the ABI's tables and a plugin's handlers. */
#include "inside.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What `declare` said: there is one instance in a process, and the host reads it at once. */
static char *declared_text;

void *sdk__alloc(size_t bytes)
{
    void *ptr = calloc(1, bytes ? bytes : 1);
    if (!ptr)
        abort(); /* the host dies, its calls are unknown, it is started again */
    return ptr;
}

char *sdk__vformat(const char *fmt, va_list args)
{
    char *text = NULL;
    if (vasprintf(&text, fmt, args) < 0)
        abort();
    return text;
}

static char *copy_text(struct stanch_text text)
{
    char *copy = sdk__alloc(text.len + 1);
    if (text.len)
        memcpy(copy, text.data, text.len);
    return copy;
}

static void free_instance(struct sdk_instance *instance)
{
    json_decref(instance->settings);
    free(instance->name);
    free(instance->why);
    free(instance);
}

uint32_t sdk_open__(const struct sdk_plugin *plugin, const struct stanch_host *host, struct stanch_instance *handle,
                    void **ret_state, struct stanch_text *ret_why)
{
    struct sdk_instance *instance = sdk__alloc(sizeof *instance);
    struct stanch_text settings = host->settings(handle);
    instance->host = host;
    instance->handle = handle;
    instance->plugin = plugin;
    instance->name = copy_text(host->instance_name(handle));
    instance->settings = json_loadb(settings.data, settings.len, JSON_ALLOW_NUL, NULL);
    const char *why = plugin->open ? plugin->open(instance, &instance->state) : NULL;
    *ret_state = instance;
    if (why)
        *ret_why = sdk_span(why); /* the instance stays, as the text may be its own; the host ends now */
    return why ? 1 : 0;
}

static void close_instance(void *state)
{
    struct sdk_instance *instance = state;
    if (instance->plugin->close)
        instance->plugin->close(instance->state);
    free_instance(instance);
    free(declared_text);
    declared_text = NULL;
}

static void release_call(void *ptr)
{
    struct sdk_call *call = ptr;
    while (call->chunks) {
        struct sdk_chunk *next = call->chunks->next;
        free(call->chunks);
        call->chunks = next;
    }
    json_decref(call->held);
    json_decref(call->input);
    free(call->action);
    free(call);
}

static const struct sdk_handler *find_handler(const struct sdk_plugin *plugin, const char *name, uint32_t op)
{
    for (const struct sdk_handler *h = plugin->handlers; h->name; h++)
        if (h->op == op && strcmp(h->name, name) == 0)
            return h;
    for (const struct sdk_handler *h = plugin->handlers; h->name; h++)
        if (h->op == op && strcmp(h->name, "*") == 0)
            return h;
    return NULL;
}

static void start_call(void *state, struct stanch_call *handle)
{
    struct sdk_instance *instance = state;
    const struct stanch_host *host = instance->host;
    struct sdk_call *call = sdk__alloc(sizeof *call);
    struct stanch_text input = host->call_input(handle);
    call->instance = instance;
    call->handle = handle;
    call->op = host->call_op(handle);
    call->action = copy_text(host->call_action(handle));
    call->held = json_array();
    call->input = json_loadb(input.data, input.len, JSON_ALLOW_NUL, NULL);
    host->call_keep(handle, call, release_call);
    const struct sdk_handler *handler = find_handler(instance->plugin, call->action, call->op);
    if (!call->input)
        sdk_fail(call, "protocol", "the input of %s is not JSON", call->action);
    else if (!handler)
        sdk_fail(call, "not-found", "the plugin has no handler for this operation of \"%s\"", call->action);
    else
        handler->fn(call);
}

static void cancel_call(void *state, struct stanch_call *handle)
{
    struct sdk_instance *instance = state;
    struct sdk_call *call = instance->host->call_kept(handle);
    if (instance->plugin->cancel && call)
        instance->plugin->cancel(call);
}

const char *sdk_declare_why(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    free(declared_text);
    declared_text = sdk__vformat(fmt, args);
    va_end(args);
    return declared_text;
}

uint32_t sdk_declare__(const struct sdk_plugin *plugin, struct stanch_text settings, struct stanch_text *ret_more,
                       struct stanch_text *ret_why)
{
    json_t *value = json_loadb(settings.data, settings.len, JSON_ALLOW_NUL, NULL), *more = NULL;
    const char *why = plugin->declare(value, &more);
    if (why) {
        *ret_why = sdk_span(why);
    } else if (more) {
        free(declared_text);
        declared_text = json_dumps(more, JSON_COMPACT);
        *ret_more = sdk_span(declared_text);
    }
    json_decref(more);
    json_decref(value);
    return why ? 1 : 0;
}

struct stanch_plugin sdk_entry__(const struct sdk_plugin *plugin,
                                 uint32_t (*open)(const struct stanch_host *, struct stanch_instance *, void **,
                                                  struct stanch_text *),
                                 uint32_t (*declare)(struct stanch_text, struct stanch_text *, struct stanch_text *))
{
    return (struct stanch_plugin){
        .major = STANCH_ABI_MAJOR,
        .minor = STANCH_ABI_MINOR,
        .size = sizeof(struct stanch_plugin),
        .declaration = sdk_span(plugin->declaration),
        .open = open,
        .close = close_instance,
        .call = start_call,
        .cancel = cancel_call,
        .declare = plugin->declare ? declare : NULL, /* core asks with the settings only who declares by them */
    };
}

const char *sdk_instance_name(const struct sdk_instance *instance)
{
    return instance->name;
}

const json_t *sdk_settings(const struct sdk_instance *instance)
{
    return instance->settings;
}

const char *sdk_setting(const struct sdk_instance *instance, const char *name, const char *otherwise)
{
    const char *text = json_string_value(json_object_get(instance->settings, name));
    return text ? text : otherwise;
}

bool sdk_has_secret(const struct sdk_instance *instance, const char *name)
{
    return instance->host->secret(instance->handle, sdk_span(name)).len > 0;
}

const char *sdk_secret(struct sdk_call *call, const char *name)
{
    return sdk__copy(call, call->instance->host->secret(call->instance->handle, sdk_span(name)));
}

const char *sdk_instance_secret(const struct sdk_instance *instance, const char *name, size_t *ret_len)
{
    struct stanch_text secret = instance->host->secret(instance->handle, sdk_span(name));
    if (ret_len)
        *ret_len = (size_t)secret.len;
    return secret.len > 0 ? secret.data : NULL;
}

bool sdk_keep_secret(struct sdk_instance *instance, const char *name, const char *value)
{
    return instance->host->secret_keep(instance->handle, sdk_span(name), sdk_span(value)) != 0;
}

const char *sdk_state_dir(const struct sdk_instance *instance)
{
    return instance->host->state_dir(instance->handle).data;
}

const char *sdk_why(struct sdk_instance *instance, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    free(instance->why);
    instance->why = sdk__vformat(fmt, args);
    va_end(args);
    return instance->why;
}

void sdk_log(const struct sdk_instance *instance, uint32_t level, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = sdk__vformat(fmt, args);
    va_end(args);
    instance->host->log(instance->handle, level, sdk_span(text));
    free(text);
}
