/* host_load.c: from NAME.so to an open instance. Each refusal says what the plugin's author, or the person
 * who wrote the configuration, has to change. */
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "plugin/declaration.h"
#include "plugin/host.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_SO_BYTES (256u << 20)

static int digest_file(const char *path, char ret_hex[65], struct stanch_err *err)
{
    struct stanch_buf bytes = {0};
    char chunk[65536];
    ssize_t n = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return stanch_err_errno(err, STANCH_E_NOT_FOUND, errno, "%s could not be read", path);
    while (bytes.len < MAX_SO_BYTES && (n = read(fd, chunk, sizeof chunk)) > 0)
        stanch_buf_add(&bytes, chunk, (size_t)n);
    close(fd);
    stanch_digest_hex(stanch_buf_str(&bytes), bytes.len, ret_hex);
    stanch_buf_done(&bytes);
    return n < 0 ? stanch_err_errno(err, STANCH_E_SYSTEM, errno, "%s could not be read", path) : 0;
}

/* What every plugin of ABI 1 has; what later minors append stands behind it, and is looked for by size. */
#define SIZE_OF_1_0 (offsetof(struct stanch_plugin, declare) + sizeof(((struct stanch_plugin *)NULL)->declare))

static int check_abi(const struct stanch_plugin *plugin, const char *path, struct stanch_err *err)
{
    if (!plugin)
        return stanch_err_set(err, STANCH_E_INVALID, "%s: stanch_plugin_entry returned nothing", path);
    if (plugin->major != STANCH_ABI_MAJOR)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "%s was built for ABI %u.%u, this is stanch %s with ABI %u.%u: build it again with this "
                              "SDK",
                              path, plugin->major, plugin->minor, STANCH_VERSION, STANCH_ABI_MAJOR, STANCH_ABI_MINOR);
    if (plugin->minor > STANCH_ABI_MINOR)
        return stanch_err_set(
            err, STANCH_E_INVALID,
            "%s was built for ABI %u.%u, this is stanch %s with ABI %u.%u: use a newer stanch, or build "
            "it with this SDK",
            path, plugin->major, plugin->minor, STANCH_VERSION, STANCH_ABI_MAJOR, STANCH_ABI_MINOR);
    if (plugin->flags != 0)
        return stanch_err_set(err, STANCH_E_INVALID, "%s asks for what this stanch does not know (flags %#x)", path,
                              plugin->flags);
    if (plugin->size < SIZE_OF_1_0 || !plugin->open || !plugin->call || !plugin->close)
        return stanch_err_set(err, STANCH_E_INVALID, "%s: its table lacks open, call or close", path);
    return 0;
}

static int read_declaration(struct stanch_instance *instance, const char *path, struct stanch_err *err)
{
    const struct stanch_text *text = &instance->plugin->declaration;
    const char *slash = strrchr(path, '/');
    STANCH_AUTO_FREE char *file = stanch_strdup(slash ? slash + 1 : path);
    if (stanch_json_parse(text->data, text->len, &stanch_json_door_limits, &instance->declaration, err) < 0 ||
        stanch_declaration_check(instance->declaration, err) < 0)
        return stanch_err_wrap(err, "%s: its declaration", path);
    const char *name = stanch_json_str(instance->declaration, "name", "");
    file[strcspn(file, ".")] = '\0';
    if (strcmp(name, file) != 0)
        return stanch_err_set(err, STANCH_E_INVALID, "%s: its declaration says that it is named \"%s\"", path, name);
    return 0;
}

static int load_symbol(struct stanch_instance *instance, const char *path, struct stanch_err *err)
{
    const struct stanch_plugin *(*entry)(void) = NULL;
    instance->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!instance->library)
        return stanch_err_set(err, STANCH_E_INVALID, "%s could not be loaded: %s", path, dlerror());
    void *symbol = dlsym(instance->library, "stanch_plugin_entry");
    if (!symbol)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "%s is no plugin: it has no symbol stanch_plugin_entry (is STANCH_PLUGIN(...) at the end "
                              "of its main file?)",
                              path);
    memcpy(&entry, &symbol, sizeof entry); /* ISO C has no cast from object to function pointers */
    instance->plugin = entry();
    return check_abi(instance->plugin, path, err);
}

/* The actions and sources that this instance has by its settings: merged into the declaration, which is checked again. */
static int merge_declared(struct stanch_instance *instance, const json_t *more, struct stanch_err *err)
{
    static const char *const parts[] = {"actions", "sources"};
    json_t *part, *value;
    const char *name;
    for (int i = 0; i < 2; i++) {
        json_t *into = json_object_get(instance->declaration, parts[i]);
        if (!into) {
            into = json_object();
            json_object_set_new(instance->declaration, parts[i], into);
        }
        part = json_object_get(more, parts[i]);
        json_object_foreach(part, name, value)
        {
            if (json_object_get(into, name))
                return stanch_err_set(err, STANCH_E_INVALID, "the settings declare %s.%s, which is there already",
                                      parts[i], name);
            json_object_set(into, name, value);
        }
    }
    return stanch_declaration_check(instance->declaration, err);
}

static int declare_more(struct stanch_instance *instance, struct stanch_err *err)
{
    const struct stanch_plugin *plugin = instance->plugin;
    struct stanch_text more = {0}, why = {0};
    struct stanch_text settings = {instance->settings_text, strlen(instance->settings_text)};
    STANCH_AUTO_JSON json_t *value = NULL;
    if (!plugin->declare)
        return 0;
    if (plugin->declare(settings, &more, &why) != 0)
        return stanch_err_set(err, STANCH_E_INVALID, "the plugin refused its settings: %.*s", (int)why.len,
                              why.data ? why.data : "");
    if (more.len == 0)
        return 0;
    int rc = stanch_json_parse(more.data, more.len, &stanch_json_door_limits, &value, err);
    rc = rc ? rc : merge_declared(instance, value, err);
    return rc ? stanch_err_wrap(err, "what the plugin declares by these settings") : 0;
}

/* Its own directory, when the declaration needs one: made here, before the plugin may touch any file. */
static int make_state_dir(struct stanch_instance *instance, struct stanch_err *err)
{
    size_t i;
    json_t *one;
    bool is_needed = false;
    json_array_foreach(json_object_get(instance->declaration, "needs"), i, one)
    {
        is_needed = is_needed || strcmp(json_string_value(one), "state") == 0;
    }
    if (!is_needed) {
        free(STANCH_TAKE(instance->state_dir));
        return 0;
    }
    if (!instance->state_dir)
        return stanch_err_set(err, STANCH_E_SYSTEM,
                              "the plugin needs a directory of its own, and there is no state_dir");
    char *slash = strrchr(instance->state_dir, '/');
    *slash = '\0';
    int rc = mkdir(instance->state_dir, 0700);
    *slash = '/';
    rc = rc < 0 && errno != EEXIST ? rc : mkdir(instance->state_dir, 0700);
    if (rc < 0 && errno != EEXIST)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "%s could not be made", instance->state_dir);
    return 0;
}

static int open_instance(struct stanch_instance *instance, struct stanch_err *err)
{
    struct stanch_text why = {0};
    if (instance->plugin->open(&stanch_host__services, instance, &instance->state, &why) == 0) {
        instance->is_open = true;
        return 0;
    }
    STANCH_AUTO_FREE char *text = stanch_strndup(why.data ? why.data : "no reason was given", why.data ? why.len : 19);
    return stanch_err_set(err, STANCH_E_INVALID, "the plugin refused its settings: %s", text);
}

int stanch_host__load_declaration(struct stanch_instance *instance, const char *path, bool by_settings,
                                  char ret_digest[65], struct stanch_err *err)
{
    int rc = digest_file(path, ret_digest, err);
    rc = rc ? rc : load_symbol(instance, path, err);
    rc = rc ? rc : read_declaration(instance, path, err);
    if (rc < 0 || !by_settings)
        return rc;
    rc = stanch_declaration_check_settings(instance->declaration, instance->settings, instance->secret_names, err);
    return rc ? rc : declare_more(instance, err);
}

int stanch_host__load(struct stanch_instance *instance, const char *path, char ret_digest[65], struct stanch_err *err)
{
    bool has_landlock = false;
    int rc = stanch_host__load_declaration(instance, path, true, ret_digest, err);
    rc = rc ? rc : stanch_host__places_collect(instance, err);
    rc = rc ? rc : make_state_dir(instance, err);
    rc = rc ? rc : stanch_host__confine(instance, &has_landlock, err);
    if (rc == 0 && !has_landlock)
        stanch_host__log(instance, 3, "this kernel has no Landlock: the plugin's file access is not confined");
    return rc ? rc : open_instance(instance, err);
}

void stanch_host__unload(struct stanch_instance *instance)
{
    if (instance->is_open)
        instance->plugin->close(instance->state);
    instance->is_open = false;
    /* The library stays mapped: its code may be on a thread's way out, and a leak report needs its names. */
    instance->library = NULL;
}
